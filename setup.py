"""Build every kernel family once per processor level; pyproject.toml holds all else.

CGCYTHON_BUILD_LEVELS  the levels to build, of those this compiler knows ("v3 generic")
CGCYTHON_BUILD_FLAGS   flags that come last: sanitizers
CGCYTHON_PURE=1        no kernels at all: everything runs on NumPy, hundreds of times slower
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from copy import copy
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError, SetupError

KERNELS = "cgcython/kernels"
BUILT = "built.json"  # beside the kernels: what built them, which `cgcython info` prints
FAMILIES = (
    "e4m3 e4m3_best bits pq adc kmeans sparse sparse_products tokens coverage token_records "
    "sections maxsim maxsim_bf16 maxsim_integers maxsim_pq maxsim_screen maxsim_codes "
    "token_cells dense sign_blocks scalars residual eigen postings limits"
).split()
V4 = ["-march=x86-64-v4", "-mprefer-vector-width=512"]
V4N = [*V4, "-mavx512vnni"]
V4X = V4N + [f"-mavx512{feature}" for feature in "bf16 vbmi vpopcntdq bitalg".split()]
V2, V3 = ["-march=x86-64-v2"], ["-march=x86-64-v3"]
X86 = {"v2": V2, "v3": V3, "v4": V4, "v4n": V4N, "v4x": V4X}
ARM = {"neon": ["-march=armv8-a"], "dot": ["-march=armv8.2-a+dotprod+fp16"]}
GENERIC = {"generic": ["-DCG_GENERIC"]}  # vector types without any processor's instructions
MACHINES = {"x86_64": X86, "amd64": X86, "aarch64": ARM, "arm64": ARM}
# Vector loops need -O3; ties and NaN need IEEE arithmetic, so never -ffast-math. Products fuse with
# sums wherever that can be seen: gcc's habit, and clang shall return the same bits. What a compiler
# does not know of these is left out.
FLAGS = (
    "-O3 -g0 -fno-math-errno -fno-trapping-math -ffp-contract=fast -fno-loop-interchange -Wno-psabi"
).split()
UNFUSED = ("kmeans", "eigen")  # whose products are rounded: levels without FMA do the same
LAST_FLAGS = os.environ.get("CGCYTHON_BUILD_FLAGS", "").split()
DIRECTIVES = {"boundscheck": False, "wraparound": False, "cdivision": True}
DIRECTIVES["freethreading_compatible"] = True  # nothing is kept between calls: no GIL is needed
SHARED = f"{KERNELS}/_cyutility"  # one copy of Cython's memoryview code for all modules
PURE = os.environ.get("CGCYTHON_PURE", "0") not in ("", "0")
HOW_TO_COMPILE = """{problem}

cgcython needs gcc 11 or clang 14, or newer, and Python's headers:
  Debian, Ubuntu    apt install gcc python3-dev
  Fedora            dnf install gcc python3-devel
  macOS             xcode-select --install
  Windows           winget install LLVM.LLVM, in a shell of Visual Studio's build tools
