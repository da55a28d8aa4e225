"""Imports and cimports point left along the layers, never right."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cgcython"
LAYERS = (
    "system types narrow_floats checksums strict_json errors checks methods base arrays locks "
    "parallel runners files folders tensors metadata frames manifest records kernels token_array "
    "similarity codecs interchange embedders router fingerprint inputs store search corpus "
    "evaluation adapters cluster cli"
).split()
FACES = {"__init__", "__main__"}
IMPORT = re.compile(
    r"^\s*(?:from\s+(cgcython[\w.]*)\s+c?import\s+(.*)|c?import\s+(cgcython[\w.]*))", re.M
)
KINDS = ("py", "pyx", "pxd", "pyi")
SOURCES = sorted(path for kind in KINDS for path in PACKAGE.rglob(f"*.{kind}"))


def layer_of(path):
    return path.relative_to(PACKAGE).parts[0].partition(".")[0]


def imported_layers(text):
    for module, names, plain in IMPORT.findall(text):
        parts = (module or plain).split(".")
        yield from [parts[1]] if len(parts) > 1 else re.findall(r"\w+", names)


def imports_right(path):
    """Return the layers that a source imports although they are not to its left."""
    here = layer_of(path)
    layers = set() if here in FACES else set(imported_layers(path.read_text())) & set(LAYERS)
    return {there for there in layers if LAYERS.index(there) > LAYERS.index(here)}


def test_imports_point_left():
    assert {str(path): found for path in SOURCES if (found := imports_right(path))} == {}


def test_every_folder_and_module_is_a_layer():
    assert {layer_of(path) for path in SOURCES} - FACES <= set(LAYERS) | {"profiles"}


def test_the_reader_of_imports_sees_them_all():
    text = "from cgcython.store cimport x\nimport cgcython.cli\nfrom cgcython import kernels, base"
    assert list(imported_layers(text)) == ["store", "cli", "kernels", "base"]


@pytest.mark.parametrize(
    ("wing", "names"), [("rocksdb", "rocksdict|RocksDB"), ("postgres", "psycopg")]
)
def test_only_its_own_wing_names_the_database(wing, names):
    folder = PACKAGE / "store" / "keepers" / wing
    others = [path for path in SOURCES if folder not in path.parents]
    named = re.compile(rf"{names}|keepers\.{wing}\.|keepers\.{wing} import \w+ as")
    assert [path.name for path in others if named.search(path.read_text())] == []


def test_only_its_own_layer_names_dask():
    named = re.compile(r"^\s*(?:from|import) (?:dask|distributed)\b", re.M)
    others = [path for path in SOURCES if layer_of(path) != "cluster"]
    assert [path.name for path in others if named.search(path.read_text())] == []


def test_nothing_of_dask_is_imported_without_a_scheduler():
    code = "import sys, cgcython; from cgcython.cli import main; from cgcython.cluster.opening \\\n"
    code += (
        "    import open_runner\nwith open_runner(None) as runner:\n    list(runner.run(abs, [1]))"
    )
    code += "\nmain(['encode', '--help']); main(['search', '--help'])"
    code += "\nprint(sorted({'dask', 'distributed', 'tornado'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_only_remote_inputs_name_fsspec():
    named = re.compile(r"^\s*(?:from|import) (?:fsspec|s3fs)\b", re.M)
    others = [path for path in SOURCES if path.parent != PACKAGE / "corpus" / "remote"]
    assert [path.name for path in others if named.search(path.read_text())] == []
