"""Other people's Cython code cimports kernels, as docs/CIMPORT.md tells."""

import ctypes
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cgcython
from cgcython.kernels import dispatch

PACKAGE = Path(cgcython.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "CIMPORT.md").read_text()
FACES = sorted((PACKAGE / "kernels").glob("[a-z]*.pxd"))
SIGNATURE = re.compile(r"^cdef [^(]*?(\w+)\([^)]*\)(?: noexcept nogil| except -1)$", re.M)
COMPILED = dispatch.available()[1:]
pytestmark = pytest.mark.skipif(not COMPILED, reason="no compiled kernels")


def functions_of(path):
    """Return {function: its signature on one line} of a .pxd file."""
    found = SIGNATURE.finditer(path.read_text())
    return {match[1]: " ".join(match[0].split()) for match in found}


FUNCTIONS = {name: text for path in FACES for name, text in functions_of(path).items()}


# Prints how many functions an extension calls, and whether they are those of each level.
FOLLOW = """if True:
    import json, sys
    import everything
    sys.path.insert(0, sys.argv[1])
    from test_cimport import COMPILED, addresses_at
    called = everything.addresses()
    print(json.dumps([len(called), {level: called == addresses_at(level) for level in COMPILED}]))
"""


@pytest.fixture(scope="module")
def run_outside(tmp_path_factory):
    """Build the page's example in a folder of its own; return a call that runs a file there."""
    folder = tmp_path_factory.mktemp("outside")
    for name, text in re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.M | re.S):
        (folder / name).write_text(text)
    (folder / "everything.pyx").write_text(everything())
    (folder / "setup_everything.py").write_text(
        (folder / "setup.py").read_text().replace("outside", "everything")
    )

    def run(*arguments, level=COMPILED[-1]):
        environment = {
            "PYTHONPATH": str(PACKAGE.parent),
            dispatch.VARIABLE: level,
            "CFLAGS": "-O0 -g0",  # optimizing takes longer than all that is tried here
        }
        options = {"cwd": folder, "env": os.environ | environment, "check": False}
        return subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, **options
        )

    for setup in ("setup.py", "setup_everything.py"):
        built = run(setup, "-q", "build_ext", "--inplace")
        assert built.returncode == 0, built.stderr
    return run


def everything():
    """Return the source of an extension that tells where each function lies that it would call."""
    names = ", ".join(FUNCTIONS)
    lines = "".join(f'    found["{name}"] = <size_t>{name}\n' for name in FUNCTIONS)
    return f"""from cgcython.kernels cimport {names}


def addresses():
    found = {{}}
{lines}    return found
"""


def addresses_at(level):
    """Return where the functions lie that the families of a level offer."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    families = [dispatch.load(family, level) for family in dispatch.FAMILIES]
    offered = [getattr(family, "__pyx_capi__", {}) for family in families]
    return {
        name: pointer(capsule, name_of(capsule)) for one in offered for name, capsule in one.items()
    }


@pytest.mark.parametrize("level", COMPILED[:: max(1, len(COMPILED) - 1)])
def test_the_example_of_the_page_runs(run_outside, level):
    ran = run_outside("use.py", level=level)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("codes of 1000 rows keep a cosine of 0.")


@pytest.mark.parametrize("level", COMPILED)
def test_cimported_functions_follow_the_chosen_level(run_outside, level):
    ran = run_outside("-c", FOLLOW, str(Path(__file__).parent), level=level)
    assert ran.returncode == 0, ran.stderr
    expected = {other: other == level for other in COMPILED}
    assert json.loads(ran.stdout) == [len(FUNCTIONS), expected]


def test_without_compiled_kernels_the_cimport_fails_at_import(run_outside):
    ran = run_outside("use.py", level="reference")
    assert ran.returncode == 1
    assert "module 'cgcython.kernels.reference.dense' has no attribute" in ran.stderr


def test_every_family_with_functions_for_c_is_offered():
    offered = re.findall(
        r"^from cgcython\.kernels\.(\w+) cimport \*$",
        (PACKAGE / "kernels" / "__init__.pxd").read_text(),
        re.M,
    )
    assert set(offered) == {path.stem for path in FACES}
    # They measure the machine, make bytes of Python, and serve one search of the package.
    assert set(dispatch.FAMILIES) - set(offered) == {"eigen", "limits", "sections", "postings"}


@pytest.mark.parametrize("level", COMPILED)
def test_every_level_offers_every_function(level):
    assert addresses_at(level).keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("path", FACES, ids=lambda path: path.stem)
def test_the_page_shows_every_function_of_a_family(path):
    section = re.search(rf"^## .*: `{path.stem}`\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]
    shown = [" ".join(match[0].split()) for match in SIGNATURE.finditer(section)]
    assert shown == list(functions_of(path).values())


@pytest.mark.parametrize("path", FACES, ids=lambda path: path.stem)
def test_the_page_explains_every_pointer(path):
    section = re.search(rf"^## .*: `{path.stem}`\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]
    first_column = " ".join(re.findall(r"^\| (`[^|]*) \|", section, re.M))
    pointers = re.findall(r"\*(\w+)", " ".join(functions_of(path).values()))
    explained = set(re.findall(r"`(\w+)`", first_column))
    assert {re.sub(r"_[ab]$", "", name) for name in pointers} <= explained
