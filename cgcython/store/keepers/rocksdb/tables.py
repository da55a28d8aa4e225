"""Reads column families of bytes, as they are now or as they were at one moment.

Every block is checksummed, and nothing damaged is skipped in silence: every scan asks the
iterator how it ended.
"""

from contextlib import contextmanager
from itertools import islice
from threading import Lock

from cgcython.errors import StorageCorruption, StoreUnavailable

try:
    import rocksdict
except ImportError:  # an optional extra
    rocksdict = None

_CHUNK = 256
_FULL = (
    "its disk is full ({message}); free some of it, then close the store and open it again: "
    "what was acknowledged is kept"
)
_FORBIDDEN = "it cannot be written ({message}); open it with read_only=True or make it writable"
# In this order: a lock that cannot be opened is held by nobody.
_REMEDIES = {
    "No space left": _FULL,
    "quota exceeded": _FULL,
    "Permission denied": _FORBIDDEN,
    "Read-only file system": _FORBIDDEN,
    "LOCK": "another process has it open; close it there, or open it here with read_only=True",
}


class Tables:
    """Column families by name, each an Rdict; none once they were given back."""

    def __init__(self, path, families):
        self.path, self._families = path, families

    @contextmanager
    def errors(self, where=None):
        """Turn what RocksDB raises into StorageCorruption of `where`, or StoreUnavailable."""
        try:
            yield
        except Exception as error:
            raise_error(error, self.path, where)

    def get(self, family, key, where=None):
        """Return the value of a key, or None; for a list of keys, the list of that."""
        try:  # the context manager above would take as long as the reading
            return self._family(family).get(key)
        except Exception as error:
            raise_error(error, self.path, where)

    def scan(self, family, prefix=b"", start=b""):
        """Return an iterator over (key, value) in the order of keys, as they are now.

        Only keys with the prefix and from `start` on are read. It raises StorageCorruption at a
        damaged block, after everything before it.
        """
        with self.errors():
            rows = self._family(family).iter()
            rows.seek(max(prefix, start))
        return self._walk(rows, prefix)

    def _walk(self, rows, prefix):
        with self.errors():
            while rows.valid():
                key = rows.key()
                if not key.startswith(prefix):
                    return
                yield key, rows.value()
                rows.next()
            rows.status()

    def last(self, family, upto=None):
        """Return the last (key, value), given a key the last one up to it, or None."""
        with self.errors():
            return self._last(self._family(family).iter(), upto)

    def _last(self, rows, upto):
        with self.errors():
            if upto is None:
                rows.seek_to_last()
            else:
                rows.seek_for_prev(upto)
            if rows.valid():
                return rows.key(), rows.value()
            rows.status()

    def has(self, family):
        """Return whether there is such a family: a store of an earlier format lacks some."""
        self.require_open()
        return family in self._families

    @property
    def is_open(self):
        """Whether the files were not given back yet."""
        return bool(self._families)

    def require_open(self):
        """Raise StoreUnavailable once the files were given back."""
        if not self._families:
            raise StoreUnavailable(path=self.path, reason="it is closed; open it again")

    def _family(self, name):
        self.require_open()
        return self._families[name]


class Frozen(Tables):
    """Column families as they were at one moment, while others write on.

    Each is an iterator made at that moment, which sees no later write. (Those of rocksdict's own
    Snapshot do see them.) Readers take turns with it.
    """

    read_only = True

    def __init__(self, path, families):
        super().__init__(path, families)
        self._turn = Lock()

    def get(self, family, key, where=None):
        """Return the value of a key, or None; for a list of keys, the list of that."""
        if isinstance(key, list):
            return [self.get(family, one, where) for one in key]
        with self.errors(where), self._turn:
            rows = self._family(family)
            rows.seek(key)
            if rows.valid():
                return rows.value() if rows.key() == key else None
            rows.status()

    def scan(self, family, prefix=b"", start=b""):
        """Return an iterator over (key, value) in the order of keys; errors as in Tables."""
        self._family(family)
        return self._walk_in_turns(family, prefix, max(prefix, start))

    def _walk_in_turns(self, family, prefix, start):
        rows, damage = [None], None
        while rows and not damage:
            rows, damage = self._chunk(family, prefix, start)
            yield from rows
            start = rows[-1][0] + b"\0" if rows else b""
        if damage:
            raise damage

    def _chunk(self, family, prefix, start):
        """Return the next rows, and what ended them, if that was damage."""
        found = []
        try:
            with self.errors(), self._turn:
                self._family(family).seek(start)
                found.extend(islice(self._walk(self._families[family], prefix), _CHUNK))
        except StorageCorruption as error:
            return found, error
        return found, None

    def last(self, family, upto=None):
        """Return the last (key, value), given a key the last one up to it, or None."""
        with self._turn:
            return self._last(self._family(family), upto)

    def close(self):
        """Let the database forget the moment."""
        self._families = {}


def raise_error(error, path, where=None):
    """Raise StorageCorruption or StoreUnavailable for an error of RocksDB or of the system.

    Others are raised as they are.
    """
    # rocksdict raises bare Exception, DbClosedError, and OSError for a file of its own.
    known = type(error) is Exception or isinstance(error, (OSError, rocksdict.DbClosedError))
    if not known:
        raise error
    message = str(error)
    if message.startswith("Corruption") or "No such file" in message:
        raise StorageCorruption(where=where or f"store {path}", reason=message) from error
    raise StoreUnavailable(path=path, reason=_with_remedy(message)) from error


def _with_remedy(message):
    for sign, remedy in _REMEDIES.items():
        if sign in message:
            return remedy.format(message=message)
    return message
