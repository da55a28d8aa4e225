"""The keeper of a schema in PostgreSQL, which several processes may read and write together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from cgcython.errors import StoreUnavailable
from cgcython.store.keeper import Change, Note, Numbers, Outdated, Promises
from cgcython.store.keepers.postgres import layout
from cgcython.store.keepers.postgres.address import Address
from cgcython.store.keepers.postgres.beginning import folder_of, is_durable, read_about
from cgcython.store.keepers.postgres.connections import Connections, Link
from cgcython.store.keepers.postgres.journal import KEPT_CHANGES, Journal
from cgcython.store.keepers.postgres.layout import Columns, Tables
from cgcython.store.keepers.postgres.moment import Moment
from cgcython.store.keepers.postgres.schema_reader import SchemaReader
from cgcython.store.keepers.postgres.writing import Grown, RowWriter, changed_by_embedders
from cgcython.types import StrPath


class PostgresKeeper(SchemaReader):
    """A Keeper of a schema in PostgreSQL."""

    _session: Connections

    def __init__(self, url: str, *, read_only: bool = False, sync: bool = False) -> None:
        """Open the store in the schema of a URL; with `sync`, what was written is on the disk.

        Raises StoreUnavailable.
        """
        address = Address.of(url)
        tables = Tables.of(address.schema)
        settings = ["SET synchronous_commit = on"] if sync else []
        settings += ["SET default_transaction_read_only = on"] if read_only else []
        connections = Connections(address, settings)
        self.read_only, self._is_sync, self._since_forgotten = read_only, sync, 0
        try:
            about = connections.read(lambda link: read_about(link, tables, address))
            durable = connections.read(lambda link: is_durable(link, address, sync))
            promises = Promises(
                whole_calls=True, ordered=True, frozen=True, one_writer=False, durable=durable
            )
            columns = connections.read(lambda link: Columns.of(link, tables))
            era = connections.read(Journal(tables).era)
            folder = folder_of(about["identity"], era)
            super().__init__(connections, tables, columns.numbers, promises, folder)
            if not read_only:
                connections.write(self._journal.begin)
            self._writer = RowWriter(tables, columns)
        except BaseException:
            connections.close()
            raise

    @property
    def how(self) -> str:
        """How it was opened, as the argument that says so."""
        if self.read_only:
            return "read_only=True"
        return f"durability={'sync' if self._is_sync else 'wal'!r}"

    def require_writable(self) -> None:
        """Raise StoreUnavailable where it was opened to read, or closed."""
        self.require_open()
        if self.read_only:
            raise StoreUnavailable(path=self.place, reason="it was opened with read_only=True")

    def write(
        self, changes: Sequence[Change], expected: Mapping[bytes, bytes | None] | None = None
    ) -> None:
        """Write changes of different records, all or nothing; raises Outdated."""
        try:
            self._write(lambda link: self._write_all(link, changes, expected or {}))
        except Grown:
            self.catch_up()
            return self.write(changes, expected)
        self._since_forgotten += len(changes)
        if self._since_forgotten > KEPT_CHANGES // 4:
            self._since_forgotten = 0
            self._write_whatever(self._journal.forget)

    def _write(self, work: Callable[[Link], None]) -> None:
        self.require_writable()
        self._session.write(work)

    def _write_whatever(self, work: Callable[[Link], None]) -> None:
        """Write what others cannot outdate; again where the server chose it to end a deadlock."""
        while True:
            try:
                return self._write(work)
            except Outdated:
                continue

    def _write_all(
        self,
        link: Link,
        changes: Sequence[Change],
        expected: Mapping[bytes, bytes | None],
    ) -> None:
        self._require_notes(link, expected, " FOR SHARE")  # they stay until the end
        self._writer.write(link, changes)
        self._journal.add(link, changed_by_embedders(changes))

    def purge(self, keys: Sequence[bytes]) -> None:
        """Remove what the trash keeps under some keys."""
        self._write_whatever(lambda link: self._writer.purge(link, sorted(keys)))

    def put_notes(
        self,
        notes: Mapping[bytes, bytes | None],
        expected: Mapping[bytes, bytes | None] | None = None,
    ) -> None:
        """Keep notes, and remove those that are None, all or nothing; raises Outdated."""
        self._write(lambda link: self._put_notes(link, notes, expected or {}))

    def _put_notes(
        self,
        link: Link,
        notes: Mapping[bytes, bytes | None],
        expected: Mapping[bytes, bytes | None],
    ) -> None:
        table = self._tables.notes
        link.run(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")  # writers take turns
        self._require_notes(link, expected)
        kept = [(name, value) for name, value in notes.items() if value is not None]
        link.run(f"DELETE FROM {table} WHERE name = ANY (%s)", [[*notes]])
        with link.connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s)", kept)

    def _require_notes(
        self, link: Link, expected: Mapping[bytes, bytes | None], lock: str = ""
    ) -> None:
        """Raise Outdated where notes are others than expected."""
        if not expected:
            return
        statement = f"SELECT name, value FROM {self._tables.notes} WHERE name = ANY (%s){lock}"
        found: dict[bytes, bytes] = dict(link.rows(statement, [[*expected]]))
        for name, value in expected.items():
            if found.get(name) != value:
                raise Outdated(f"the note {name!r} is another one by now")

    def add_embedders(self, numbers: Numbers) -> None:
        """Learn which embedders there are, and make columns for those that have none."""
        new = set(map(int, numbers)) - set(self._numbers)
        if new and not self.read_only:
            self._write_whatever(lambda link: self._add_columns(link, new))
        self.catch_up()

    def _add_columns(self, link: Link, numbers: Numbers) -> None:
        for statement in layout.added(self._tables, numbers):
            link.run(statement)

    def catch_up(self) -> None:
        """See the columns that another process made; records are seen at once."""
        columns = self._session.read(lambda link: Columns.of(link, self._tables))
        self._numbers, self._writer = columns.numbers, RowWriter(self._tables, columns)

    def mend(self, notes: Iterable[Note]) -> None:
        """Do nothing: what the server keeps it keeps whole."""

    @contextmanager
    def moment(self) -> Iterator[SchemaReader]:
        """Yield the keeper of this moment, which others' writes leave as it is."""
        moment = Moment(self._session)
        try:
            yield SchemaReader(moment, self._tables, self._numbers, self.promises, self.folder)
        finally:
            moment.close()

    def compact(self) -> None:
        """Have the server use again the room of what was replaced or deleted."""
        self.require_writable()
        with self._session.lent() as link:
            link.run(f"VACUUM (ANALYZE) {self._tables.records}")

    def backup(self, path: StrPath) -> None:
        """Refuse: the server has programs for that."""
        self.require_open()
        schema = self._session.address.schema
        reason = (
            f"a database is copied by its own program, pg_dump --schema {schema!r}; for a store of "
            f"its own: cgcython store copy {self.place} {path}"
        )
        raise StoreUnavailable(path=self.place, reason=reason)

    def close(self) -> None:
        """Give all connections back; a second call does nothing."""
        self._session.close()
