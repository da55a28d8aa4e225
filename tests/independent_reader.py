"""A reader of the bytes of docs/FORMAT.md that shares nothing with the package but that page.

Plain Python: struct, zlib and json. It believes nothing, but explains little: wrong bytes raise
AssertionError.
"""

import hashlib
import json
import struct
import zlib
from itertools import pairwise

TOKENS = struct.Struct("<IIf")


def read_embedding_record(record):
    """Return the section of a `CGQE` record as a dictionary."""
    assert record[:5] == b"CGQE\x01"
    section, end = read_section(record, 5)
    assert end == len(record)
    assert section["embedder"] == 0xFF
    return section


def read_fingerprint_record(record):
    """Return `{embedder number: section}` of a `CGFP` record."""
    checksums, at = read_manifest(record)
    sections = {}
    for embedder, checksum in checksums.items():
        section, end = read_section(record, at)
        assert section["embedder"] == embedder
        assert record[end - 4 : end] == struct.pack("<I", checksum)
        sections[embedder], at = section, end
    assert at == len(record)
    return sections


def read_manifest(record):
    """Return `{embedder number: checksum}` and where the manifest ends."""
    entries, _, end = read_whole_manifest(record)
    return entries, end


def read_whole_manifest(record):
    """Return the entries of a manifest, its times, hash and metadata, and where it ends."""
    assert record[:4] == b"CGFP"
    version, count, flags = struct.unpack_from("<BBH", record, 4)
    assert version in (1, 2)
    assert flags == 0
    start, created, updated, length = 8, 0, 0, 0
    if version == 2:
        created, updated, length = struct.unpack_from("<QQI", record, 8)
        start = 28
    middle = start + 5 * count
    end = middle + length
    require_checksum(record[:end], record[end : end + 4])
    entries = [struct.unpack_from("<BI", record, at) for at in range(start, middle, 5)]
    assert all(a[0] < b[0] for a, b in pairwise(entries))
    info = {
        "created": created or None,
        "updated": updated or None,
        "content_hash": hashlib.blake2b(record[start:middle], digest_size=16).hexdigest(),
        "metadata": json.loads(record[middle:end].decode()) if length else {},
    }
    return dict(entries), info, end + 4


def read_section(record, start=0):
    """Return a section as a dictionary, its values decoded, and where it ends."""
    embedder, layout, dimension, length = struct.unpack_from("<BBII", record, start)
    end = start + 10 + length
    require_checksum(record[start:end], record[end : end + 4])
    payload = record[start + 10 : end]
    found = {"embedder": embedder, "layout": layout, "dimension": dimension}
    return found | LAYOUTS[layout](payload, dimension), end + 4


def require_checksum(data, checksum):
    assert len(checksum) == 4
    assert struct.unpack("<I", checksum)[0] == zlib.crc32(data)


