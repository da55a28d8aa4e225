"""What every kernel returns and writes, as checksums: to compare processors and compilers.

    python tests/kernel_digests.py > here.txt              # one line a call, on every FMA level
    python tests/kernel_digests.py --compare here.txt      # elsewhere: exit 1 where one differs

Inputs are seeded. All levels that have FMA return the same bits, so a file holds each call once.
"""

import argparse
import sys
import zlib

import numpy as np
from kernel_arrays import Make
from kernel_calls import CALLS
from kernel_levels import FUSING

from cgcython.kernels import dispatch

SIZES = [(1, 8), (7, 33), (33, 40), (70, 128), (130, 200)]  # rows, values in a row
# Whose scratch memory is laid out for a level's vectors, or which tell of the level itself; their
# results are compared between levels by their own tests.
OF_A_LEVEL = ("limits.", "coverage.", "e4m3_best.", "postings.best", "pq.encode_rows True")
OF_A_LEVEL += ("pq.decode_rows True", "maxsim_screen.score", "maxsim_screen.pays")
OF_A_LEVEL += ("maxsim_codes.pays",)


def digest(values, crc=0):
    """Return the checksum of arrays, texts and numbers, in order."""
    for one in values:
        if isinstance(one, np.ndarray):
            crc = zlib.crc32(np.ascontiguousarray(one).tobytes(), crc)
        elif isinstance(one, (list, tuple)):
            crc = digest(one, crc)
        elif isinstance(one, (bytes, bytearray, memoryview)):
            crc = zlib.crc32(bytes(one), crc)
        else:
            crc = zlib.crc32(repr(one).encode(), crc)
    return crc


def digests(level):
    """Return the checksum of each call at each size, of what went in, came out and was written."""
    dispatch.use(level)
    found = {}
    for name, arguments in CALLS.items():
        if name.startswith(OF_A_LEVEL):
            continue
        family, function = name.split()[0].split(".")
        kernel = getattr(dispatch.load(family, level), function)
        for rows, dim in SIZES:
            try:
                given = arguments(Make(), rows, dim)
                result = kernel(*given)
            except ValueError as refused:  # a size that this kernel does not take
                found[f"{name} {rows} {dim}"] = f"refused {zlib.crc32(str(refused).encode()):08x}"
                continue
            found[f"{name} {rows} {dim}"] = f"{digest([result, *given]):08x}"
    return found


def differences(mine, theirs):
    """Return the calls that two files tell otherwise of, or only one of them tells of."""
    return sorted(
        call for call in mine.keys() | theirs.keys() if mine.get(call) != theirs.get(call)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compare", metavar="FILE", help="of another machine or compiler")
    args = parser.parse_args()
    each = {level: digests(level) for level in FUSING}
    first = each[FUSING[0]]
    if args.compare is None:
        sys.stdout.writelines(f"{call}\t{value}\n" for call, value in first.items())
        theirs = first
    else:
        with open(args.compare, encoding="utf-8") as lines:
            told = [line.rstrip("\n").split("\t") for line in lines]
        theirs = dict(told)
    different = {level: differences(found, theirs) for level, found in each.items()}
    for level, calls in different.items():
        for call in calls:
            print(f"level {level}: {call} differs", file=sys.stderr)
    print(f"{len(first)} calls on {', '.join(FUSING)}", file=sys.stderr)
    return int(any(different.values()))


if __name__ == "__main__":
    raise SystemExit(main())
