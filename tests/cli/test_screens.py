"""Help and tables fit a screen of 80 columns, and use what a wider one has."""

import pytest

from cgcython.cli import COMMANDS
from cgcython.cli.output import print_table
from cgcython.cli.store import ACTIONS

HELPS = [(), *((name,) for name in COMMANDS), ("eval", "methods"), ("eval", "tokens")]
HELPS += [("store", action) for action in ACTIONS]
TABLES = [
    "search {0}/queries.npz --store {0}/store -k 3",
    "search E12={0}/corpus.npz:E12.values,E12.offsets --store {0}/store --explain -k 1",
    "eval {0}/corpus.npz --queries {0}/queries.npz --qrels {0}/qrels.npy --store {0}/store",
    "eval tokens E12={0}/corpus.npz:E12.values,E12.offsets"
    " --queries E12={0}/corpus.npz:E12.values,E12.offsets --profile {0}/profile.toml",
    "eval methods E6={0}/corpus.npz --queries E6={0}/corpus.npz --profile {0}/profile.toml",
    "drift E1={0}/train.npz --models {0}/models --profile {0}/profile.toml",
    "inspect {0}/store",
    "inspect {0}/shards",
    "inspect {0}/models/pq8_codebooks/Semantic_codebook.safetensors",
    "store stats {0}/store",
    "decode {0}/store --out {1}/out.npz",
    "encode {0}/corpus.npz --models {0}/models --profile {0}/profile.toml --out {1}/shards",
    "info",
]


@pytest.fixture(params=[80, 200])
def columns(request, monkeypatch):
    """Return the width of the screen."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    return request.param


@pytest.mark.parametrize("words", HELPS)
def test_help_fits(cli, columns, words):
    assert _widest(cli(*words, "--help").out) <= columns


@pytest.mark.parametrize("words", TABLES, ids=lambda words: words.split()[0])
def test_tables_fit(cli, work, tmp_path, columns, words, monkeypatch):
    monkeypatch.chdir(work)
    result = cli(*words.format(".", tmp_path).split())
    assert result.code in (0, 1), result.err
    assert _widest(result.out) <= columns


def _widest(text):
    assert text
    return max(map(len, text.splitlines()))


def test_a_table_goes_on_below_with_its_keys_again(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    print_table(["what", "bytes", "others"], [["E1", 1, "a" * 10], ["E2", 2, "b" * 10]])
    assert capsys.readouterr().out.splitlines() == [
        "what  bytes",
        "E1        1",
        "E2        2",
        "",
        "what  others",
        "E1    aaaaaaaaaa",
        "E2    bbbbbbbbbb",
    ]


def test_a_cell_wider_than_the_screen_is_wrapped(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    print_table(["what", "told"], [["E1", "one two three four five six seven"]])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "E1    one two three four five",
        "      six seven",
    ]
