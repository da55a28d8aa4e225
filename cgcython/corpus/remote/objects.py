"""Objects at URLs, read by ranges of bytes through fsspec.

fsspec finds credentials in its own ways: the environment, its configuration. What goes wrong is
told without them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

from cgcython.corpus.remote.urls import Url
from cgcython.errors import FileUnavailable, QuantizationError, UsageError

T = TypeVar("T")
Range: TypeAlias = tuple[int, int]  # first byte and the one behind the last
TRIES = 3  # of a read, where fsspec itself has given up
PAUSE = 0.2  # seconds before the second try, twice as long before the third
# What objects have where files have a time; the first that the protocol tells.
_VERSIONS = (
    *("ETag", "etag", "Content-MD5", "generation", "versionId", "mtime", "LastModified"),
    *("last_modified", "Last-Modified", "modified", "updated", "created"),
)
_FINAL = (
    *(FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError),
    QuantizationError,
)
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs"),
    **dict.fromkeys(("http", "https"), "aiohttp requests"),
}


class RemoteObject:
    """An object at a URL. Its size and version are noted when it is opened.

    Raises UsageError where a package is missing, FileUnavailable for what cannot be read.
    """

    def __init__(self, url: Url) -> None:
        self.url = url
        self._fs, self._path = _filesystem(url)
        about = self._about()
        if type(about.get("size")) is not int or about.get("type", "file") != "file":
            raise self._unavailable("it is no object of a known size; download it, and pass a path")
        self.size: int = about["size"]
        self.version = _version(about)

    def stamp(self) -> list[str | int]:
        """Return its name, size and version (ETag, or the time of its last change)."""
        return [self.url.name, self.size, self.version]

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes start to stop."""
        return self.read_ranges([(start, stop)])[0]

    def read_ranges(self, ranges: Sequence[Range]) -> list[bytes]:
        """Return the bytes of several ranges, read at the same time where the protocol can."""
        if any(not 0 <= start <= stop <= self.size for start, stop in ranges):
            raise self._unavailable(f"bytes behind its end at {self.size} were asked for")
        wanted = [one for one in ranges if one[0] < one[1]]
        found = iter(self._fetched(wanted) if wanted else [])
        return [next(found) if start < stop else b"" for start, stop in ranges]

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Raise FileUnavailable behind the block if the object is another by then.

        That is also told where the block failed to read it.
        """
        try:
            yield
        except FileUnavailable:
            self._require_same()
            raise
        self._require_same()

    def _require_same(self) -> None:
        self._fs.invalidate_cache(self._path)
        about = self._about()
        if (about.get("size"), _version(about)) != (self.size, self.version):
            raise self._unavailable(
                "it changed while it was read (its size, ETag or time differs): "
                "wait until it has been written, and start again"
            )

    def close(self) -> None:
        """Do nothing: no connection stays open for an object."""

    def _about(self) -> dict[str, Any]:
        with self._told():
            found: dict[str, Any] = self._tried(lambda: self._fs.info(self._path))
        return found

    def _fetched(self, ranges: Sequence[Range]) -> list[bytes]:
        starts, stops = map(list, zip(*ranges))

        def fetch() -> list[bytes]:
            paths = [self._path] * len(ranges)
            found: list[bytes] = self._fs.cat_ranges(paths, starts, stops, on_error="raise")
            for (start, stop), data in zip(ranges, found, strict=True):
                if isinstance(data, Exception):  # which some releases of fsspec return
                    raise data
                if len(data) == self.size > stop - start:
                    raise self._unavailable(
                        "its server sends all of it where a range was asked for; "
                        "download it, and pass a path"
                    )
                if len(data) != stop - start:
                    raise OSError(f"{len(data)} bytes came where {stop - start} were asked for")
            return found

        with self._told():
            return self._tried(fetch)

    def _tried(self, fetch: Callable[[], T]) -> T:
        """Return what a function returns, called again after errors that may pass."""
        for left in reversed(range(TRIES)):
            try:
                return fetch()
            except Exception as error:
                if not left or not _may_pass(error):
                    raise
                time.sleep(PAUSE * 2 ** (TRIES - 1 - left))
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise FileUnavailable, which names the object, for whatever a protocol raises."""
        try:
            yield
        except QuantizationError:
            raise
        except Exception as error:  # each protocol has a family of its own
            raise self._unavailable(self._reason(error)) from None

    def _reason(self, error: BaseException) -> str:
        cause = error.__cause__
        if isinstance(error, FileNotFoundError):
            if cause is None or isinstance(cause, KeyError) or "404" in str(cause):
                return "there is no such object"
            error = cause  # of servers that cannot be reached fsspec says that nothing is there
        reason = self.url.hidden_in(str(error).partition("\n")[0])
        return f"{type(error).__name__}: {reason:.300}"

    def _unavailable(self, reason: str) -> FileUnavailable:
        return FileUnavailable(path=str(self.url), reason=reason)


def _may_pass(error: Exception) -> bool:
    """Return whether an error may be gone when the same is asked for again."""
    if isinstance(error, (OSError, TimeoutError)):
        return not isinstance(error, _FINAL)
    is_refused = 400 <= getattr(error, "status", 0) < 500
    return type(error).__module__.startswith("aiohttp.") and not is_refused


def _version(about: dict[str, Any]) -> str:
    return next((str(about[one]) for one in _VERSIONS if about.get(one) is not None), "")


def _filesystem(url: Url) -> tuple[Any, str]:
    """Return the file system of a URL and the path of the object in it."""
    try:
        import fsspec.core
    except ImportError:
        raise UsageError(f"{url}: URLs need fsspec: pip install 'cgcython[remote]'") from None
    try:
        fs, path = fsspec.core.url_to_fs(url.text)
    except ImportError as error:
        package = _PACKAGES.get(url.protocol)
        remedy = f"; pip install {package}" if package else ""
        raise UsageError(f"{url}: {url.hidden_in(str(error))}{remedy}") from None
    except Exception as error:  # a protocol that nobody knows, a configuration that is none
        reason = url.hidden_in(str(error).partition("\n")[0])
        raise UsageError(f"{url}: {reason:.300}") from None
    return fs, str(path)
