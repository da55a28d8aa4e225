"""JSON files of this package: each says what kind it is, and carries the CRC-32 of all it holds."""

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from cgcython import strict_json
from cgcython.checksums import crc32
from cgcython.errors import UnsupportedVersion
from cgcython.files import as_path, write_whole
from cgcython.tensors import Malformed, open_regular, told_as_damage
from cgcython.types import StrPath

SEAL = "crc32"
MOST_BYTES = 1 << 28  # of a file that is read


class SealedKind(NamedTuple):
    """A kind of JSON file: the texts `format` and `version`, and what else it holds, by key.

    The text `crc32` is the checksum of the file without it.
    """

    format: str
    version: str

    def to_bytes(self, about: Mapping[str, Any]) -> bytes:
        """Return the bytes of a file; equal objects give equal bytes."""
        named = {**about, "format": self.format, "version": self.version}
        return _spelled({**named, SEAL: _seal(named)})

    def write(self, path: StrPath, about: Mapping[str, Any]) -> None:
        """Write a file, whole or not at all; raises FileUnavailable."""
        write_whole(path, self.to_bytes(about))

    def read(self, path: StrPath) -> dict[str, Any] | None:
        """Return what a file holds, None where there is no file.

        Raises StorageCorruption for another file, UnsupportedVersion for one of a later release,
        FileUnavailable for one that cannot be opened.
        """
        path = as_path(path)
        try:
            with told_as_damage(path), open_regular(path) as file:
                if os.fstat(file.fileno()).st_size > MOST_BYTES:
                    raise Malformed(f"it is larger than {MOST_BYTES} bytes")
                return self._checked(strict_json.parse_object(file.read(MOST_BYTES)), path)
        except OSError:
            if path.exists() or path.is_symlink():
                raise
            return None

    def _checked(self, found: dict[str, Any], path: StrPath) -> dict[str, Any]:
        seal, kind = found.pop(SEAL, None), found.get("format")
        if kind != self.format:
            raise Malformed(f"its format is {kind!r:.40}, not {self.format!r}")
        if found.get("version") != self.version:
            reason = f"its version is {found.get('version')!r:.40}, not {self.version!r}"
            raise UnsupportedVersion(where=str(path), reason=reason)
        if seal != _seal(found):
            raise Malformed("its checksum differs")
        del found["format"], found["version"]
        return found


def _spelled(named: Mapping[str, Any]) -> bytes:
    return json.dumps(named, sort_keys=True, indent=1, allow_nan=False).encode() + b"\n"


def _seal(named: Mapping[str, Any]) -> str:
    return f"{crc32(_spelled(named)):08x}"
