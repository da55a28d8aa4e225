"""An object as a file to read and seek in, for packages that know files only."""

import io

from cgcython.corpus.remote.objects import RemoteObject
from cgcython.types import BytesLike


class ObjectFile(io.RawIOBase):
    """A file of the bytes of an object; each read is one of the object."""

    def __init__(self, source: RemoteObject) -> None:
        super().__init__()
        self._source, self._place = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._source.size}[whence]
        self._place = max(0, begin + offset)
        return self._place

    def readinto(self, buffer: BytesLike) -> int:  # type: ignore[override]  # of any kind
        view = memoryview(buffer).cast("B")
        start = min(self._place, self._source.size)
        stop = min(start + len(view), self._source.size)
        view[: stop - start] = self._source.read(start, stop)
        self._place = stop
        return stop - start
