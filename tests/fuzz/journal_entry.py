"""Entries of a store's journal, and the ids of the keys in them."""

from uuid import UUID

from cgcython import QuantizationError
from cgcython.store.ids import as_key, id_of, is_key, name_of
from cgcython.store.keepers.rocksdb.journal_entries import changed, packed, total

_IDS = (UUID(int=1), 5, -1, "a", "fifteen bytes..", "ä" * 256)


def seeds():
    masks = {as_key(one): 1 << 8 | 1 << number for number, one in enumerate(_IDS)}
    plain = {UUID(int=number).bytes: number for number in range(3)}
    return [packed(7, masks, is_plain=False), packed(7, plain, is_plain=True)]


def fuzz_one(data):
    assert 0 <= total(data) < 1 << 63
    try:
        keys = changed(data)
    except QuantizationError:
        return
    assert set(changed(data, 8)) <= set(keys)
    for key in keys:
        name_of(key)
        if is_key(key):
            assert as_key(id_of(key)) == key
