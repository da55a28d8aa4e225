"""A store some of whose files are not what was written: opened, read, verified, searched."""

import logging
import tempfile
from contextlib import suppress
from functools import cache
from uuid import UUID

from fuzz.mutations import change_bytes
from fuzz.world import MEMORY, as_folder, files_in, memories, unpacked, zipped

from cgcython import FingerprintStore, QuantizationError

GUIDED = 0  # an archive, which libFuzzer could only break


@cache
def written():
    """Return the files of a store as a kill left it: some records in tables, some in the log."""
    made = memories()
    with (
        tempfile.TemporaryDirectory(dir=MEMORY) as folder,
        FingerprintStore.open(folder, made.codebooks, made.profile) as store,
    ):
        store.store_many((UUID(int=n + 1), made.make(n, tokens=2)) for n in range(4))
        store.compact()
        store.store(UUID(int=9), made.make(9))
        store.save_columns()
        return files_in(folder)


def seeds():
    return [zipped(written())]


def mutate(data, rng):
    files = unpacked(data) or dict(written())
    name = rng.choice(list(files))
    if rng.random() < 0.1:
        del files[name]
    else:
        files[name] = change_bytes(files[name], rng)
    return zipped(files)


def fuzz_one(data):
    logging.disable(logging.CRITICAL)  # it warns of damage
    files = unpacked(data)
    if not files:
        return
    with as_folder(files) as folder:
        for read_only in (True, False):
            with (
                suppress(QuantizationError),
                FingerprintStore.open(folder, create=False, read_only=read_only) as store,
            ):
                use(store)


def use(store):
    """Do with a store what reads all of it."""
    query = memories().make(0)
    for read in (store.verify, store.trash, lambda: store.search(query, k=2)):
        with suppress(QuantizationError):
            read()
    for record_id in store:
        for read in (store.retrieve, store.info):
            with suppress(QuantizationError):
                read(record_id)
