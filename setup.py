"""Build every kernel family once per processor level; pyproject.toml holds all else."""

import os
import platform
from copy import copy

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = "cgcython/kernels"
FAMILIES = ["e4m3", "bits", "pq", "kmeans", "sparse", "tokens", "maxsim", "dense"]
V4X = ["vnni", "bf16", "vbmi", "vpopcntdq", "bitalg"]
LEVELS = {
    "v2": ["-march=x86-64-v2"],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    "v4x": ["-march=x86-64-v4", "-mprefer-vector-width=512", *(f"-mavx512{x}" for x in V4X)],
}
# Vector loops need -O3; ties and NaN need IEEE arithmetic, so never -ffast-math.
FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-fno-loop-interchange", "-Wno-psabi"]
INCLUDE = [KERNELS, numpy.get_include()]
MACROS = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
DIRECTIVES = {"boundscheck": False, "wraparound": False, "cdivision": True}
SHARED = "cgcython.kernels._cyutility"  # one copy of Cython's memoryview code for all modules


class build_levels(build_ext):
    """Keep the objects of each level apart: all levels compile the same C files."""

    def build_extension(self, ext):
        build_temp, self.build_temp = self.build_temp, os.path.join(self.build_temp, ext.name)
        super().build_extension(ext)
        self.build_temp = build_temp

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()


def extension(name, source):
    # Optional: without a compiler, or with one that lacks a level, the package still installs.
    return Extension(
        name,
        [source],
        extra_compile_args=FLAGS,
        include_dirs=INCLUDE,
        define_macros=MACROS,
        optional=True,
    )


def at_level(ext, level):
    ext, family = copy(ext), ext.name.rpartition(".")[2]
    ext.name = f"cgcython.kernels.{level}.{family}"
    ext.extra_compile_args = FLAGS + LEVELS[level]
    return ext


modules = cythonize(
    [extension(f"cgcython.kernels.{name}", f"{KERNELS}/{name}.pyx") for name in ["_cpu", *FAMILIES]]
    + [Extension(SHARED, [f"{KERNELS}/_cyutility.c"], optional=True)],
    compiler_directives=DIRECTIVES,
    shared_utility_qualified_name=SHARED,
    nthreads=0,
)
families = [ext for ext in modules if ext.name.rpartition(".")[2] in FAMILIES]
common = [ext for ext in modules if ext not in families]
levels = LEVELS if platform.machine().lower() in ("x86_64", "amd64") else []
setup(
    ext_modules=common + [at_level(ext, level) for level in levels for ext in families],
    cmdclass={"build_ext": build_levels},
)
