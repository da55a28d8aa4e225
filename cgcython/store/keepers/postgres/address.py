"""Where a store is: a database as libpq's URLs name it, and a schema in it."""

from typing import NamedTuple, Self
from urllib.parse import unquote

from cgcython.errors import StoreUnavailable

SCHEMES = ("postgresql", "postgres")
DEFAULT_SCHEMA = "cgcython"
_MOST_BYTES = 63  # of a name, or PostgreSQL cuts it off
_SECRETS = ("password", "sslpassword")


class Address(NamedTuple):
    """A URL for libpq, which may have a password, the schema, and the place as messages name it."""

    url: str
    schema: str
    place: str
    secrets: tuple[str, ...] = ()

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the address of a URL, whose parameter `schema` is not libpq's.

        Raises StoreUnavailable for a schema of a name that no schema has.

        >>> Address.of("postgresql://ada:secret@host/db?schema=notes&sslmode=require").place
        'postgresql://ada@host/db?schema=notes&sslmode=require'
        """
        head, _, query = url.partition("?")
        given = [one for one in query.split("&") if one]
        schemas = [value for name, value in map(_pair, given) if name == "schema"]
        passed = [one for one in given if _pair(one)[0] != "schema"]
        open_head, secret = _without_password(head)
        shown = [one for one in given if _pair(one)[0] not in _SECRETS]
        place = _joined(open_head, shown)
        schema = schemas[-1] if schemas else DEFAULT_SCHEMA
        _require_name(schema, place)
        hidden = [secret, *(value for name, value in map(_pair, given) if name in _SECRETS)]
        hidden.append(secret.partition("/")[0])  # which libpq takes for a port, and shows
        spelled = {text for one in hidden if one for text in (one, unquote(one))}
        return cls(_joined(head, passed), schema, place, tuple(sorted(spelled, key=len)[::-1]))

    def sets(self, parameter: str) -> bool:
        """Return whether the URL sets a parameter of libpq's."""
        return any(_pair(one)[0] == parameter for one in self.url.partition("?")[2].split("&"))

    def cleared(self, message: str) -> str:
        """Return a message of libpq or of the server as one line, and without passwords."""
        line = " ".join(message.replace(self.url, self.place).split())
        for secret in self.secrets:
            line = line.replace(secret, "***")
        return line


def _pair(parameter: str) -> tuple[str, str]:
    name, _, value = parameter.partition("=")
    return unquote(name), unquote(value)


def _joined(head: str, parameters: list[str]) -> str:
    return f"{head}?{'&'.join(parameters)}" if parameters else head


def _without_password(head: str) -> tuple[str, str]:
    """Return the URL up to its parameters without the password, and the password."""
    scheme, separator, rest = head.partition("://")
    authority = rest.partition("/")[0]
    # A password with a slash in it is refused by libpq: it must not be shown for that.
    user, at, _ = (authority if "@" in authority else rest).rpartition("@")
    name, colon, secret = user.partition(":")
    if not (at and colon):
        return head, ""
    return f"{scheme}{separator}{name}{rest[len(user) :]}", secret


def _require_name(schema: str, place: str) -> None:
    size = len(schema.encode(errors="replace"))
    if 0 < size <= _MOST_BYTES and "\0" not in schema and not schema.startswith("pg_"):
        return
    reason = (
        f"expected a schema of 1 to {_MOST_BYTES} bytes that does not begin with pg_, "
        f"got {schema!r:.80}; write ?schema=NAME"
    )
    raise StoreUnavailable(path=place, reason=reason)
