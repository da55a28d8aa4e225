"""Print the bytes of a column's arrays, and how many loading it took at most: a child's work.

python asv_bench/side_by_side/column_memory.py STORE E8
"""

import sys
from pathlib import Path

from cgcython import FingerprintStore, ModelId


def main(path: str, name: str) -> None:
    """Load the column of an embedder and print both."""
    with FingerprintStore.open(path, read_only=True) as store:
        before = _peak()
        column = store._columns.get(ModelId.parse(name))
        after = _peak()
    arrays = sum(one.nbytes for scan in column.scans for one in scan.arrays().values())
    print(arrays, after - before)


def _peak() -> int:
    """Return the most that this program has held; `getrusage` would count its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(*sys.argv[1:])
