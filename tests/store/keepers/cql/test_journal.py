"""The changes of a call lie in one row, as bytes."""

from cgcython.store.keeper import Change
from cgcython.store.keepers.cql.journal import _keys_in, packed


def test_keys_come_back_by_embedder():
    changes = [Change(key, b"", {}, None, n) for key, n in [(b"a" * 513, (0, 200)), (b"b", ())]]
    assert list(_keys_in(packed(changes), None)) == [b"a" * 513, b"b"]
    assert list(_keys_in(packed(changes), 200)) == [b"a" * 513]
    assert list(_keys_in(packed(changes), 1)) == list(_keys_in(b"", None)) == []
