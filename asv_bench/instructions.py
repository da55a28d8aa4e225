"""Count what the main kernels execute, and compare it with the counts committed beside this file.

    python asv_bench/instructions.py            print the table, exit 1 beyond 2 %
    python asv_bench/instructions.py --record   keep this compiler's counts in instructions.json

Counts come from one run of workloads.py under valgrind, which knows AVX2, so at level v3. They do
not depend on how busy the machine is, only on the compiler: a compiler without committed counts
passes with a warning. Without valgrind, or on a processor without v3, nothing is compared.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from pathlib import Path

from cgcython.kernels import dispatch

HERE = Path(__file__).resolve().parent
COUNTS = HERE / "instructions.json"
LEVEL, TOLERANCE = "v3", 0.02
LEAST = 10_000  # below it the call from Python is what counts
# Cython's name of a function that Python calls: each part of its path after its length.
PREFIX = "__pyx_pw_8cgcython_7kernels_"
WRAPPER = re.compile(rf"fn={PREFIX}\d+({'|'.join(dispatch.FAMILIES)})_\d+(\w+)")


def compiler():
    """Return family and version of the C compiler that setuptools calls, as "gcc 12.2.0"."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    preprocess = [command[0], "-E", "-P", "-"]
    version = subprocess.run(
        preprocess, input="__VERSION__", capture_output=True, text=True, check=True
    ).stdout
    family = "clang" if "clang" in version.lower() else "gcc"
    return f"{family} {re.search(r'[0-9][0-9.]*', version)[0]}"


def callgrind(out):
    """Run the workloads under valgrind, which writes its counts of the kernels to `out`."""
    toggles = [f"--toggle-collect={PREFIX}{len(name)}{name}_*" for name in dispatch.FAMILIES]
    plain = ["--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={out}"]
    command = ["valgrind", "-q", "--tool=callgrind", *plain, *toggles]
    environment = {**os.environ, "CGCYTHON_LEVEL": LEVEL, "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(
        [*command, sys.executable, str(HERE / "workloads.py")], env=environment, check=True
    )


def counts_of(lines):
    """Return {kernel: instructions, callees included} of a callgrind file."""
    counts, kernel = Counter(), None
    for line in lines:
        if line.startswith("fn="):
            found = WRAPPER.match(line)
            kernel = ".".join(found.groups()) if found else None
        elif kernel and line[:1].isdigit():
            counts[kernel] += int(line.split()[1])
    return {kernel: count for kernel, count in sorted(counts.items()) if count >= LEAST}


def measure():
    """Return {kernel: instructions} of this build."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        callgrind(out)
        with out.open() as lines:
            return counts_of(lines)


def changes(counts, committed):
    """Return {kernel: count / committed - 1}; infinite where only one side has the kernel."""
    return {
        kernel: counts[kernel] / committed[kernel] - 1
        if kernel in counts and kernel in committed
        else float("inf")
        for kernel in sorted(counts.keys() | committed.keys())
    }


def report(counts, committed):
    """Print the table and return how many kernels differ by more than the tolerance."""
    table = changes(counts, committed)
    print(f"{'kernel':<34} {'count':>12} {'committed':>12} {'change':>9}")
    for kernel, change in table.items():
        mark = "  CHANGED" if abs(change) > TOLERANCE else ""
        print(
            f"{kernel:<34} {counts.get(kernel, 0):>12,} {committed.get(kernel, 0):>12,} "
            f"{change:>+9.2%}{mark}"
        )
    return sum(abs(change) > TOLERANCE for change in table.values())


def why_not():
    """Return why nothing can be counted here, or None."""
    if not shutil.which("valgrind"):
        return "valgrind is not installed (apt-get install valgrind)"
    if LEVEL not in dispatch.available():
        return f"level {LEVEL} was not built or does not run here"
    return None


def main(arguments=None):
    """Print the table and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="keep the counts of this compiler")
    options = parser.parse_args(arguments)
    if reason := why_not():
        print(f"skipped: {reason}")
        return 0
    return judge(measure(), compiler(), COUNTS, options.record)


def judge(counts, name, path, record):
    """Compare one compiler's counts with those in a file, or record them; return the status."""
    known = json.loads(path.read_text()) if path.exists() else {}
    if record:
        path.write_text(json.dumps({**known, name: counts}, indent=2, sort_keys=True) + "\n")
    elif name not in known:
        print(f"warning: no counts of {name}, only of {', '.join(known) or 'none'}.")
        print("Record them on a sound build: python asv_bench/instructions.py --record")
    changed = report(counts, counts if record else known.get(name, counts))
    print(f"{name}, level {LEVEL}: {len(counts) - changed} of {len(counts)} kernels as committed")
    if changed:
        print("If the change is meant: python asv_bench/instructions.py --record")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
