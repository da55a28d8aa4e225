"""Without psycopg a store in PostgreSQL is refused, and the extra is named."""

import sys

import pytest

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers import postgres
from cgcython.store.keepers.postgres import library


def test_the_extra_is_named_where_the_package_is_missing(monkeypatch):
    monkeypatch.delitem(vars(library), "psycopg", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreUnavailable, match=r"pip install cgcython\[postgres\]"):
        postgres.Schema("postgresql://u:secret@h/d").exists()


def test_nothing_else_is_imported_with_it():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        library.nothing  # noqa: B018
