"""Options come from cgcython.toml too, where the command line does not give them."""

import json

import pytest


@pytest.fixture
def settings(work, tmp_path, monkeypatch):
    """Return a function that writes cgcython.toml in the current folder."""
    monkeypatch.chdir(tmp_path)
    return lambda text, name="cgcython.toml": (tmp_path / name).write_text(text.format(work))


def test_a_command_takes_its_options_from_the_file(cli, work, settings):
    settings('[search]\nstore = "{0}/store"\nk = 2\njson = true\n')
    lines = cli("search", work / "queries.npz").out.splitlines()
    assert len(json.loads(lines[0])["hits"]) == 2


def test_words_of_the_command_line_count_more(cli, work, settings):
    settings('[search]\nstore = "nowhere"\nk = 2\njson = true\n')
    result = cli("search", work / "queries.npz", f"--store={work}/store", "-k1")
    assert len(json.loads(result.out.splitlines()[0])["hits"]) == 1


def test_what_excludes_an_option_of_the_file_leaves_it_out(cli, work, settings, tmp_path):
    settings('[encode]\nstore = "{0}/store"\nprofile = "{0}/profile.toml"\nmodels = "{0}/models"\n')
    assert cli("encode", work / "corpus.npz", "--out", tmp_path / "shards").code == 0
    assert (tmp_path / "shards").is_dir()


def test_commands_of_two_words_have_tables_of_their_own(cli, work, settings):
    settings("[store.stats]\njson = true\n[eval.tokens]\ncompression = 0.7\n")
    assert cli("store", "stats", work / "store").json["records"] == 40
    result = cli("eval", "tokens", "x.npz", "--queries", "x.npz", "--limits", "--qrels", "x.npy")
    assert "--limits needs --qrels and --compression 0.5" in result.err


def test_another_file_is_named(cli, work, settings):
    settings("[store.stats]\njson = true\n", "other.toml")
    assert cli("store", "stats", work / "store").json is None
    assert cli("store", "stats", work / "store", "--config", "other.toml").json


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[info]\njsom = true", "no option is called jsom; did you mean json?; there are json"),
        ("[infos]", "no command is called infos; did you mean info?; there are train, encode,"),
        ("info = 1", "info is no table; write [info] above its options"),
        ("[store]\nstats = 1", "stats is no table; write [stats] above its options"),
        ("info", "cgcython.toml: "),
    ],
)
def test_what_no_command_has_is_an_error_that_names_what_there_is(cli, settings, text, told):
    settings(text)
    result = cli("store", "stats", "x") if "stats" in text else cli("info")
    assert result.code == 2
    assert told in result.err


def test_a_wrong_value_is_blamed_on_the_file(cli, settings):
    settings("[search]\nthreads = 0\n")
    result = cli("search", "x.npz", "--store", "s")
    assert result.code == 2
    assert "(options from the settings: --threads)" in result.err


def test_a_missing_file_is_told_and_help_needs_none(cli, settings):
    assert cli("info", "--config", "nowhere.toml").code == 3
    settings("[nothing]")
    assert cli("info", "--help").code == 0
