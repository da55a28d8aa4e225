"""Tokens that were written once are read for ever, and scored as they were."""

import json
from pathlib import Path

import numpy as np
import pytest

from cgcython import TokenArray, max_sim_batch

TOKENS = Path(__file__).with_name("v4") / "tokens"
EXPECTED = json.loads((TOKENS / "expected.json").read_text())
VALUES, QUERY = (np.load(TOKENS / f"{name}.npy") for name in ("values", "query"))
OFFSETS = [0, 3, 3, 9]
NAMES = ["sign", "hadamard_sign"]


@pytest.mark.parametrize("name", NAMES)
def test_signs_are_scored_as_they_were(level, name):
    found = TokenArray.load(TOKENS / f"{name}.safetensors", verify=True)
    assert found.precision == name
    np.testing.assert_allclose(max_sim_batch(QUERY, found), EXPECTED[name], rtol=0, atol=1e-6)


def test_the_bytes_are_those_of_the_files(tmp_path):
    array = TokenArray(VALUES, OFFSETS)
    plain = TokenArray(np.packbits(VALUES >= 0, axis=1), OFFSETS, "sign", dim=12)
    for name, one in zip(NAMES, (plain, array.quantize("sign"))):
        one.save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == (TOKENS / f"{name}.safetensors").read_bytes()
