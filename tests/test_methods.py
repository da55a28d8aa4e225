"""Methods are declared once, and those of other packages are found by their names."""

import copy
import pickle
import subprocess
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from cgcython import frames, methods
from cgcython.base import Embedder, QuantizationMethod
from cgcython.codecs.base import Codec, InputKind, codec_class
from cgcython.codecs.binary import BinaryCodec
from cgcython.errors import InvalidInput, UnknownMethod
from cgcython.frames import Layout
from cgcython.metadata import BinaryMetadata

PARTS = {"inputs": InputKind.DENSE, "columns": {}, "ratio": 1.0, "max_loss": 0.0}


@pytest.fixture
def installed(monkeypatch):
    """Return a function that makes it look as if packages had these entry points."""

    def install(**modules):
        points = [EntryPoint(name, module, methods.GROUP) for name, module in modules.items()]
        monkeypatch.setattr(methods, "_entry_points", lambda: points)

    methods.import_all_installed.cache_clear()
    yield install
    methods.import_all_installed.cache_clear()


@pytest.mark.parametrize("method", QuantizationMethod)
def test_every_method_has_one_codec_class(method):
    assert codec_class(method) is codec_class(method.value)
    assert codec_class(method).method is method
    assert {layout.method for layout in codec_class(method).layouts} == {method}


@pytest.mark.parametrize("method", QuantizationMethod)
def test_methods_are_the_same_after_copying_and_pickling(method):
    assert pickle.loads(pickle.dumps(method)) is method
    assert copy.deepcopy(method) is copy.copy(method) is method


@pytest.mark.parametrize("name", ["float32", "", None, 8, ["pq8"]])
def test_an_unknown_method_names_the_known_ones_and_the_remedy(name, installed):
    installed(toy9="cgtoy9")
    with pytest.raises(
        UnknownMethod, match=r"pq8, .*, token_pruning, .*toy9( \(did.*\))?, got"
    ) as refusal:
        QuantizationMethod(name)
    assert "install the package" in str(refusal.value)
    with pytest.raises(ValueError, match="method"):
        codec_class(name)


@pytest.mark.parametrize("value", [np.zeros(3), np.ma.masked_all(2), None, {}])
def test_a_value_that_cannot_be_compared_names_no_method(value):
    with pytest.raises(UnknownMethod, match="pq8"):
        Embedder("E1", 20, value)
    with pytest.raises(UnknownMethod, match="pq8"):
        codec_class(value)


def test_a_package_that_does_not_import_is_named(installed):
    installed(toy9="no_such_module")
    with pytest.raises(InvalidInput, match="toy9: expected no_such_module to import, got No"):
        QuantizationMethod("toy9")


def test_a_package_that_declares_nothing_is_named(installed):
    installed(toy9="json")
    with pytest.raises(InvalidInput, match="expected a codec of this name in json, got none"):
        QuantizationMethod("toy9")


def test_one_broken_package_does_not_hide_the_others(installed):
    installed(toy8="no_such_module", toy9="json")
    assert [wrong.split(":")[0] for wrong in methods.import_all_installed()] == [
        "[EMB-E018] method toy8",
        "[EMB-E018] method toy9",
    ]


@pytest.mark.parametrize("name", ["Toy", "4toy", "toy 4", "t" * 33, "", None, 'x"'])
def test_a_new_name_is_one_that_a_profile_can_hold(name):
    with pytest.raises(InvalidInput, match="1 to 32 of a-z"):
        QuantizationMethod.add(name)


def test_a_name_without_a_codec_is_told():
    method = QuantizationMethod.add("toy7")
    assert (str(method), repr(method)) == ("toy7", "<QuantizationMethod.TOY7: 'toy7'>")
    assert method not in list(QuantizationMethod)
    with pytest.raises(InvalidInput, match="method toy7: expected a codec that declares it"):
        method.compression_ratio()


def test_a_method_is_declared_once():
    with pytest.raises(InvalidInput, match=r"declared once, by cgcython\.codecs\.binary"):
        type("Second", (Codec,), {"method": QuantizationMethod.BINARY, "layouts": (), **PARTS})
    assert codec_class("binary") is BinaryCodec


def test_a_codec_declares_all_that_others_need():
    with pytest.raises(TypeError, match="Bare does not declare layouts, inputs, columns, ratio"):
        type("Bare", (Codec,), {"method": QuantizationMethod.add("toy6")})


@pytest.mark.parametrize("number", [0, 1, 127, 256])
def test_layouts_of_other_packages_have_numbers_of_their_own(number):
    layout = Layout.of(number, QuantizationMethod.add("toy6"), tuple, "<f")
    with pytest.raises(InvalidInput, match="expected a number from 128 to 255"):
        frames.declare([layout], own=False)


def test_layouts_have_metadata_of_their_own():
    layout = Layout.of(128, QuantizationMethod.add("toy6"), BinaryMetadata, "<f")
    with pytest.raises(InvalidInput, match=r"layout 128 of toy6: .*, got those of binary"):
        frames.declare([layout], own=False)
    assert layout not in frames.known_layouts()


def test_the_methods_of_this_package_are_found_without_looking_for_others():
    code = (
        "import sys; from cgcython.base import Profile, QuantizationMethod; Profile.named();"
        "QuantizationMethod('pq8'); print('importlib.metadata' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
