"""Show version, processor levels, how the kernels were built, and extras of this installation.

CGCYTHON_LEVEL (reference, generic, v2, v3, v4, v4n, v4x, neon, dot)
forces a level; the best one runs otherwise.

example:
  cgcython info
  CGCYTHON_LEVEL=v3 cgcython info --json
"""

import argparse
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from cgcython import __version__, kernels
from cgcython.cli import options
from cgcython.cli.failures import LIMIT, OK
from cgcython.cli.output import print_json, print_table
from cgcython.kernels import dispatch
from cgcython.store.keepers.rocksdb import PACKAGE

EXTRAS = {
    "store": PACKAGE,
    "ann": "usearch",
    "arrow": "pyarrow",
    "cluster": "distributed",
    "remote": "fsspec",
    "zarr": "zarr",
    "progress": "tqdm",
    "plot": "matplotlib",
    "completion": "shtab",
    "bench": "asv",
    "interop": "torch",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    about = _about()
    if args.json:
        print_json(about)
    else:
        print_table(["", ""], [[key, _told(value)] for key, value in about.items()])
    return OK if all(one == "ok" for one in about["checks"].values()) else LIMIT


def _about() -> dict[str, Any]:
    return {
        "version": __version__,
        "level": kernels.level,
        "available_levels": dispatch.available(),
        "checks": {level: _check(level) for level in dispatch.available()},
        "built": dispatch.built() or None,
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "python": platform.python_version(),
        "numpy": np.__version__,
        "extras": {extra: _extra(package) for extra, package in EXTRAS.items()},
    }


def _check(level: str) -> str:
    """Compare one kernel of a level with its definition: every E4M3 code decoded."""
    codes = np.arange(256, dtype=np.uint8)
    expected, actual = np.empty(256, np.float32), np.empty(256, np.float32)
    dispatch.load("e4m3", "reference").decode(codes, 1.0, 0.0, expected)
    dispatch.load("e4m3", level).decode(codes, 1.0, 0.0, actual)
    return "ok" if np.array_equal(expected, actual, equal_nan=True) else "wrong results"


def _extra(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """Return the name of the processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or sys.platform


def _told(value: object) -> str:
    if isinstance(value, dict) and not value:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_told(one)}" for key, one in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "not found" if value is None else str(value)