The variable CC names another compiler. CGCYTHON_PURE=1 installs without kernels: everything works,
on NumPy, hundreds of times slower."""


def machine():
    """Return the processor that is built for, which need not be the one that builds."""
    name = sysconfig.get_platform().lower().replace("-", "_")
    known = next((one for one in MACHINES if name.endswith(one)), None)
    return known or ("x86_64" if name.endswith("universal2") else name.rpartition("_")[2])


class build_levels(build_ext):
    """Build what the compiler knows, keep the objects of each level apart, and say what was built.

    A level whose flags the compiler refuses is left out, in so many words; a family that fails on
    a level ends the build.
    """

    def run(self):
        self.facts = {"pure": PURE, "machine": machine(), "levels": {}, "left_out": {}}
        super().run()
        folder = Path(self.get_ext_fullpath("cgcython.kernels.any")).parent
        folder.mkdir(parents=True, exist_ok=True)
        if not self.inplace:
            self._drop_builds_before(folder)
        (folder / BUILT).write_text(json.dumps(self.facts, indent=1) + "\n", encoding="utf-8")

    def build_extensions(self):
        if PURE:
            self.extensions = []
            return
        self._take_clang_cl()
        self._need_compiler()
        levels = self._levels()
        self.extensions = [
            one for one in self.extensions if one.level is None or one.level in levels
        ]
        common = [flag for flag in FLAGS if self._compiles("int x;", [flag])]
        for one in self.extensions:
            one.extra_compile_args = self._spelled(one.arguments(common, levels) + LAST_FLAGS)
        self.facts |= {"compiler": self._version(), "flags": common + LAST_FLAGS}
        self.facts["levels"] = levels
        self._build_anew()

    def _build_anew(self):
        """Build; leave nothing that another compiler, or other flags, built in this folder."""
        stamp = Path(self.build_temp) / BUILT
        command = getattr(self.compiler, "compiler_so", [])
        now = json.dumps([self.facts["compiler"], self.facts["flags"], command])
        if stamp.exists() and stamp.read_text(encoding="utf-8") != now:
            self.force = True
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text("unfinished", encoding="utf-8")
        super().build_extensions()
        stamp.write_text(now, encoding="utf-8")

    def _drop_builds_before(self, folder):
        """Remove modules that an earlier build left where the package is put together."""
        mine = {Path(self.get_ext_fullpath(one.name)) for one in self.extensions}
        for path in folder.rglob("*" + self.get_ext_filename("")):
            if path not in mine:
                path.unlink()

    def build_extension(self, ext):
        mine = copy(self)
        mine.build_temp = os.path.join(self.build_temp, ext.name)
        try:
            build_ext.build_extension(mine, ext)
        except (BaseError, CCompilerError) as error:
            raise SetupError(
                f"{ext.name} cannot be built by {self._version()}: {error}\n"
                "The compiler's own words stand above. CGCYTHON_BUILD_LEVELS names the levels to "
                f"build (now {' '.join(self.facts['levels'])}), CC another compiler."
            ) from error

    def _levels(self):
        """Return the flags of each level that is wanted and that the compiler knows."""
        own = MACHINES.get(machine(), GENERIC)
        wanted = os.environ.get("CGCYTHON_BUILD_LEVELS", " ".join(own)).split()
        levels, known = {}, own | GENERIC
        for level in wanted:
            if level not in known:
                self.facts["left_out"][level] = f"not a level of {machine()}: {', '.join(known)}"
            elif self._compiles("#include <stdint.h>\nint x;", known[level]):
                levels[level] = known[level]
            else:
                self.facts["left_out"][level] = (
                    f"{self._version()} refuses {' '.join(known[level])}"
                )
        for level, reason in self.facts["left_out"].items():
            self.warn(f"level {level} is not built: {reason}")
        if not levels:
            raise SetupError(HOW_TO_COMPILE.format(problem="No level can be built."))
        return levels

    def _need_compiler(self):
        has_types = (
            "#if !defined(__GNUC__) && !defined(__clang__)\n#error no vector types\n#endif\n"
        )
        source = f"#include <Python.h>\n{has_types}"
        if not self._compiles(source, [], shown=True):
            raise SetupError(HOW_TO_COMPILE.format(problem=f"{self._version()} does not work."))
        if "universal2" in sysconfig.get_platform() and "ARCHFLAGS" not in os.environ:
            self.warn("a universal Python: building for the processor of ARCHFLAGS only")

    def _compiles(self, source, flags, shown=False):
        """Return whether the compiler takes a source and all flags without a complaint."""
        include = sysconfig.get_paths()["include"]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "probe.c"
            file.write_text(source, encoding="utf-8")
            if self.compiler.compiler_type == "msvc":
                command = [self.compiler.cc, "/c", "/WX", f"/Fo{folder}\\", f"/I{include}"]
            else:
                command = [*self.compiler.compiler_so, "-Werror", "-c", f"-I{include}"]
                command += ["-o", str(file.with_suffix(".o"))]
            return _runs([*command, *self._spelled(flags), str(file)], shown)

    def _take_clang_cl(self):
        """On Windows take clang-cl for Microsoft's own compiler, which has no vector types."""
        if self.compiler.compiler_type != "msvc":
            return
        self.compiler.initialize()
        self.compiler.cc = shutil.which("clang-cl")
        if self.compiler.cc is None:
            raise SetupError(HOW_TO_COMPILE.format(problem="clang-cl is not there."))

    def _spelled(self, flags):
        """Return flags as this compiler wants them: clang-cl takes its own behind /clang:."""
        if self.compiler.compiler_type != "msvc":
            return list(flags)
        return [flag if flag.startswith("-D") else f"/clang:{flag}" for flag in flags]

    def _version(self):
        if self.compiler.compiler_type == "msvc":
            command = [self.compiler.cc]
        else:  # without ccache, which tells its own
            command = [one for one in self.compiler.compiler_so if Path(one).name != "ccache"][:1]
        try:
            ran = subprocess.run([*command, "--version"], capture_output=True, text=True)
        except OSError as error:
            return f"{shlex.join(command)} ({error.strerror})"
        return (ran.stdout or shlex.join(command)).splitlines()[0]


