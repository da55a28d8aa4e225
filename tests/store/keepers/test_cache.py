"""Files made of records elsewhere lie in the user's cache."""

import tempfile
from pathlib import Path

from cgcython.store.keepers.cache import cache_folder


def test_the_folder_is_where_caches_are(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("a") == tmp_path / "cgcython" / "a"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("a") == tmp_path / ".cache" / "cgcython" / "a"


def test_a_user_without_a_home_has_one_among_temporary_files(monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert cache_folder("a") == Path(tempfile.gettempdir(), "cgcython", "a")
