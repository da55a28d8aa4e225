"""Real zarr and numcodecs keep arrays as float8, bits and product quantization, by entry point."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from numcodecs.registry import register_codec as register_numcodec
from zarr.registry import register_codec as register_zarr

from cgcython import (
    BinaryCodec,
    Float8Codec,
    PQ8Codebook,
    PQ8Codec,
    RQ8Codebook,
    RQ8Codec,
    ScalarCodec,
)
from cgcython.adapters import chunks
from cgcython.adapters import numcodecs as numcodecs_adapter
from cgcython.adapters import zarr as zarr_adapter
from cgcython.errors import (
    CodebookMissing,
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    NonFiniteValue,
)

ROOT = Path(__file__).parents[2]
DIM = 36
RNG = np.random.default_rng(6)
ROWS = RNG.standard_normal((70, DIM)).astype(np.float32)
BOOK = PQ8Codebook(RNG.standard_normal((4, 256, 9)))
RESIDUAL = RQ8Codebook(RNG.standard_normal((3, 256, 4)), np.eye(DIM, 4), np.zeros(DIM))
NAMES = ["Float8", "Scalar", "Binary", "PQ8", "RQ8"]
CODECS = {
    "Float8": Float8Codec(DIM),
    "Scalar": ScalarCodec(DIM, 4),
    "Binary": BinaryCodec(DIM, 0.25),
    "PQ8": PQ8Codec(BOOK),
    "RQ8": RQ8Codec(RESIDUAL),
}
every_codec = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Register the codecs, as the entry points do where the package is installed."""
    for name in NAMES:
        register_zarr(f"cgcython.{name.lower()}", getattr(zarr_adapter, name))
        register_numcodec(getattr(numcodecs_adapter, name))


@pytest.fixture
def settings(tmp_path):
    BOOK.save(tmp_path / "book.safetensors")
    path = str(tmp_path / "book.safetensors")
    RESIDUAL.save(tmp_path / "residual.safetensors")
    residual = str(tmp_path / "residual.safetensors")
    untrained = {"Float8": {}, "Scalar": {"bits": 4}, "Binary": {"threshold": 0.25}}
    return untrained | {"PQ8": {"codebook": path}, "RQ8": {"codebook": residual}}


def expected(name, rows=ROWS):
    return CODECS[name].decode_batch(CODECS[name].encode_batch(rows))


@every_codec
def test_zarr_keeps_arrays_as_codes(name, settings, tmp_path):
    serializer = getattr(zarr_adapter, name)(**settings[name])
    path = tmp_path / "rows.zarr"
    options = {"chunks": (32, DIM), "serializer": serializer, "compressors": None}
    zarr.create_array(path, data=ROWS, **options)
    again = zarr.open_array(path, mode="r")
    np.testing.assert_array_equal(again[:], expected(name))
    np.testing.assert_array_equal(again[40:50, 3:7], expected(name)[40:50, 3:7])
    sizes = [len(one.read_bytes()) for one in path.rglob("c/*/*")]
    assert sizes == [32 * chunks.row_bytes(CODECS[name])] * 3


@every_codec
def test_zarr_keeps_shards_of_other_floats_and_shapes(name, settings, tmp_path):
    serializer = getattr(zarr_adapter, name)(**settings[name])
    cube = ROWS[:60].reshape(6, 10, DIM).astype(np.float64)
    options = {"chunks": (2, 5, DIM), "shards": (4, 10, DIM), "serializer": serializer}
    zarr.create_array(tmp_path / "cube.zarr", data=cube, **options)
    again = zarr.open_array(tmp_path / "cube.zarr", mode="r")[:]
    assert again.dtype == np.float64
    np.testing.assert_array_equal(again.reshape(-1, DIM), expected(name, ROWS[:60]))


def test_zarr_refuses_arrays_that_codes_cannot_stand_for(tmp_path):
    make = zarr.create_array
    with pytest.raises(InvalidInput, match="float32, float64 or float16, got int32"):
        make(tmp_path / "a", shape=(4, 4), dtype="i4", serializer=zarr_adapter.Float8())
    serializer = zarr_adapter.PQ8(str(tmp_path / "none.safetensors"))
    with pytest.raises(CodebookMissing, match=r"none\.safetensors"):
        make(tmp_path / "b", shape=(4, 4), dtype="f4", serializer=serializer)
    array = make(tmp_path / "c", shape=(4, 4), dtype="f4", serializer=zarr_adapter.Float8())
    with pytest.raises(NonFiniteValue):
        array[:] = np.nan


@every_codec
def test_numcodecs_gives_the_decoded_values(name, settings):
    own = settings[name] if name in ("PQ8", "RQ8") else {"dim": DIM, **settings[name]}
    codec = numcodecs.get_codec({"id": f"cgcython.{name.lower()}", **own})
    data = codec.encode(ROWS)
    assert len(data) == 70 * chunks.row_bytes(CODECS[name])
    np.testing.assert_array_equal(codec.decode(data), expected(name))
    out = np.empty_like(ROWS)
    assert codec.decode(data, out=out) is out
    np.testing.assert_array_equal(out, expected(name))
    assert codec.encode(ROWS.ravel()) == codec.encode(ROWS.tobytes()) == data
    assert numcodecs.get_codec(json.loads(json.dumps(codec.get_config()))) == codec


@every_codec
def test_zarr_2_arrays_take_numcodecs(name, settings, tmp_path):
    own = settings[name] if name in ("PQ8", "RQ8") else {"dim": DIM, **settings[name]}
    codec = getattr(numcodecs_adapter, name)(**own)
    options = {"chunks": (32, DIM), "zarr_format": 2, "compressors": codec}
    zarr.create_array(tmp_path / "rows.zarr", data=ROWS, **options)
    again = zarr.open_array(tmp_path / "rows.zarr", mode="r")
    np.testing.assert_array_equal(again[:], expected(name))


def test_other_values_and_bytes_are_refused():
    codec = numcodecs_adapter.Float8(DIM)
    with pytest.raises(DimensionMismatch, match="expected 36 values per row, got 35"):
        codec.encode(ROWS[:, :35])
    with pytest.raises(InvalidInput, match="got int64"):
        codec.encode(np.arange(36))
    with pytest.raises(InvalidInput, match="got int32"):
        numcodecs_adapter.Float8(DIM, dtype="<i4")
    with pytest.raises(InvalidQuantizedData, match="expected 40 bytes, got 41"):
        codec.decode(bytes(41))
    with pytest.raises(InvalidQuantizedData, match="a scale overflows"):
        codec.decode(b"\xff" * 40)


def test_entry_points_lead_to_the_codecs(tmp_path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = tmp_path / "stand_in-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: stand_in\nVersion: 1\n")
    groups = [f"[{name}]\n" + _lines(points) for name, points in project["entry-points"].items()]
    (info / "entry_points.txt").write_text("\n".join(groups))
    command = f"""
import sys
sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]
import numcodecs, zarr.registry
for name in {[name.lower() for name in NAMES]}:
    print(zarr.registry.get_codec_class("cgcython." + name).__qualname__)
print(numcodecs.get_codec(dict(id="cgcython.binary", dim=8)))
"""
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.stdout.split("\n")[: len(NAMES)] == NAMES, done.stderr
    assert "Binary(dim=8" in done.stdout


def _lines(points):
    return "".join(f"{name} = {value}\n" for name, value in points.items())
