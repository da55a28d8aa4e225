"""Checks that the outside extension calls the functions of the level that is bound."""

import ctypes

import outside

from cgcython import kernels
from cgcython.kernels import dispatch

pointer = ctypes.pythonapi.PyCapsule_GetPointer
pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
name_of = ctypes.pythonapi.PyCapsule_GetName
name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]


def functions_of(level):
    """Return what the families of a level offer to C, by name."""
    families = [dispatch.load(family, level) for family in dispatch.FAMILIES]
    offered = [getattr(family, "__pyx_capi__", {}) for family in families]
    return {name: capsule for one in offered for name, capsule in one.items()}


for level in dispatch.available()[1:]:
    functions = functions_of(level)
    for name, address in outside.addresses().items():
        capsule = functions[name]
        same = pointer(capsule, name_of(capsule)) == address
        assert same == (level == kernels.level), f"{name} of {level}"
