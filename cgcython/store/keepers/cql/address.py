"""Where a store is: the hosts of a cluster, a keyspace, a tenant in it, and how to speak to it."""

import os
import re
from collections.abc import Callable
from typing import NamedTuple, Self
from urllib.parse import parse_qsl, unquote

from cgcython.errors import StoreUnavailable

SCHEMES = ("cql",)
PASSWORD = "CGCYTHON_CQL_PASSWORD"
_FORM = "cql://HOST,HOST:9042/KEYSPACE?tenant=NAME"
_KEYSPACE = re.compile(r"[a-z][a-z0-9_]{0,47}")
_READS = ("ONE", "TWO", "THREE", "LOCAL_ONE")
_BOTH = ("QUORUM", "LOCAL_QUORUM", "EACH_QUORUM", "ALL")
_MOST_BUCKETS = 4096


class Address(NamedTuple):
    """What a URL says.

    `buckets` and `replication` are of a store and a keyspace that are made. `timeout_s` is the
    most that a request takes with its retries; `overlap_s` is how far back of a position changes
    are read, and has to be more.
    """

    place: str
    hosts: tuple[tuple[str, int], ...]
    keyspace: str
    tenant: str = "main"
    consistency: str = "QUORUM"
    dc: str | None = None
    tls: str | None = None
    user: str | None = None
    password: str | None = None
    buckets: int = 16
    replication: int | None = None
    timeout_s: float = 6.0
    overlap_s: float = 10.0

    @classmethod
    def of(cls, url: str, password: str | None = None) -> Self:
        """Return the address of a URL; the password is by default the environment's.

        Raises StoreUnavailable for one that is wrong.

        >>> Address.of("cql://a,b:9043/notes?tenant=ada").hosts
        (('a', 9042), ('b', 9043))
        """
        head, _, query = url.partition("?")
        authority, _, keyspace = head.partition("://")[2].partition("/")
        if "@" in authority:
            place = f"cql://{authority.rpartition('@')[2]}/{keyspace}"
            reason = f"expected {_FORM}; give the user as ?user=NAME, the password in {PASSWORD}"
            raise StoreUnavailable(path=place, reason=reason)
        try:
            hosts = tuple(_host(one) for one in authority.split(","))
            given = _options(query)
            if not _KEYSPACE.fullmatch(keyspace):
                raise ValueError(f"a keyspace of small letters, digits and _, got {keyspace!r:.60}")
            found = cls(url, hosts, keyspace, **given)  # type: ignore[arg-type]  # checked there
        except ValueError as error:
            raise StoreUnavailable(path=url, reason=f"expected {error}; write {_FORM}") from None
        return found._replace(password=password or os.environ.get(PASSWORD))

    @property
    def only_reads(self) -> bool:
        """Whether its consistency is too low for what is written to be read for certain."""
        return self.consistency in _READS


def _host(text: str) -> tuple[str, int]:
    name, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        name, port = text, "9042"
    if not name or not port.isdigit():
        raise ValueError(f"HOST or HOST:PORT, got {text!r:.60}")
    return name.strip("[]"), int(port)


def _options(query: str) -> dict[str, object]:
    """Return the parameters of a URL, checked; raises ValueError."""
    found: dict[str, object] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)):
        if name not in _CHECKS:
            raise ValueError(f"parameters among {', '.join(_CHECKS)}, got {name!r:.60}")
        found[_NAMES.get(name, name)] = _CHECKS[name](unquote(value))
    if float(str(found.get("overlap_s", 10))) <= float(str(found.get("timeout_s", 6))):
        raise ValueError("an overlap longer than the timeout")
    return found


def _name(text: str) -> str:
    if not 0 < len(text.encode(errors="replace")) <= 256:
        raise ValueError(f"a tenant, dc or user of 1 to 256 bytes, got {text!r:.60}")
    return text


def _consistency(text: str) -> str:
    if text.upper() not in _READS + _BOTH:
        raise ValueError(f"a consistency among {', '.join(_BOTH + _READS)}, got {text!r:.60}")
    return text.upper()


def _count(text: str) -> int:
    if not (text.isdigit() and 1 <= int(text) <= _MOST_BUCKETS):
        raise ValueError(f"a number from 1 to {_MOST_BUCKETS}, got {text!r:.60}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 3600:
        raise ValueError(f"seconds, at most 3600, got {text!r:.60}")
    return found


_CHECKS: dict[str, Callable[[str], object]] = {
    "tenant": _name,
    "consistency": _consistency,
    "dc": _name,
    "tls": str,
    "user": _name,
    "buckets": _count,
    "replication": _count,
    "timeout": _seconds,
    "overlap": _seconds,
}
_NAMES = {"timeout": "timeout_s", "overlap": "overlap_s"}