def _runs(command, shown):
    """Return whether a command succeeds; show what it says where its failure ends the build."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        print(error, file=sys.stderr)
        return False
    if ran.returncode and shown:
        print(ran.stdout + ran.stderr, file=sys.stderr)
    return ran.returncode == 0


class Kernels(Extension):
    """A module of kernels: of one family and level, or (level None) of none."""

    level = None

    def arguments(self, common, levels):
        """Return the compiler's flags, given those it knows and those of the levels."""
        family = self.name.rpartition(".")[2]
        own = [] if self.level is None else levels[self.level]
        unfused = ["-ffp-contract=off"] if self.level and family in UNFUSED else []
        return [*common, *own, *unfused]

    def at_level(self, level):
        """Return an extension that compiles the same C file for one level."""
        one = copy(self)
        one.level, family = level, self.name.rpartition(".")[2]
        one.name = f"cgcython.kernels.{level}.{family}"
        return one


def extension(path, source_kind="pyx"):
    """Return the extension of one source file."""
    name, include = path.replace("/", "."), [KERNELS, numpy.get_include()]
    macros = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
    options = {"include_dirs": include, "define_macros": macros}
    return Kernels(name, [f"{path}.{source_kind}"], **options)


def modules():
    """Return every module that may be built; the compiler decides which are."""
    if PURE:
        return [extension(f"{KERNELS}/_cpu")]  # which is not built: facts are written nevertheless
    *families, shared, cpu = cythonize(
        [extension(f"{KERNELS}/{family}") for family in FAMILIES]
        + [extension(SHARED, "c"), extension(f"{KERNELS}/_cpu")],
        compiler_directives=DIRECTIVES,
        shared_utility_qualified_name=SHARED.replace("/", "."),
    )
    levels = MACHINES.get(machine(), {}) | GENERIC
    wanted = os.environ.get("CGCYTHON_BUILD_LEVELS", " ".join(MACHINES.get(machine(), GENERIC)))
    chosen = [level for level in levels if level in wanted.split()]
    return [shared, cpu, *(one.at_level(level) for level in chosen for one in families)]


if sys.byteorder == "big":
    raise SystemExit(
        "cgcython keeps numbers lowest byte first; big-endian processors cannot run it"
    )
options = {"build_ext": {"parallel": os.cpu_count()}}
setup(ext_modules=modules(), cmdclass={"build_ext": build_levels}, options=options)
