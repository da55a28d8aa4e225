"""Changes of bytes that know a format well enough to get past its checksums.

A mutator is a function `(data, rng) -> data`. Coverage-guided mutation alone stops at the first
checksum; these change what a checksum covers and compute it anew.
"""

import json
import struct
from hashlib import sha256
from zlib import crc32

ODD = (None, True, 0, -1, 1, 2**31, 2**32, 2**63, -(2**63), 2**64, 10**40, 0.5, 1e308, float("nan"))
ODD += ("", "x", "-1", "\0", "é" * 300, [], {}, [[]], [0] * 9, {"x": None}, "[" * 3000)
WIDTHS = {"U8": 1, "I8": 1, "BOOL": 1, "F16": 2, "I16": 2, "F32": 4, "U32": 4, "F64": 8, "I64": 8}
NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)


def change_bytes(data, rng):
    """Flip, insert, remove, repeat or overwrite some bytes."""
    at = rng.randrange(len(data) + 1)
    some = rng.randbytes(rng.choice((1, 1, 2, 4, 8, 40)))
    match rng.randrange(6):
        case 0:
            return data[:at] + some + data[at:]
        case 1:
            return data[:at] + data[at + len(some) :]
        case 2:
            return data[:at] + some + data[at + len(some) :]
        case 3:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice(NUMBERS) & (1 << 8 * width) - 1
            return data[:at] + number.to_bytes(width, "little") + data[at + width :]
        case 4:
            return data[:at] + data[at : at + 300] * rng.randrange(2, 5) + data[at + 300 :]
    flipped = bytes([data[at] ^ 1 << rng.randrange(8)]) if at < len(data) else b""
    return data[:at] + flipped + data[at + 1 :]


def change_json(value, rng):
    """Return a JSON value with one of the values in it replaced, removed or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        match rng.randrange(8):
            case 0:
                return {name: one for name, one in value.items() if name != key}
            case 1:
                return {**value, rng.choice(("x", "", key + "2", key.upper())): value[key]}
        return {**value, key: change_json(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        match rng.randrange(6):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value[: at + 1] + value[at:]
        return [*value[:at], change_json(value[at], rng), *value[at + 1 :]]
    if type(value) is int and rng.random() < 0.5:
        return value + rng.choice((-2, -1, 1, 2, 64))
    return rng.choice(ODD)


def with_own_checksum(data):
    """Return bytes whose last four are the CRC-32 of those before."""
    return data[:-4] + struct.pack("<I", crc32(data[:-4]))


class Tensors:
    """A safetensors file taken apart: its texts, its entries and its data."""

    def __init__(self, data):
        size = int.from_bytes(data[:8], "little")
        self.entries = json.loads(data[8 : 8 + size])
        self.texts = self.entries.pop("__metadata__", {})
        self.data = data[8 + size :]

    def to_bytes(self):
        """Return the file, its header as long as safetensors wants it."""
        head = json.dumps({"__metadata__": self.texts, **self.entries}).encode()
        head += b" " * (-len(head) % 8)
        return struct.pack("<Q", len(head)) + head + self.data

    def array(self, name):
        """Return the bytes of an array, as far as its entry makes sense."""
        start, end = self.entries[name]["data_offsets"]
        return self.data[start:end]

    def take(self, name):
        """Remove an array from the file and return its entry and its bytes."""
        data = self.array(name)
        start, end = self.entries[name]["data_offsets"]
        self.data = self.data[:start] + self.data[end:]
        for one in self.entries.values():
            if one["data_offsets"][0] >= end:
                one["data_offsets"] = [at - len(data) for at in one["data_offsets"]]
        return self.entries.pop(name), data

    def put(self, name, entry, data):
        """Add an array at the end of the file."""
        place = [len(self.data), len(self.data) + len(data)]
        self.entries[name] = {**entry, "data_offsets": place}
        self.data += data

    def seal(self):
        """Compute the checksums anew, where these are a file of ours."""
        self.texts.pop("cgcython_header_crc32", None)  # of earlier releases there is none
        if "sha256" in self.texts:
            self.texts["sha256"] = self._contents_hash()
        if "crc32" in self.texts:
            self._seal_crcs()

    def _seal_crcs(self):
        try:
            sums = json.loads(self.texts["crc32"])
        except ValueError:
            return
        arrays = {name: crc32(self.array(name)) for name in self.entries}
        if isinstance(sums, dict):  # of arrays and of texts
            texts = {key: crc32(text.encode()) for key, text in self.texts.items() if key in sums}
            self.texts["crc32"] = json.dumps({**texts, **arrays})
            return
        about = json.loads(self.texts["about"])
        if isinstance(about, dict) and "crc32" in about:
            self.texts["about"] = json.dumps({**about, "crc32": arrays})
        self.texts["crc32"] = str(crc32(self.texts["about"].encode()))

    def _contents_hash(self):
        digest = sha256()
        for name in sorted(self.entries):
            shape = tuple(self.entries[name]["shape"])
            digest.update(f"{name} {shape}\n".encode() + self.array(name))
        return digest.hexdigest()


def change_tensors(data, rng):
    """Change a text, an entry or the data of a safetensors file, and compute its checksums anew."""
    try:
        file = Tensors(data)
        rng.choice((_change_text, _change_entries, _retype, _shift, _change_data))(file, rng)
        file.seal()
        return file.to_bytes()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error):
        return change_bytes(data, rng)  # what it was changed to before has no such parts


def _change_text(file, rng):
    key = rng.choice(list(file.texts))
    try:
        file.texts[key] = json.dumps(change_json(json.loads(file.texts[key]), rng))
    except ValueError:
        file.texts[key] = rng.choice(("", "2", "[" * 3000, "pq8", "\0"))


def _change_entries(file, rng):
    file.entries = change_json(file.entries, rng)


def _retype(file, rng):
    """Give an array another type or shape of as many bytes."""
    entry = file.entries[rng.choice(list(file.entries))]
    start, end = entry["data_offsets"]
    entry["dtype"] = rng.choice(list(WIDTHS))
    count, left = divmod(end - start, WIDTHS[entry["dtype"]])
    if left:
        raise ValueError("no whole number of values")
    entry["shape"] = rng.choice(([count], [1, count], [count, 1], [count, 1, 1], [count // 2, 2]))


def _shift(file, rng):
    """Remove, rename, double, or cut an array, or give it a row more."""
    name = rng.choice(list(file.entries))
    entry, data = file.take(name)
    rows, row = entry["shape"][0], len(data) // max(1, entry["shape"][0])
    match rng.randrange(5):
        case 0:
            file.put(name + "2", entry, data)
        case 1:
            file.put(name, entry, data)
            file.put(name + "2", entry, data)
        case 2:
            file.put(name, {**entry, "shape": [rows + 1, *entry["shape"][1:]]}, data + data[:row])
        case 3:
            file.put(name, {**entry, "shape": [rows - 1, *entry["shape"][1:]]}, data[:-row])


def _change_data(file, rng):
    file.data = change_bytes(file.data, rng)[: len(file.data)].ljust(len(file.data), b"\xff")
