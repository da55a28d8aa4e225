"""Turns the errors of the driver and of the servers into StoreUnavailable with a remedy."""

from typing import NoReturn

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.cql import library
from cgcython.store.keepers.cql.address import PASSWORD, Address

_NO_HOST = (
    "none of its hosts answered ({message}); start the cluster, or correct the hosts and the port "
    "of the URL, which says ?tls=/path/of/ca.pem where they want TLS"
)
_REFUSED = (
    "its cluster refuses the user ({message}); correct ?user=NAME and the password, in "
    f"{PASSWORD}"
)
_FORBIDDEN = "its cluster does not allow it ({message}); have an administrator GRANT it"
_TOO_FEW = (
    "too few replicas are up for {consistency} ({message}); start the nodes that are down, or read "
    "what the others have with ?consistency=ONE and read_only=True"
)
_SLOW = (
    "its cluster did not answer in {timeout:g} s ({message}); call again: repeating a call is "
    "harmless; or allow more with ?timeout=SECONDS and a longer ?overlap=SECONDS"
)
NO_KEYSPACE = (
    "there is no keyspace {keyspace}; add ?replication=3 to the URL of a new store, or make "
    "it: CREATE KEYSPACE {keyspace} WITH replication = "
    "{{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}}"
)
_WRONG_TABLES = (
    "its tables are not as they were made ({message}); restore them, or name another keyspace"
)
_OLD = "its cluster is too old ({message}); use Cassandra 4 or later, or ScyllaDB 5 or later"
_TLS = "it cannot speak TLS with its cluster ({message}); give ?tls=/path/of/ca.pem"


def translated(error: Exception, address: Address) -> Exception:
    """Return the error that one of the driver means; any other stays itself."""
    remedy = _remedy(error)
    if remedy is None:
        return error
    message = " ".join(str(error).split())
    reason = remedy.format(
        message=message[:300],
        consistency=address.consistency,
        timeout=address.timeout_s,
    )
    return StoreUnavailable(path=address.place, reason=reason)


def raise_translated(error: Exception, address: Address) -> NoReturn:
    """Raise the error that one of the driver means."""
    found = translated(error, address)
    if found is error:
        raise error
    raise found from error


def is_passing(error: Exception) -> bool:
    """Return whether a request may succeed when it is sent again."""
    base = library.driver
    passing = (
        base.Timeout,
        base.Unavailable,
        base.OperationTimedOut,
        base.cluster.NoHostAvailable,
        base.connection.ConnectionException,
        base.protocol.ErrorMessage,  # a server's: overloaded, starting, or its own fault
    )
    lasting = (base.RequestValidationException, base.protocol.RequestValidationException)
    return isinstance(error, passing) and not isinstance(error, lasting) and not _within(error)


def _remedy(error: Exception) -> str | None:
    base = library.driver
    if isinstance(error, base.cluster.NoHostAvailable):
        return _within(error) or _NO_HOST
    return next((remedy for kind, remedy in _kinds() if isinstance(error, kind)), None)


def _within(error: Exception) -> str | None:
    """Return the remedy for what all hosts said, where it is not that they are not there."""
    found = getattr(error, "errors", None)
    inner = list(found.values()) if isinstance(found, dict) else []
    if any(isinstance(one, library.driver.AuthenticationFailed) for one in inner):
        return _REFUSED
    if any("SSL" in str(one) for one in inner):
        return _TLS
    return None


def _kinds() -> list[tuple[type[Exception], str]]:
    """Return kinds of errors and what can be done about each; the first that fits counts."""
    base = library.driver
    return [
        (base.AuthenticationFailed, _REFUSED),
        (base.Unauthorized, _FORBIDDEN),
        (base.Unavailable, _TOO_FEW),
        (base.Timeout, _SLOW),
        (base.OperationTimedOut, _SLOW),
        (base.UnsupportedOperation, _OLD),
        (base.RequestValidationException, _WRONG_TABLES),
        (base.protocol.RequestValidationException, _WRONG_TABLES),
        (base.DriverException, "{message}"),
        (base.protocol.ErrorMessage, "{message}"),
        (base.connection.ConnectionException, _NO_HOST),
    ]
