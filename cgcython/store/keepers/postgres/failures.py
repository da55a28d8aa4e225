"""Turns the errors of PostgreSQL into StorageCorruption, or StoreUnavailable with a remedy."""

from cgcython.errors import QuantizationError, StorageCorruption, StoreUnavailable
from cgcython.store.keeper import Outdated
from cgcython.store.keepers.postgres import library
from cgcython.store.keepers.postgres.address import Address

_DAMAGED = ("XX001", "XX002")
_OVERTAKEN = ("40001", "40P01")  # a serialization failure, a deadlock
_LOST = (
    "the connection to its server was lost ({message}): the call was not acknowledged; "
    "call it again once the server is there"
)
_UNREACHABLE = (
    "its server cannot be reached ({message}); start it, or correct the host and port of the URL"
)
_REFUSED = (
    "its server refuses the user ({message}); correct user and password, in the URL, in PGPASSWORD "
    "or in ~/.pgpass"
)
_MISSING = "there is no such database ({message}); make it with createdb, or name another one"
_FORBIDDEN = (
    "its server does not allow it ({message}); have the owner GRANT the right to it, for a new "
    "store CREATE ON DATABASE, or make the schema: CREATE SCHEMA name AUTHORIZATION user"
)
_FULL = (
    "the disk of its server is full ({message}); free some of it and call again: nothing of this "
    "call was written"
)
_CROWDED = "its server takes no more connections ({message}); close some, or raise max_connections"
_BUSY = "its server is not ready ({message}); call again once it is"
_READ_ONLY = "its server only reads ({message}); name the primary, or open it with read_only=True"
_GONE = "its tables are not as they were made ({message}); restore them from a backup"
_SLOW = "its server ended the call ({message}); raise statement_timeout and lock_timeout"

_BY_STATE = {
    "28000": _REFUSED,
    "28P01": _REFUSED,
    "3D000": _MISSING,
    "42501": _FORBIDDEN,
    "53100": _FULL,
    "53300": _CROWDED,
    "57P03": _BUSY,
    "25006": _READ_ONLY,
    "42P01": _GONE,
    "42703": _GONE,
    "3F000": _GONE,
    "57014": _SLOW,
    "55P03": _SLOW,
}
# Where no connection was made, libpq has no code, only what the server says, in its language.
_BY_SIGN = {
    "authentication failed": _REFUSED,
    "no password supplied": _REFUSED,
    "pg_hba.conf": _REFUSED,
    'role "': _REFUSED,
    'database "': _MISSING,
    "too many clients": _CROWDED,
    "remaining connection slots": _CROWDED,
    "starting up": _BUSY,
    "shutting down": _BUSY,
    "recovery mode": _BUSY,
}


def translated(
    error: Exception, address: Address, is_lost: bool = False
) -> QuantizationError | Outdated:
    """Return the error that an error of psycopg means.

    `is_lost` tells that the connection is no more.
    """
    message = address.cleared(str(error))
    state = getattr(error, "sqlstate", None)
    if state in _DAMAGED:
        return StorageCorruption(where=f"store {address.place}", reason=message)
    if state in _OVERTAKEN:
        return Outdated(message)
    remedy = _LOST if is_lost else _BY_STATE.get(state or "", "{message}")
    return StoreUnavailable(path=address.place, reason=remedy.format(message=message))


def refused(error: Exception, address: Address) -> StoreUnavailable:
    """Return the error of a connection that was not made."""
    message = address.cleared(str(error))
    state = getattr(error, "sqlstate", None)
    signs = (remedy for sign, remedy in _BY_SIGN.items() if sign in message)
    remedy = _BY_STATE.get(state or "") or next(signs, _UNREACHABLE)
    if isinstance(error, library.psycopg.ProgrammingError):  # libpq does not understand the URL
        remedy = "its URL is wrong: {message}; see libpq's connection strings"
    return StoreUnavailable(path=address.place, reason=remedy.format(message=message))
