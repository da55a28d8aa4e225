"""What an error recommends works when it is pasted."""

import re
import shlex

import numpy as np
import pytest

RNG = np.random.default_rng(3)
CENTRES = RNG.standard_normal((20, 32))
PROFILE = """
E1 = { dimension = 32, method = "pq8" }
E8 = { dimension = 32, method = "float8_e4m3" }
"""


@pytest.fixture
def place(tmp_path, monkeypatch, few_steps):
    """Return the current folder: `my docs.npy` of 32 values a row, mine.toml, other.npy of 8."""
    monkeypatch.chdir(tmp_path)
    rows = CENTRES[RNG.integers(0, 20, 600)] + 0.01 * RNG.standard_normal((600, 32))
    np.save("my docs.npy", rows.astype(np.float32))
    np.save("other.npy", RNG.standard_normal((3, 8)))
    (tmp_path / "mine.toml").write_text(PROFILE)
    return tmp_path


def _pasted(cli, error):
    """Run the command that an error line recommends, up to the note behind it."""
    command = re.search(r"train it with: (cgcython .*?)(?: \(| and run|$)", error.strip())
    assert command, error
    return cli(*shlex.split(command[1])[1:])


@pytest.mark.parametrize(
    "words",
    [
        ("encode", "E1=my docs.npy", "--store", "s", "--models", "my models"),
        ("encode", "E1=my docs.npy", "--out", "o", "--models", "my models"),
        ("encode", "E1=my docs.npy", "--store", "s"),
        ("eval", "E1=my docs.npy", "--queries", "E1=my docs.npy", "--models", "m"),
        ("drift", "E1=my docs.npy", "--models", "m"),
    ],
)
def test_a_missing_codebook_is_trained_as_recommended(cli, place, words):
    refused = cli(*words, "--profile", "mine.toml")
    assert refused.code == 4
    assert _pasted(cli, refused.err).code == 0
    more = re.search(r"run this again with: (--models \S+)", refused.err)
    again = cli(*words, "--profile", "mine.toml", *(more[1].split() if more else ()))
    assert again.code == 0, again.err


def test_a_store_tells_its_profile_to_the_command(cli, place):
    assert cli("encode", "E8=my docs.npy", "--store", "s", "--profile", "mine.toml").code == 0
    refused = cli("encode", "E1=my docs.npy", "--store", "s", "--models", "m")
    assert _pasted(cli, refused.err).code == 0
    assert cli("encode", "E1=my docs.npy", "--store", "s", "--models", "m").code == 0


def test_the_row_of_a_profile_is_pasted_into_one(cli, place):
    refused = cli("encode", "E8=other.npy", "--out", "o")
    assert refused.code == 3
    assert "E8 Graph: expected 384 values, got 8;" in refused.err
    row = re.search(r"for these: (E8 = \{.*?\})", refused.err)[1]
    (place / "new.toml").write_text(row)
    assert cli("encode", "E8=other.npy", "--out", "o", "--profile", "new.toml").code == 0


def test_an_unknown_option_is_repaired_by_the_nearest(cli, place):
    words = ["encode", "E8=my docs.npy", "--out", "o", "--profil", "mine.toml", "--thread", "1"]
    assert cli(*words).code == 0  # abbreviations are options
    words[4] = "--profiel"
    meant = re.search(r"did you mean (\S+)\?", cli(*words).err)[1]
    words[4] = meant
    assert cli(*words).code == 0


def test_search_tells_what_no_memory_has(cli, place):
    np.save("e9.npy", RNG.standard_normal((2, 1024)))
    np.save("none.npy", np.zeros((0, 1024)))
    cli("encode", "E9=e9.npy", "--store", "s")
    np.save("e2.npy", RNG.standard_normal((2, 512)))
    told = cli("search", "E2=e2.npy", "--store", "s")
    assert told.err == "cgcython: warning: no memory of s has E2; they have E9\n"
    told = cli("search", "E9=none.npy", "--store", "s")
    assert told.err == "cgcython: warning: there are no queries in E9=none.npy\n"


def test_no_memories_are_told(cli, place):
    np.save("none.npy", np.zeros((0, 1024)))
    np.save("e9.npy", RNG.standard_normal((2, 1024)))
    told = cli("encode", "E9=none.npy", "--store", "s")
    assert "cgcython: warning: there are no memories in E9=none.npy\n" in told.err
    told = cli("search", "E9=e9.npy", "--store", "s")
    assert told.err == "cgcython: warning: s holds no memories\n"
