"""Build every kernel family once per processor level; pyproject.toml holds all else."""

import os
import platform
from copy import copy

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = "cgcython/kernels"
FAMILIES = (
    "e4m3 e4m3_best bits pq adc kmeans sparse sparse_products tokens coverage token_records "
    "sections maxsim maxsim_bf16 maxsim_integers maxsim_pq maxsim_screen maxsim_codes "
    "token_cells dense sign_blocks scalars residual eigen postings limits"
).split()
V4 = ["-march=x86-64-v4", "-mprefer-vector-width=512"]
V4N = [*V4, "-mavx512vnni"]
V4X = V4N + [f"-mavx512{feature}" for feature in "bf16 vbmi vpopcntdq bitalg".split()]
V2, V3 = ["-march=x86-64-v2"], ["-march=x86-64-v3"]
LEVELS = {"v2": V2, "v3": V3, "v4": V4, "v4n": V4N, "v4x": V4X}
# Vector loops need -O3; ties and NaN need IEEE arithmetic, so never -ffast-math.
FLAGS = "-O3 -g0 -fno-math-errno -fno-trapping-math -fno-loop-interchange -Wno-psabi".split()
UNFUSED = ("kmeans", "eigen")  # whose products are rounded: levels without FMA do the same
# For sanitizers: flags that come last, and the only levels to build.
FLAGS += os.environ.get("CGCYTHON_BUILD_FLAGS", "").split()
WANTED = os.environ.get("CGCYTHON_BUILD_LEVELS", " ".join(LEVELS)).split()
DIRECTIVES = {"boundscheck": False, "wraparound": False, "cdivision": True}
DIRECTIVES["freethreading_compatible"] = True  # nothing is kept between calls: no GIL is needed
SHARED = f"{KERNELS}/_cyutility"  # one copy of Cython's memoryview code for all modules


class build_levels(build_ext):
    """Keep the objects of each level apart: all levels compile the same C files."""

    def build_extension(self, ext):
        mine = copy(self)
        mine.build_temp = os.path.join(self.build_temp, ext.name)
        build_ext.build_extension(mine, ext)


def extension(path, source_kind="pyx"):
    """Return the extension of one source file."""
    name, include = path.replace("/", "."), [KERNELS, numpy.get_include()]
    macros = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
    options = {"extra_compile_args": FLAGS, "include_dirs": include, "define_macros": macros}
    return Extension(name, [f"{path}.{source_kind}"], **options)


def at_level(ext, level):
    """Return an extension that compiles the same C file for one level."""
    ext, family = copy(ext), ext.name.rpartition(".")[2]
    ext.name = f"cgcython.kernels.{level}.{family}"
    ext.extra_compile_args = FLAGS + LEVELS[level]
    if family in UNFUSED:
        ext.extra_compile_args = [*ext.extra_compile_args, "-ffp-contract=off"]
    return ext


*families, shared, cpu = cythonize(
    [extension(f"{KERNELS}/{family}") for family in FAMILIES]
    + [extension(SHARED, "c"), extension(f"{KERNELS}/_cpu")],
    compiler_directives=DIRECTIVES,
    shared_utility_qualified_name=SHARED.replace("/", "."),
)
levels = WANTED if platform.machine().lower() in ("x86_64", "amd64") else []
modules = [shared, cpu, *(at_level(ext, level) for level in levels for ext in families)]
for module in modules:
    module.optional = True  # without a compiler, or one that knows a level, the rest installs
options = {"build_ext": {"parallel": os.cpu_count()}}
setup(ext_modules=modules, cmdclass={"build_ext": build_levels}, options=options)
