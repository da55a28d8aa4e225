"""The .pyi beside each .pyx tells type checkers the truth, on every level."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from cgcython import kernels
from cgcython.kernels import dispatch

FOLDER = Path(kernels.__file__).parent


def declared(path):
    """Return {function: its parameters and their defaults} of a stub; the first of overloads."""
    functions = [x for x in ast.parse(path.read_text()).body if isinstance(x, ast.FunctionDef)]
    return {
        function.name: (
            [argument.arg for argument in function.args.args],
            [ast.unparse(default) for default in function.args.defaults],
        )
        for function in reversed(functions)
    }


@pytest.mark.parametrize("family", dispatch.FAMILIES)
def test_a_stub_names_every_function_and_parameter(kernel, family):
    module = kernel(family)
    for name, (parameters, defaults) in declared(FOLDER / f"{family}.pyi").items():
        signature = inspect.signature(getattr(module, name)).parameters.values()
        assert [x.name for x in signature] == parameters
        assert [repr(x.default) for x in signature if x.default is not x.empty] == defaults


@pytest.mark.parametrize("family", dispatch.FAMILIES)
def test_a_stub_leaves_no_function_out(family):
    source = (FOLDER / f"{family}.pyx").read_text()
    assert declared(FOLDER / f"{family}.pyi").keys() == set(re.findall(r"^def (\w+)", source, re.M))


def test_the_package_lists_every_family():
    listed = re.findall(r"import (\w+) as \1$", (FOLDER / "__init__.pyi").read_text(), re.M)
    assert set(listed) == {*dispatch.FAMILIES, "dispatch"}
