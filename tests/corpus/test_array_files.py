"""Files of arrays: mapped where they can be, refused where they are not what their names say."""

import io
import json
import struct
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from cgcython.corpus.array_files import ONLY, open_arrays
from cgcython.errors import InvalidInput

DENSE = np.arange(12, dtype=np.float32).reshape(3, 4)


def npy(header, data=b""):
    """Return the bytes of a .npy file with a header of any text."""
    header = header.encode("latin1")
    header += b" " * (-(11 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + data


def npy_of_shape(shape):
    return npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}", bytes(64))


def archive(member, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as written:
        written.writestr("E1.npy", member)
    return bytearray(file.getvalue())


def patched(content, *changes):
    """Return an archive with bytes changed, counted from the start or after its directory's."""
    directory = content.find(b"PK\1\2")
    for is_in_directory, place, value in changes:
        content[directory * is_in_directory + place] = value
    return content


def with_bad_lzma(content):
    return content[:50] + b"\xff" * 10 + content[60:]


GOOD = npy_of_shape("(4, 4)")
BAD = {
    "x.npy": b"",
    "x.npz": b"",
    "x.safetensors": b"",
    "text.npy": b"no arrays at all, whatever the name says",
    "text.npz": b"no arrays at all, whatever the name says",
    "text.safetensors": b"no arrays at all, whatever the name says",
    "an archive.npy": archive(GOOD),
    "one array.npz": GOOD,
    "too many values.npy": npy_of_shape(f"({2**70},)"),
    "negative.npy": npy_of_shape("(-1, 4)"),
    "brackets.npy": npy("(" * 900),
    "brackets.npz": archive(npy("(" * 900)),
    "encrypted.npz": patched(archive(GOOD), (True, 8, 1), (False, 6, 1)),
    "compression 99.npz": patched(archive(GOOD), (True, 10, 99), (False, 8, 99)),
    "text in it.npz": archive(b"hello"),
    "bad lzma.npz": with_bad_lzma(archive(GOOD, zipfile.ZIP_LZMA)),
    "bad deflate.npz": patched(archive(GOOD, zipfile.ZIP_DEFLATED), (False, 60, 0xFF)),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_are_something_else_are_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BAD[name])
    with pytest.raises(InvalidInput, match=f"a {path.suffix} file"):
        list(open_arrays(path).values())


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InvalidInput):
        open_arrays(tmp_path / "x.npy")


def test_npy_and_safetensors_are_mapped(tmp_path):
    np.save(tmp_path / "a.npy", DENSE)
    save_file({"E1": DENSE}, tmp_path / "a.safetensors")
    for path, name in (("a.npy", ONLY), ("a.safetensors", "E1")):
        found = open_arrays(tmp_path / path)[name]
        assert isinstance(found, np.memmap)
        np.testing.assert_array_equal(found, DENSE)


def test_an_array_of_an_archive_is_read_once_and_when_asked_for(tmp_path):
    content = with_bad_lzma(archive(GOOD, zipfile.ZIP_LZMA))
    (tmp_path / "x.npz").write_bytes(content)
    found = open_arrays(tmp_path / "x.npz")
    assert (list(found), "E1" in found, len(found)) == (["E1"], True, 1)
    np.savez(tmp_path / "y.npz", E1=DENSE)
    found = open_arrays(tmp_path / "y.npz")
    assert found["E1"] is found["E1"]
    with pytest.raises(KeyError):
        found["E2"]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.npz"):
        open_arrays(Path(tmp_path, "nothing.npz"))


@pytest.mark.parametrize(("name", "dtype"), [("BF16", "bfloat16"), ("F8_E4M3", "float8_e4m3fn")])
def test_narrow_floats_of_safetensors_are_read_as_float32(tmp_path, name, dtype):
    narrow = DENSE.astype(getattr(ml_dtypes, dtype))
    place = {"dtype": name, "shape": [3, 4], "data_offsets": [0, narrow.nbytes]}
    head = json.dumps({"E1": place}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + narrow.tobytes())
    found = open_arrays(tmp_path / "x.safetensors")["E1"]
    np.testing.assert_array_equal(found[1:], narrow.astype(np.float32)[1:])


def test_what_was_checked_is_mapped_in_an_archive_too(tmp_path):
    arrays = {"E1": DENSE, "E2": np.asfortranarray(DENSE), "E3": DENSE[:0], "ids": np.arange(3)}
    np.savez(tmp_path / "x.npz", **arrays)
    np.savez_compressed(tmp_path / "y.npz", **arrays)
    for name, mapped in (("x.npz", ["E1", "ids"]), ("y.npz", [])):
        found = open_arrays(tmp_path / name, checked=True)
        assert [one for one in found if isinstance(found[one], np.memmap)] == mapped
        for one, array in arrays.items():
            np.testing.assert_array_equal(found[one], array)
