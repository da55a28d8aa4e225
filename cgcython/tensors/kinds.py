"""Files of this package: each says what kind it is, and carries the CRC-32 of all it holds."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from cgcython import checksums, strict_json
from cgcython.errors import UnsupportedVersion
from cgcython.tensors.damage import MALFORMED, Malformed
from cgcython.tensors.reading import Tensors, read_tensors
from cgcython.tensors.writing import write_tensors
from cgcython.types import Array, StrPath


class Opened:
    """A file of this package: its texts were compared with their checksums, its arrays are mapped.

    Whoever reads an array has it compared before; each is compared once.
    """

    def __init__(
        self,
        arrays: dict[str, Array],
        texts: dict[str, str],
        version: str,
        expected: Mapping[str, Any],
    ) -> None:
        """`expected` are the checksums that the file has, by name."""
        self.arrays, self.texts, self.version = arrays, texts, version
        self._expected, self._compared = expected, set[str]()

    def require(self, names: Iterable[str]) -> None:
        """Raise Malformed at the first of some arrays that is not what was written."""
        for name in names:
            if name not in self._compared:
                require_checksums(self._expected, {name: checksums.of_array(self.arrays[name])})
                self._compared.add(name)


class FileKind(NamedTuple):
    """A kind of file: the texts `format` and `version`, and others that have a checksum.

    The text `crc32` is a JSON object with the checksum of each array and of these texts. Files of
    `later` versions are read too.
    """

    format: str
    version: str
    texts: tuple[str, ...]
    later: tuple[str, ...] = ()

    def write(
        self,
        path: StrPath,
        arrays: Mapping[str, Array],
        texts: Mapping[str, str],
        version: str | None = None,
    ) -> None:
        """Write arrays and texts, with their checksums, whole or not at all."""
        found = {name: checksums.of_array(one) for name, one in arrays.items()}
        found |= {key: checksums.crc32(texts[key].encode()) for key in self.texts}
        crcs = strict_json.to_text(dict(sorted(found.items())))
        own = {"format": self.format, "version": version or self.version, "crc32": crcs}
        write_tensors(path, arrays, {**texts, **own})

    def read(self, path: StrPath, verified: Collection[str] | None = None) -> Tensors:
        """Return what a file of this kind holds.

        The checksums of texts are compared, and those of `verified` arrays, by default of all.
        Raises Malformed, UnsupportedVersion or OSError.
        """
        opened = self.open(path)
        names = opened.arrays if verified is None else opened.arrays.keys() & set(verified)
        opened.require(names)
        return Tensors(opened.arrays, opened.texts)

    def open(self, path: StrPath) -> Opened:
        """Return a file of this kind, of which only texts are compared. Errors as in `read`."""
        arrays, texts = read_tensors(path)
        self._require_own(path, texts)
        missing = set(self.texts) - texts.keys()
        if missing:
            raise Malformed(f"it has no text {', '.join(sorted(missing))}")
        expected = strict_json.parse_object(texts["crc32"])
        own = {key: texts[key] for key in self.texts}
        found = {key: checksums.crc32(text.encode()) for key, text in own.items()}
        require_checksums(expected, found)
        return Opened(arrays, own, texts["version"], expected)

    def _require_own(self, path: StrPath, texts: Mapping[str, str]) -> None:
        if texts.get("format") != self.format:
            raise Malformed(f"its format is {texts.get('format')!r:.40}, not {self.format!r}")
        known = (self.version, *self.later)
        if texts.get("version") not in known:
            reads = " and ".join(known)
            reason = f"it has version {texts.get('version'):.40}, this release reads {reads}"
            raise UnsupportedVersion(where=str(path), reason=reason)
        unknown = texts.keys() - {"format", "version", "crc32", *self.texts}
        if unknown or "crc32" not in texts:
            raise Malformed(f"its texts are {', '.join(sorted(texts)):.80}")


def write_arrays(path: StrPath, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Write arrays and what is to know about them, which `read_arrays` gives back.

    `about` is an object for JSON with the keys `format` and `version`.
    """
    crcs = {name: checksums.of_array(arrays[name]) for name in sorted(arrays)}
    text = strict_json.to_text({**about, "crc32": crcs})
    texts = {"about": text, "crc32": str(checksums.crc32(text.encode()))}
    write_tensors(path, arrays, texts)


def read_arrays(
    path: StrPath, form: str, version: int
) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """Return what `write_arrays` wrote, the arrays mapped and all checksums compared.

    Returns None where the file is missing, damaged, of another format or of another version.
    """
    try:
        arrays, texts = read_tensors(path)
        about = strict_json.parse_object(texts["about"])
        crcs = {name: checksums.of_array(one) for name, one in arrays.items()}
        is_sound = texts["crc32"] == str(checksums.crc32(texts["about"].encode()))
        is_sound = is_sound and about["crc32"] == crcs
        is_known = (about["format"], about["version"]) == (form, version)
    except (OSError, *MALFORMED):
        return None
    return (arrays, about) if is_sound and is_known else None


def require_checksums(expected: Mapping[str, Any], found: Mapping[str, int]) -> None:
    """Raise Malformed at the first name whose checksum is another one."""
    for name, checksum in found.items():
        if expected.get(name) != checksum:
            raise Malformed(f"the checksum of {name} differs")
