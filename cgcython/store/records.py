"""A store of fingerprints: quantized bytes under their ids, nothing else beside them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

from cgcython.base import Profile, ProfileName
from cgcython.checks import require_choice
from cgcython.errors import QuantizationError, StoreUnavailable
from cgcython.router import QuantizationRouter
from cgcython.store.fitting import Decoding
from cgcython.store.generations import GenerationWriter
from cgcython.store.ids import StoredId, id_of
from cgcython.store.journal import Journal
from cgcython.store.keeper import Keeper, Note, ReadKeeper
from cgcython.store.opening import keep_profile, open_keeper, profile_note, read_profile
from cgcython.store.reading import RecordReader
from cgcython.store.shelf import Codebooks, CodebookShelf
from cgcython.store.statistics import StoreStatistics, statistics
from cgcython.store.verify import verify
from cgcython.store.verify_report import VerifyReport
from cgcython.types import Progress, StrPath

_LOGGER = logging.getLogger(__name__)
DURABILITIES = {"wal": False, "sync": True}


class RecordStore(GenerationWriter):
    """Fingerprints by id in a folder: stored quantized, retrieved decoded.

    One process writes. Others may open the folder with `read_only=True`, as it is then, or with
    `follow=True`, and come up to date by `catch_up`.
    """

    def __init__(self, keeper: Keeper, shelf: CodebookShelf, profile: Profile) -> None:
        router = QuantizationRouter(shelf.current(), profile=profile)
        super().__init__(keeper, shelf, profile, router)
        self._seen = self.journal.position()  # what `catch_up` told of; a keeper may be ahead

    @classmethod
    def open(
        cls,
        path: StrPath,
        codebooks: Codebooks | None = None,
        profile: ProfileName | None = None,
        *,
        read_only: bool = False,
        follow: bool = False,
        create: bool = True,
        durability: str = "wal",
    ) -> Self:
        """Open the store at a place, made when there is none.

        A place is a folder, `postgresql://user@host/database?schema=NAME` (extra `postgres`) or
        `cql://host,host/keyspace?tenant=NAME` (extra `cql`). In a folder what was written survives
        the death of the process, and with `durability="sync"`, which waits for the disk, the loss
        of power too; docs/STORE.md says what other places promise.

        Codebooks (`{ModelId: codebook}` or the folder of `pq8_codebooks/`) are copied into the
        store, which then encodes with them; without, it uses those it has. The profile is kept from
        the store's making on; embedders that it lacks are added. Raises StoreUnavailable,
        StorageCorruption and the codebook errors.
        """
        require_choice(durability, "durability", DURABILITIES)
        keeper, found = open_keeper(
            path,
            profile,
            read_only=read_only or follow,
            create=create,
            sync=DURABILITIES[durability],
            follow=follow,
        )
        try:
            shelf = CodebookShelf(keeper, found)
            shelf.add(codebooks)
            _settle(keeper, shelf, found)
            return cls(keeper, shelf, found)
        except BaseException:
            keeper.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        """Return the place, about how many records there are, and how the store was opened."""
        name = f"{type(self).__name__}({self.place!r}"
        if not self._keeper.is_open:
            return f"{name}, closed)"
        count = self._keeper.sizes().records
        without = ", ".join(one.short for one in self._shelf.unreadable)
        damage = f", without the codebooks of {without}" if without else ""
        return f"{name}, about {count} records, {self._keeper.how}{damage})"

    def close(self) -> None:
        """Give the folder back to other processes, once what another thread writes is written.

        A second call does nothing, and neither does one in the child of a fork.
        """
        with suppress(StoreUnavailable), self._writing:  # which refuses once it was closed
            try:
                self._keep_quality()
            except (OSError, QuantizationError) as error:
                _LOGGER.warning(
                    "store %s: its samples of losses were not kept: %s", self.place, error
                )
            finally:
                self._keeper.close()

    def _keep_quality(self) -> None:
        """Write the samples that wait, where the store is open to write."""
        if not self._keeper.read_only:
            self._quality.note(self.router)
            self._quality.flush()

    @contextmanager
    def snapshot(self) -> Iterator[RecordReader]:
        """Yield a RecordReader of the store at this moment, while writes go on.

        Its `journal.position()` is that of the moment. Raises StoreUnavailable where the store lies
        on servers that read each record as it is by then.
        """
        if not self._keeper.promises.frozen:
            self._keeper.require_open()
            reason = (
                "its servers keep no moment of all records; copy the records to read "
                f"with `cgcython store copy {self.place} FOLDER`, and open the folder"
            )
            raise StoreUnavailable(path=self.place, reason=reason)
        with self.view() as view:
            yield view

    @contextmanager
    def view(self) -> Iterator[RecordReader]:
        """Yield a RecordReader of this moment; each record is at least as new as its position.

        It is a snapshot where the store has those.
        """
        with self._frozen() as frozen:
            journal = Journal(frozen, self.profile)
            yield RecordReader(frozen, self._shelf, self.profile, self.router, journal)

    @contextmanager
    def _frozen(self) -> Iterator[ReadKeeper]:
        with ExitStack() as stack:
            with self._writing:
                frozen = stack.enter_context(self._keeper.moment())
            yield frozen

    def check(self, progress: Progress | None = None) -> VerifyReport:
        """Read every record, section and codebook and return the VerifyReport of what was found.

        All are read as they were at the moment of the call, while writes go on. `progress` is
        called with the number of records of each stretch.
        """
        with ExitStack() as stack:
            with self._writing:  # no codebook may come or go in between
                damage = list(self._keeper.damage(_notes(self._keeper, self._shelf)))
                codebooks, wrong = self._shelf.read_all()
                frozen = stack.enter_context(self._frozen())
            return verify(frozen, Decoding(self.profile, codebooks), wrong, damage, progress)

    def verify(self, progress: Progress | None = None) -> VerifyReport:
        """Return the report of `check` when all is well.

        Raises StorageCorruption naming the records, all of them in its `ids`, when something is
        damaged, missing or left over.
        """
        report = self.check(progress)
        report.require_ok(self.place)
        return report

    def backup(self, path: StrPath) -> None:
        """Write a copy of the store, as it is now, to a new folder, whole or not at all.

        Writes may go on meanwhile. The copy is a store: to restore it, open it, or copy it to
        where the damaged one was.
        """
        self._keeper.backup(path)

    def compact(self) -> int:
        """Rewrite the files without what was replaced or deleted, and return the bytes freed."""
        before = self._keeper.sizes().disk_bytes or 0
        self._keeper.compact()
        return before - (self._keeper.sizes().disk_bytes or 0)

    def statistics(self, exact: bool = False) -> StoreStatistics:
        """Return the StoreStatistics: estimates from a sample at once, or, `exact`, all counted."""
        with self._frozen() as frozen:
            return statistics(frozen, self.profile, self._shelf.generations(), exact)

    def catch_up(self) -> list[StoredId] | None:
        """See what the writing process wrote since; for a store opened with `follow=True`.

        Returns the ids that changed, in the order of keys, or None where the journal cannot tell.
        """
        with self._writing:
            self._keeper.catch_up()
            before, self._seen = self._seen, self.journal.position()
            generations, profile = self._shelf.generations(), self.profile
            self.profile = read_profile(self._keeper)
            keep_profile(self._keeper, self.profile)
            self._shelf.reload(self.profile)
            self.journal.use_profile(self.profile)
            is_other = self._shelf.generations() != generations or self.profile != profile
            if is_other:
                self._take_codebooks()
            keys = self.journal.changes_since(before)
        if is_other:
            self._forget_columns()
        return None if keys is None else list(map(id_of, keys))


def _notes(keeper: Keeper, shelf: CodebookShelf) -> list[Note]:
    return [profile_note(keeper), *shelf.notes()]


def _settle(keeper: Keeper, shelf: CodebookShelf, profile: Profile) -> None:
    """Keep a profile, and make what a store keeps about itself whole again, where it can be.

    Not before its codebooks were taken: an open that is refused changes nothing.
    """
    keep_profile(keeper, profile)
    if not keeper.read_only:
        keeper.mend(_notes(keeper, shelf))
