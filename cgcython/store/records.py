"""A store of fingerprints: quantized bytes under their ids, nothing else beside them."""

from contextlib import contextmanager

from cgcython.router import QuantizationRouter
from cgcython.store.journal import Journal
from cgcython.store.opening import open_files
from cgcython.store.reading import RecordReader
from cgcython.store.shelf import CodebookShelf
from cgcython.store.verify import verify
from cgcython.store.writing import RecordWriter


class RecordStore(RecordWriter):
    """Fingerprints by id in a folder: stored quantized, retrieved decoded.

    An acknowledged write survives the death of the process; with `sync=True`, that of the machine.
    One process writes; others may open the folder with `read_only=True`.
    """

    def __init__(self, files, shelf, profile):
        router = QuantizationRouter(shelf.current(), profile=profile)
        super().__init__(files, shelf, profile, router)

    @classmethod
    def open(cls, path, codebooks=None, profile=None, *, read_only=False, create=True, sync=False):
        """Open the store in a folder, made when there is none.

        Codebooks (`{ModelId: PQ8Codebook}` or the folder of `pq8_codebooks/`) are copied into the
        store, which then encodes with them; without, it uses those it has. The profile is that of
        the store's making. Raises StoreUnavailable, StorageCorruption and the codebook errors.
        """
        files, profile = open_files(path, profile, read_only, create, sync)
        try:
            shelf = CodebookShelf(files, profile)
            shelf.add(codebooks)
            return cls(files, shelf, profile)
        except BaseException:
            files.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Give the folder back to other processes."""
        self._files.close()

    @contextmanager
    def snapshot(self):
        """Yield a RecordReader of the store at this moment, while writes go on.

        Its `journal.position()` is that of the moment.
        """
        with self._writing:
            frozen = self._files.freeze()
        try:
            yield RecordReader(frozen, self._shelf, self.profile, self.router, Journal(frozen))
        finally:
            frozen.close()

    def check(self, progress=None):
        """Read every record, section and codebook and return the VerifyReport of what was found.

        `progress` is called with 1 for each record.
        """
        return verify(self._files, self._shelf.check(), progress)

    def verify(self, progress=None):
        """Return the report of `check` when all is well.

        Raises StorageCorruption naming the records, all of them in its `ids`, when something is
        damaged, missing or left over.
        """
        report = self.check(progress)
        report.require_ok(self.path)
        return report

    def backup(self, path):
        """Write a copy of the store, as it is now, to a new folder, whole or not at all."""
        self._files.backup(path)
