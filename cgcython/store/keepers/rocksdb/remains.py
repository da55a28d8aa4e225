"""What the files of a damaged store tell without a database."""

from cgcython.errors import StorageCorruption
from cgcython.manifest import MAGIC
from cgcython.store.keepers.rocksdb import recovery, wal
from cgcython.store.shelf import CODEBOOK, GENERATIONS


def is_cut_off(path):
    """Return whether the catalogue lists fewer tables than it did."""
    try:
        recovery.reach_of(path)
    except StorageCorruption:
        return True
    return False


def logs(path):
    return sorted(path.glob("*.log"), key=lambda log: int(log.stem))


def codebook_keys(meta):
    """Return the keys of the codebooks that the generations in `meta` name."""
    ids = b"".join(value for key, value in meta.items() if key.startswith(GENERATIONS))
    return [CODEBOOK + ids[at : at + 4] for at in range(0, len(ids), 4)]


def last_changes(path):
    """Return what the logs did last to manifests and to the trash by key, None for a deletion.

    Damaged batches count too: a record is not what it was before one. The trash is read here as
    well because a catalogue that RocksDB made anew lacks families without tables.
    """
    manifests, trash, families = {}, {}, {}
    for log in logs(path):
        for family, key, value in wal.changes(log.read_bytes()):
            if len(key) != 16:
                continue
            for found, start in ((manifests, 0), (trash, 8)):
                if value is None and families.get(start) == family:
                    found[key] = None
                elif value is not None and value[start : start + 4] == MAGIC:
                    families[start] = family
                    found[key] = value
    return manifests, trash