def e4m3(code):
    exponent, mantissa = code >> 3 & 15, code & 7
    assert code & 0x7F != 0x7F
    size = mantissa * 2.0**-9 if exponent == 0 else (8 + mantissa) * 2.0 ** (exponent - 10)
    return -size if code & 0x80 else size


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def bit(data, index):
    """Bit of a string that begins with the most significant bit of its first byte."""
    return data[index // 8] >> 7 - index % 8 & 1


def low_bit(data, index):
    """Bit of a string that begins with the least significant bit of its first byte."""
    return data[index // 8] >> index % 8 & 1


def whole_bytes(bits):
    return (bits + 7) // 8


def floats(data, kind="f"):
    return [value for (value,) in struct.iter_unpack("<" + kind, data)]


def read_float8(payload, dimension):
    scale, bias = struct.unpack_from("<ff", payload)
    codes = payload[8:]
    assert len(codes) == dimension
    values = [float32(e4m3(code) * scale + bias) for code in codes]
    return {"scale": scale, "bias": bias, "values": values}


def read_binary(payload, dimension):
    (threshold,), bits = struct.unpack_from("<f", payload), payload[4:]
    assert len(bits) == whole_bytes(dimension)
    assert not any(bit(bits, i) for i in range(dimension, 8 * len(bits)))
    values = [1.0 if bit(bits, i) else -1.0 for i in range(dimension)]
    return {"threshold": threshold, "values": values}


def read_pq8(payload, dimension):
    codebook_id, subvectors = struct.unpack_from("<IB", payload)
    assert codebook_id != 0
    assert len(payload) == 5 + subvectors
    return {"codebook_id": codebook_id, "codes": list(payload[5:])}


def read_rq8(payload, dimension):
    return read_pq8(payload, dimension)  # a byte for each stage, in place of each subvector


def read_canonical_sparse(payload, dimension):
    (count,) = struct.unpack_from("<I", payload)
    pairs = list(struct.iter_unpack("<If", payload[4:]))
    assert len(pairs) == count
    return sparse([index for index, _ in pairs], [weight for _, weight in pairs], dimension)


def read_compact_sparse(kind):
    def read(payload, dimension):
        (nnz,) = struct.unpack_from("<I", payload)
        data = payload[4:]
        if nnz == 0:
            assert not data
            return sparse([], [], dimension)
        bits = (dimension // nnz).bit_length() - 1
        low_end = whole_bytes(nnz * bits)
        high_bits = nnz + (dimension - 1 >> bits) + 1
        high_end = low_end + whole_bytes(high_bits)
        low, high, weights = data[:low_end], data[low_end:high_end], data[high_end:]
        require_padding(low, nnz * bits)
        require_padding(high, high_bits)
        ones = [i for i in range(high_bits) if low_bit(high, i)]
        assert len(ones) == nnz
        lows = [sum(low_bit(low, i * bits + b) << b for b in range(bits)) for i in range(nnz)]
        indices = [(one - i << bits) + lows[i] for i, one in enumerate(ones)]
        weights = stepped(weights) if kind == "B" else floats(weights, kind)
        return sparse(indices, weights, dimension)

    return read


def stepped(data):
    lowest, step = struct.unpack_from("<ff", data)
    assert step >= 0
    roots = [lowest + code * step for code in data[8:]]
    return [float32(root * abs(root)) for root in roots]


def require_padding(data, bits):
    assert not any(low_bit(data, i) for i in range(bits, 8 * len(data)))


def sparse(indices, weights, dimension):
    assert len(indices) == len(weights)
    assert all(a < b for a, b in zip(indices, [*indices[1:], dimension]))
    return {"indices": indices, "weights": weights}


def read_canonical_tokens(payload, dimension):
    original, kept, ratio = TOKENS.unpack_from(payload)
    (count,) = struct.unpack_from("<I", payload, 12)
    numbers = floats(payload[16:])
    assert count == kept <= original
    assert len(numbers) == kept * (1 + dimension)
    rows = [numbers[i * (1 + dimension) : (i + 1) * (1 + dimension)] for i in range(kept)]
    return {
        "original": original,
        "ratio": ratio,
        "importance": [row[0] for row in rows],
        "tokens": [row[1:] for row in rows],
    }


def read_compact_tokens(decode):
    def read(payload, dimension):
        original, kept, ratio = TOKENS.unpack_from(payload)
        end = 12 + whole_bytes(original)
        bitmap = payload[12:end]
        positions = [i for i in range(8 * len(bitmap)) if bit(bitmap, i)]
        assert len(positions) == kept
        assert all(position < original for position in positions)
        tokens = decode(payload[end:], kept, dimension)
        return {"original": original, "ratio": ratio, "positions": positions, "tokens": tokens}

    return read


def coded_tokens(data, kept, dimension):
    assert len(data) == kept * (4 + dimension)
    scales, codes = floats(data[: 4 * kept]), data[4 * kept :]
    return [
        [float32(e4m3(code) * scale) for code in codes[i * dimension : (i + 1) * dimension]]
        for i, scale in enumerate(scales)
    ]


def turned_tokens(bits, kind="f"):
    each = struct.calcsize(kind)

    def decode(data, kept, dimension):
        width, per_byte, top = whole_bytes(dimension * bits), 8 // bits, (1 << bits) - 1
        assert len(data) == kept * (each + width)
        scales, tokens = floats(data[: each * kept], kind), []
        for i, scale in enumerate(scales):
            assert 0 <= scale < float("inf")
            row = data[each * kept + i * width : each * kept + (i + 1) * width]
            require_padding(row, dimension * bits)
            codes = [row[k // per_byte] >> bits * (k % per_byte) & top for k in range(dimension)]
            tokens.append(turned_back([float32((2 * code - top) * scale) for code in codes]))
        return tokens

    return decode


def turned_back(values):
    size = len(values) & -len(values)
    half = 1
    while half < size:
        for start in range(0, len(values), 2 * half):
            for k in range(start, start + half):
                a, b = values[k], values[k + half]
                values[k], values[k + half] = float32(a + b), float32(a - b)
        half *= 2
    return values


def float_tokens(data, kept, dimension):
    numbers = floats(data)
    assert len(numbers) == kept * dimension
    return [numbers[i * dimension : (i + 1) * dimension] for i in range(kept)]


LAYOUTS = {
    1: read_float8,
    2: read_binary,
    3: read_pq8,
    4: read_canonical_sparse,
    5: read_compact_sparse("e"),
    6: read_compact_sparse("f"),
    7: read_canonical_tokens,
    8: read_compact_tokens(coded_tokens),
    9: read_compact_tokens(float_tokens),
    10: read_compact_tokens(turned_tokens(4)),
    11: read_compact_tokens(turned_tokens(2)),
    12: read_compact_sparse("B"),
    13: read_compact_tokens(turned_tokens(4, "e")),
    14: read_compact_tokens(turned_tokens(2, "e")),
    20: read_rq8,
}
SPARSE = (4, 5, 6, 12)  # in the order of a shard's column `layouts`
TOKEN_CODES = {  # by layout: its number, the bits of a value, the bytes of a scale
    "compact_e4m3": (8, 8, 4),
    "compact_int4": (10, 4, 4),
    "compact_int2": (11, 2, 4),
    "compact_int4_f16": (13, 4, 2),
    "compact_int2_f16": (14, 2, 2),
}


def read_safetensors(data):
    """Return `{name: (dtype, shape, bytes)}` and the metadata of a safetensors file."""
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__")
    require_seal(header, metadata)
    tensors = {}
    for name, one in header.items():
        begin, end = (8 + size + offset for offset in one["data_offsets"])
        tensors[name] = one["dtype"], one["shape"], data[begin:end]
    return tensors, metadata


def require_seal(entries, metadata):
    seal = metadata.pop("cgcython_header_crc32", None)
    if seal is None:  # a file of an earlier release
        assert not any(text.startswith('"crc32:') for text in metadata.values())
        return
    arrays = [f"{name} {one['dtype']} {one['shape']}" for name, one in entries.items()]
    texts = [f"{key} {len(text.encode())}\n{text}" for key, text in metadata.items()]
    content = "\n".join(sorted(arrays) + sorted(texts))
    assert seal == f'"crc32:{zlib.crc32(content.encode()):08x}"'


def read_sealed(data):
    """Return what a manifest of shards or a job holds."""
    about = json.loads(data)
    blank = data.replace(b'"%b"' % about["crc32"].encode(), b'"00000000"')
    assert f"{zlib.crc32(blank):08x}" == about["crc32"]
    assert about["format"] in ("cgcython-shards", "cgcython-shard-job")
    assert about["version"] == "1"
    return about


def read_folder(path):
    """Return the manifest of a whole folder of shards, and the facts of each shard."""
    about = read_sealed((path / "manifest.json").read_bytes())
    memories, size, facts = about["memories"], about["shard_size"], []
    assert len(about["entries"]) == max(1, -(-memories // size))
    for number, entry in enumerate(about["entries"]):
        first = number * size
        assert (entry["number"], entry["first"]) == (number, first)
        assert entry["rows"] == min(size, memories - first)
        data = (path / f"shard-{number:05}.safetensors").read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
        facts.append(json.loads(read_safetensors(data)[1]["facts"]))
    profile = (path / "profile.toml").read_bytes()
    assert hashlib.sha256(profile).hexdigest() == about["profile_sha256"]
    return about, facts


def read_shard(data):
    """Return the ids of a shard, and `{embedder name: {row: values}}`; codes stay codes."""
    tensors, metadata = read_safetensors(data)
    about = {key: json.loads(text) for key, text in metadata.items()}
    assert about["format"] == "cgcython-shard"
    assert about["version"] in (1, 3)
    checked = {name: values for name, (_, _, values) in tensors.items()}
    checked |= {key: metadata[key].encode() for key in ("embedders", "facts")}
    assert about["crc32"] == {name: zlib.crc32(values) for name, values in checked.items()}
    if about["version"] == 3:
        require_blocks(tensors)
    ids = tensors["ids"][2]
    ids = [ids[at : at + 16] for at in range(0, len(ids), 16)]
    found = {}
    for name, one in about["embedders"].items():
        columns = {
            key.partition(".")[2]: tensor
            for key, tensor in tensors.items()
            if key.startswith(f"{name}.")
        }
        values = read_columns(columns, one)
        rows = floats(columns["rows"][2], "q") if "rows" in columns else range(len(ids))
        found[name] = dict(zip(rows, values, strict=True))
    return ids, found


def require_blocks(tensors):
    """Take the checksums of 64 KB each out of the arrays, and compare them."""
    expected = list(floats(tensors.pop("blocks")[2], "I"))
    whole = [tensors[name][2] for name in sorted(tensors)]
    blocks = [data[at : at + 65536] for data in whole for at in range(0, len(data), 65536)]
    assert [zlib.crc32(block) for block in blocks] == expected


def read_columns(columns, about):
    """Return the values of the rows of one embedder."""
    dimension, shared = about["dimension"], about["shared"]
    if "offsets" not in columns:
        _, (rows, width), codes = columns["codes"]
        codes = [codes[i * width : (i + 1) * width] for i in range(rows)]
        if "scales" in columns:
            pairs = zip(floats(columns["scales"][2]), codes)
            return [
                read_float8(struct.pack("<ff", s, 0) + c, dimension)["values"] for s, c in pairs
            ]
        if "threshold" in shared:
            return [read_binary(bytes(4) + c, dimension)["values"] for c in codes]
        return [list(c) for c in codes]
    offsets, data = floats(columns["offsets"][2], "q"), columns["data"][2]
    rows = [data[start:stop] for start, stop in pairwise(offsets)]
    if "nnz" in columns:
        return [
            LAYOUTS[SPARSE[layout]]((struct.pack("<I", nnz) if layout else b"") + row, dimension)
            for nnz, layout, row in zip(floats(columns["nnz"][2], "I"), columns["layouts"][2], rows)
        ]
    layout, tokens = shared["layout"], []
    for original, row in zip(floats(columns["original_tokens"][2], "I"), rows):
        number, bits, scale = TOKEN_CODES[layout]
        kept = sum(byte.bit_count() for byte in row[: whole_bytes(original)])
        if len(row) != whole_bytes(original) + kept * (scale + whole_bytes(dimension * bits)):
            number = TOKEN_CODES[layout.removesuffix("_f16")][0]
        tokens.append(LAYOUTS[number](TOKENS.pack(original, kept, 0) + row, dimension)["tokens"])
    return tokens


def read_codebook(data):
    """Return `decode(codes) -> values` and the id of a codebook file."""
    tensors, metadata = read_safetensors(data)
    assert metadata["format"] in ("cgcython-pq8", "cgcython-rq8")
    assert metadata["version"] == "1"
    digest = hashlib.sha256()
    for name in sorted(tensors):
        dtype, shape, values = tensors[name]
        assert dtype == "F32"
        digest.update(f"{name} {tuple(shape)}\n".encode() + values)
    assert digest.hexdigest() == metadata["sha256"]
    numbers = {name: floats(values) for name, (_, _, values) in tensors.items()}
    shapes = {name: shape for name, (_, shape, _) in tensors.items()}
    made = decoder if metadata["format"] == "cgcython-pq8" else residual_decoder
    return made(numbers, shapes), int(digest.hexdigest()[:8], 16) or 1


def residual_decoder(numbers, shapes):
    _, count, width = shapes["centroids"]
    turned_back = back(numbers, shapes)

    def decode(codes):
        starts = [(m * count + code) * width for m, code in enumerate(codes)]
        stages = [numbers["centroids"][start : start + width] for start in starts]
        return turned_back([sum(values) for values in zip(*stages)])

    return decode


def decoder(numbers, shapes):
    _, count, width = shapes["centroids"]
    turned_back = back(numbers, shapes) if "rotation" in shapes else None

    def decode(codes):
        parts = []
        for m, code in enumerate(codes):
            start = (m * count + code) * width
            parts += numbers["centroids"][start : start + width]
        return parts if turned_back is None else turned_back(parts)

    return decode


def back(numbers, shapes):
    """Return what turns coded values back: mean + rotation @ values."""
    columns = shapes["rotation"][1]
    rows = [
        numbers["rotation"][i : i + columns] for i in range(0, len(numbers["rotation"]), columns)
    ]

    def turned_back(values):
        return [
            mean + sum(r * v for r, v in zip(row, values))
            for mean, row in zip(numbers["mean"], rows)
        ]

    return turned_back
