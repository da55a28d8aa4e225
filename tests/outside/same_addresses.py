"""Checks that the outside extension calls the functions of the level that is bound."""

import ctypes

import outside

from cgcython import kernels
from cgcython.kernels import dispatch

pointer = ctypes.pythonapi.PyCapsule_GetPointer
pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
name_of = ctypes.pythonapi.PyCapsule_GetName
name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]

for name, address in outside.addresses().items():
    for level in dispatch.available()[1:]:
        capsule = dispatch.load(name.partition("_")[0], level).__pyx_capi__[name]
        same = pointer(capsule, name_of(capsule)) == address
        assert same == (level == kernels.level), f"{name} of {level}"
