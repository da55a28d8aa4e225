"""Writes what sentence-transformers' own `quantize_embeddings` returns, without installing it.

The function is plain NumPy; its module imports torch, which this replaces by an empty class:

    pip download --no-deps sentence-transformers==6.2.0
    unzip sentence_transformers-6.2.0-*.whl sentence_transformers/util/quantization.py
    python tests/golden/write_sentence_transformers.py sentence_transformers/util/quantization.py
"""

import ast
import logging
import sys
from pathlib import Path
from typing import Literal

import numpy as np

OUT = Path(__file__).with_name("sentence_transformers.npz")
FUNCTIONS = ("_get_quantization_ranges", "quantize_embeddings")
PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")


def published(path):
    """Return the published function."""
    tree = ast.parse(Path(path).read_text())
    kept = [one for one in tree.body if getattr(one, "name", None) in FUNCTIONS]
    names = {"np": np, "Literal": Literal, "Tensor": type("Tensor", (), {})}
    names["logger"] = logging.getLogger("published")
    future = ast.parse("from __future__ import annotations").body
    exec(compile(ast.Module(future + kept, []), path, "exec"), names)
    return names["quantize_embeddings"]


def inputs():
    rng = np.random.default_rng(13)
    x = rng.standard_normal((120, 21)).astype(np.float32)
    x[:, 3] = 0.25  # a dimension without spread
    x[5, :7] = [0.0, -0.0, 1e-45, -1e-45, 1e-30, 3e4, -3e4]
    calibration = rng.standard_normal((150, 21)).astype(np.float32)
    ranges = np.vstack([calibration.min(0), calibration.max(0)]) * 0.7
    return {
        "x": x,
        "wide": x.astype(np.float64) * 1.1,
        "calibration": calibration,
        "ranges": ranges,
    }


def main(path):
    quantize, given = published(path), inputs()
    found = {}
    for name in ("x", "wide"):
        for precision in PRECISIONS:
            found[f"{name}/{precision}"] = quantize(given[name], precision)
    for precision in ("int8", "uint8"):
        x = given["x"]
        found[f"ranges/{precision}"] = quantize(x, precision, ranges=given["ranges"])
        calibration = given["calibration"]
        calibrated = quantize(x, precision, calibration_embeddings=calibration)
        found[f"calibration/{precision}"] = calibrated
        parts = quantize([x[:50], x[50:50], x[50:]], precision)
        found |= {f"parts{i}/{precision}": part for i, part in enumerate(parts)}
        found[f"single/{precision}"] = quantize(x[0], precision, ranges=given["ranges"])
    np.savez_compressed(OUT, **given, **found)


if __name__ == "__main__":
    main(sys.argv[1])
