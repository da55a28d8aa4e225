"""Reads all rows of a store, bucket by bucket, in pages that ask for what is behind the last key.

No page needs what the server remembers of the one before: a scan may take hours, and go on after a
node was lost. The next page is on its way while one is worked on.
"""

from collections.abc import Callable, Iterator, Sequence

from cgcython.errors import StoreUnavailable
from cgcython.store.ids import MOST_KEY_BYTES
from cgcython.store.keeper import Read, Record, Sizes, Stretch, Stripe
from cgcython.store.keepers.cql.connection import Row
from cgcython.store.keepers.cql.layout import RECORDS, column
from cgcython.store.keepers.cql.rows import RowReader, record_of
from cgcython.store.owned import are_own

_FIRST, _MOST = 128, 4096  # rows of a page
_PAGE_BYTES = 2 << 20
_LOWEST, _BEHIND_ALL = b"\0", b"\xff" * (MOST_KEY_BYTES + 1)
_SAMPLE = 2000  # rows from which the number of all is estimated
_FEW = 16


class RowScanner(RowReader):
    """A RowReader that reads all of them, too."""

    def stripes(self) -> int:
        """Return the number of buckets."""
        return self._buckets

    def parts(self) -> Sequence[Stripe]:
        """Return the buckets, over which keys are spread by their hashes."""
        return range(self._buckets)

    def scan_heads(
        self, prefix: bytes = b"", stripe: int | None = None
    ) -> Iterator[tuple[bytes, Read]]:
        """Yield (key, head) of the records whose keys have a prefix."""
        for page in self._pages(["head"], stripe, prefix):
            for key, head in page:
                if head:
                    yield key, head

    def scan_sections(self, number: int, stripe: Stripe | None = None) -> Iterator[Stretch]:
        """Yield stretches of the sections of an embedder."""
        if number not in self._numbers:
            return
        for page in self._pages(["head", column(number)], stripe):
            rows = [row for row in page if row[2]]
            if rows:
                keys, heads, sections = zip(*rows)
                own = are_own([head or None for head in heads], sections, number)
                yield Stretch(keys, sections, own)

    def scan_records(self, stripe: int | None = None) -> Iterator[tuple[bytes, Record]]:
        """Yield (key, record) of all records, and of sections without one."""
        for page in self._pages(["head", *map(column, self._numbers)], stripe):
            for row in page:
                record = record_of(row[1:], self._numbers)
                if record.head is not None or record.sections:
                    yield row[0], record

    def scan_gone(self, stripe: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of what the trash keeps."""
        for page in self._pages(["gone"], stripe):
            for key, value in page:
                if value is not None:
                    yield key, value

    def last_key(self, upto: bytes) -> bytes | None:
        """Return the last key of a record that is not above another one."""
        found = [self._last_in(bucket, upto) for bucket in range(self._buckets)]
        return max((key for key in found if key is not None), default=None)

    def _last_in(self, bucket: int, upto: bytes) -> bytes | None:
        statement = (
            f"SELECT id, head FROM {RECORDS} WHERE tenant = ? AND bucket = ? AND id < ? "
            f"ORDER BY id DESC LIMIT {_FEW}"
        )
        end = upto + b"\0"
        while True:
            rows = self._connection.run(statement, [self._tenant, bucket, end])
            for key, head in rows:
                if head:
                    return key  # type: ignore[no-any-return]  # the driver's rows have no types
            if len(rows) < _FEW:
                return None
            end = rows[-1][0]

    def sizes(self) -> Sizes:
        """Return about how many records there are, counted in as many buckets as tell."""
        records = gone = seen = 0
        for bucket in range(self._buckets):
            for page in self._pages(["head", "writetime(gone)"], bucket):
                records += sum(1 for row in page if row[1])
                gone += sum(1 for row in page if row[2] is not None)
                seen += len(page)
            if seen >= _SAMPLE:
                part = self._buckets / (bucket + 1)
                return Sizes(round(records * part), round(gone * part), None)
        return Sizes(records, gone, None)

    def _pages(
        self, columns: Sequence[str], stripe: Stripe | None, prefix: bytes = b""
    ) -> Iterator[list[Row]]:
        """Yield pages of rows of the key and columns, bucket by bucket."""
        statement = (
            f"SELECT id, {', '.join(columns)} FROM {RECORDS} "
            "WHERE tenant = ? AND bucket = ? AND id >= ? AND id < ? LIMIT ?"
        )
        end, limit = _end_of(prefix), _FIRST

        def ask(bucket: int, first: bytes, limit: int) -> Callable[[], list[Row]]:
            return self._connection.ask(statement, [self._tenant, bucket, first, end, limit])

        buckets = self._buckets_of(stripe)
        first = prefix or _LOWEST
        pending = ask(buckets[0], first, limit)
        while buckets:
            asked, page = limit, pending()
            limit = _next_limit(page, limit)
            if len(page) == asked:
                pending = ask(buckets[0], page[-1][0] + b"\0", limit)
            elif buckets := buckets[1:]:
                pending = ask(buckets[0], first, limit)
            if page:
                yield page

    def _buckets_of(self, stripe: Stripe | None) -> list[int]:
        self._connection.require_open()
        if stripe is None:
            return list(range(self._buckets))
        if isinstance(stripe, int) and 0 <= stripe < self._buckets:
            return [stripe]
        reason = f"expected a stripe below {self._buckets}, got {stripe}"
        raise StoreUnavailable(path=self._connection.address.place, reason=reason)


def _end_of(prefix: bytes) -> bytes:
    """Return what is above all keys of a prefix, and not above any other."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else _BEHIND_ALL


def _next_limit(page: Sequence[Row], limit: int) -> int:
    """Return how many rows to ask for, after a page that shows how long they are."""
    if not page:
        return limit
    size = sum(len(one) for row in page for one in row if isinstance(one, bytes)) // len(page)
    return max(32, min(_MOST, _PAGE_BYTES // max(1, size)))
