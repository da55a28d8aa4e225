"""URLs of inputs: told from paths, and shown without passwords and signatures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from cgcython.files import as_path
from cgcython.types import StrPath

_PROTOCOL = r"[a-zA-Z][a-zA-Z0-9+.-]*"
_URL = re.compile(rf"(?:{_PROTOCOL}::)*{_PROTOCOL}://.*", re.DOTALL)
# A user and password, and a query, which may be a signature.
_SECRETS = re.compile(r"(?<=://)[^/?#@\s]*@|(?<=[^\s?])[?][^:@\s'\"]*")
LOCAL = "file"
SHORT = 4  # characters that may stand in any sentence, and are no secret


@dataclass(frozen=True, repr=False)
class Url:
    """Where an object is: a URL, with what a Path tells of its name.

    As text it has neither the user and password nor the query, which may be a signature; `text`
    has everything.

    >>> url = Url("https://me:secret@host/a/docs.npy?signature=5")
    >>> str(url), url.name, url.suffix, url.protocol
    ('https://host/a/docs.npy', 'docs.npy', '.npy', 'https')
    """

    text: str

    def __str__(self) -> str:
        return without_secrets(self.text)

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"

    @property
    def protocol(self) -> str:
        """The protocol that reads it; of chained ones the first."""
        return re.split("::|://", self.text, maxsplit=1)[0].lower()

    @property
    def name(self) -> str:
        """The last part of the path; of chained URLs that of the first."""
        first = next(one for one in str(self).split("::") if "://" in one)
        return PurePosixPath(first).name

    @property
    def suffix(self) -> str:
        """What the name ends in, as `.npy`."""
        return PurePosixPath(self.name).suffix

    def resolve(self) -> Url:
        """Return itself: a URL is whole."""
        return self

    def hidden_in(self, reason: str) -> str:
        """Return what another package says of it, without what its text hides."""
        reason = without_secrets(reason)
        secrets = [one.group() for one in _SECRETS.finditer(self.text)]
        parts = [part for one in secrets for part in re.split("[?&=:@]", one)]
        for part in (*parts, *map(unquote, parts)):
            reason = reason.replace(part, "...") if len(part) > SHORT else reason
        return reason


InputPlace: TypeAlias = Path | Url


def without_secrets(text: str) -> str:
    """Return a text with its URLs as they may be shown: without users, passwords and queries.

    >>> without_secrets("E1=https://me:secret@host/a.npy?signature=5:values@rows")
    'E1=https://host/a.npy:values@rows'
    """
    return _SECRETS.sub("", text) if "://" in text else text


def is_url(text: object) -> bool:
    """Return whether a text is a URL.

    >>> is_url("s3://bucket/docs.npy"), is_url("E1=s3://bucket/docs.npy"), is_url("a:b/docs.npy")
    (True, False, False)
    """
    return isinstance(text, str) and _URL.fullmatch(text) is not None


def input_place(text: StrPath | Url) -> InputPlace:
    """Return the Url that a text is, or else a path; `file://` names a path too.

    >>> input_place("file:///data/my%20docs.npy").name
    'my docs.npy'
    """
    if isinstance(text, Url):
        return text
    if not isinstance(text, str) or not is_url(text):
        return as_path(text, "input")
    url = Url(text)
    return as_path(url2pathname(urlsplit(text).path), "input") if url.protocol == LOCAL else url
