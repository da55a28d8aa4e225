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
_BLANK = "0" * 8
MOST_BYTES = 1 << 28  # of a file that is read


class SealedKind(NamedTuple):
    """A kind of JSON file: the texts `format` and `version`, and what else it holds, by key.

    The text `crc32` is that of the file's bytes with eight zeros in its place.
    """

    format: str
    version: str

    def to_bytes(self, about: Mapping[str, Any]) -> bytes:
        """Return the bytes of a file; equal objects give equal bytes."""
        named = {**about, "format": self.format, "version": self.version, SEAL: _BLANK}
        text = json.dumps(named, sort_keys=True, indent=1, allow_nan=False).encode() + b"\n"
        return text.replace(_seal(_BLANK), _seal(f"{crc32(text):08x}"))

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
                return self._checked(file.read(MOST_BYTES), path)
        except OSError:
            if path.exists() or path.is_symlink():
                raise
            return None

    def _checked(self, data: bytes, path: StrPath) -> dict[str, Any]:
        found = strict_json.parse_object(data)
        kind, version, seal = (found.pop(name, None) for name in ("format", "version", SEAL))
        if kind != self.format:
            raise Malformed(f"its format is {kind!r:.40}, not {self.format!r}")
        if version != self.version:
            reason = f"its version is {version!r:.40}, not {self.version!r}"
            raise UnsupportedVersion(where=str(path), reason=reason)
        sealed = _seal(str(seal))
        if data.count(sealed) != 1:
            raise Malformed("it has no checksum")
        if seal != f"{crc32(data.replace(sealed, _seal(_BLANK))):08x}":
            raise Malformed("its checksum differs")
        return found


def _seal(checksum: str) -> bytes:
    return f'"{SEAL}": "{checksum}"'.encode()
