"""Turn a store or shards back into float32 arrays.

The arrays are named as `encode` reads them: E1, E6.indptr, E12.values, E12.rows, ids. Of pruned
tokens those that were kept come back.

example:
  cgcython decode memories --out memories.npz
  cgcython decode shards --out dense.safetensors --embedders E1,E8 --threads 4
"""

import argparse
from pathlib import Path

import numpy as np

from cgcython.cli import options
from cgcython.cli.failures import OK
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.corpus.reading import decoded_arrays, open_reader
from cgcython.errors import UsageError
from cgcython.files import require_place, written_whole
from cgcython.tensors import write_tensors
from cgcython.types import Array

SUFFIXES = (".npz", ".safetensors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="STORE|SHARDS", help="what encode wrote")
    parser.add_argument("--out", required=True, metavar="FILE", help="a .npz or .safetensors file")
    parser.add_argument(
        "--embedders", type=options.embedders, metavar="E1,E6", help="only these (default all)"
    )
    options.add_threads(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    out = Path(args.out)
    if out.suffix not in SUFFIXES:
        raise UsageError(f"--out {out}: expected a file ending in {' or '.join(SUFFIXES)}")
    require_place(out)
    with open_reader(args.source) as reader, progress(len(reader), "memory", "decode") as bar:
        arrays = decoded_arrays(reader, args.embedders, args.threads, bar.advance)
    _write(out, arrays)
    if args.json:
        shapes = {name: {"dtype": str(a.dtype), "shape": a.shape} for name, a in arrays.items()}
        print_json({"path": str(out), "arrays": shapes})
    else:
        rows = [[name, array.dtype, list(array.shape)] for name, array in arrays.items()]
        print_table(["array", "type", "shape"], rows)
    return OK


def _write(path: Path, arrays: dict[str, Array]) -> None:
    if path.suffix == ".npz":
        with written_whole(path) as temporary:
            # mypy takes the arrays for the argument `allow_pickle`.
            np.savez(temporary, **arrays)  # type: ignore[arg-type]
    else:
        write_tensors(path, arrays)
