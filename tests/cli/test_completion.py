"""Shells complete commands and options by a script that the command prints."""

import shutil
import subprocess
import sys

import pytest

pytest.importorskip("shtab")


@pytest.fixture
def completed(cli, tmp_path):
    """Return a function that gives what bash completes the last of some words to."""
    (tmp_path / "script.bash").write_text(cli("--print-completion", "bash").out)

    def complete(*words):
        lines = (
            f"source {tmp_path}/script.bash",
            f"COMP_WORDS=({' '.join(words)})",
            f"COMP_CWORD={len(words) - 1}",
            "_shtab_cgcython",
            'echo "${COMPREPLY[@]}"',
        )
        command = ["bash", "-c", "\n".join(lines)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    return complete


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cgcython se", ["search"]),
        ("cgcython search --rer", ["--rerank"]),
        ("cgcython store pur", ["purge"]),
        ("cgcython train E1 --rotation p", ["pca"]),
    ],
)
def test_bash_completes(completed, words, expected):
    assert completed(*words.split()) == expected


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_have_scripts_too(cli, shell):
    assert "cgcython" in cli("--print-completion", shell).out


def test_the_extra_is_named_where_it_is_missing(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    result = cli("--print-completion", "bash")
    assert result.code == 2
    assert "pip install 'cgcython[completion]'" in result.err
