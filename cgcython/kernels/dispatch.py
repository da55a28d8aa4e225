"""Which build of the kernels runs: the only file that knows processors."""

import importlib
import json
import os
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from cgcython.locks import ForkSafeLock

FAMILIES = tuple(
    (
        "e4m3 e4m3_best bits pq adc kmeans sparse sparse_products tokens coverage token_records "
        "sections maxsim maxsim_bf16 maxsim_integers maxsim_pq maxsim_screen maxsim_codes "
        "token_cells dense sign_blocks scalars residual eigen postings limits"
    ).split()
)
LEVELS = ("reference", "generic", "v2", "v3", "v4", "v4n", "v4x", "neon", "dot")
VARIABLE = "CGCYTHON_LEVEL"
_PACKAGE = "cgcython.kernels"
_SWITCHING = ForkSafeLock()  # two threads that switch leave all families at one level


def load(family: str, level: str) -> ModuleType:
    """Return the module of one family at one level.

    Raises ImportError when this level was not built.
    """
    return importlib.import_module(f"{_PACKAGE}.{level}.{family}")


def available() -> list[str]:
    """Return the levels that were built and that this processor runs, slowest first."""
    return [level for level in ("reference", *_runs()) if _is_built(level)]


def _runs() -> list[str]:
    try:
        cpu = importlib.import_module(f"{_PACKAGE}._cpu")
    except ImportError:
        return []
    return list(cpu.levels())


def _is_built(level: str) -> bool:
    return all(find_spec(f"{_PACKAGE}.{level}.{family}") for family in FAMILIES)


def use(level: str) -> None:
    """Bind every family of `cgcython.kernels` to one level, for Python and for cimport."""
    if level not in LEVELS:
        raise ValueError(f"{VARIABLE} is {level!r}, expected one of {', '.join(LEVELS)}")
    if level not in available():
        raise ValueError(
            f"level {level!r} was not built or does not run here; "
            f"available: {', '.join(available())}"
        )
    package = sys.modules[_PACKAGE]
    with _SWITCHING:
        for family in FAMILIES:
            module = load(family, level)
            setattr(package, family, module)
            # cimport looks here; compiled callers keep the level they were imported under.
            sys.modules[f"{_PACKAGE}.{family}"] = module
        vars(package)["level"] = level


def use_best() -> None:
    """Bind the level that CGCYTHON_LEVEL names, or else the fastest.

    Raises ImportError on a big-endian processor.
    """
    if sys.byteorder == "big":
        raise ImportError(
            "cgcython keeps numbers lowest byte first; big-endian processors cannot run it"
        )
    use(os.environ.get(VARIABLE) or _best())


def _best() -> str:
    best = available()[-1]
    if best == "reference":
        warnings.warn(f"cgcython runs without compiled kernels, {_advice()}", stacklevel=3)
    return best


def _advice() -> str:
    """Return why there are no kernels, and what helps here."""
    facts = built()
    if facts.get("pure"):
        return (
            "hundreds of times slower: it was installed under CGCYTHON_PURE=1; "
            "install it again without that"
        )
    levels = [level for level in facts.get("levels", ()) if level not in ("reference", "generic")]
    if levels and not any(find_spec(f"{_PACKAGE}.{level}.e4m3") for level in levels):
        return "hundreds of times slower: its modules are gone; install it again"
    if levels:
        return (
            f"hundreds of times slower: this processor runs none of {', '.join(levels)}; build it "
            "here with CGCYTHON_BUILD_LEVELS=generic pip install --no-binary cgcython cgcython"
        )
    compilers = {"darwin": "xcode-select --install", "win32": "LLVM's clang-cl"}
    return (
        "hundreds of times slower; reinstall it with a C compiler "
        f"({compilers.get(sys.platform, 'gcc or clang')})"
    )


def built() -> dict[str, Any]:
    """Return what the build wrote of itself: compiler, flags, levels, those left out and why.

    Nothing where the package lies as sources that were never built.
    """
    try:
        facts = json.loads((Path(__file__).parent / "built.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
