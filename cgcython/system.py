"""What systems do differently: forks, waiting for the disk, locks of files, cores, signals.

The only place that asks which system runs. POSIX's names are looked up here when they are needed,
so that every module can be imported where they are absent.
"""

import mmap
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # asked for before it is used

BINARY = getattr(os, "O_BINARY", 0)  # for os.open: Windows would change the ends of lines
_FOLDERS_OPEN = hasattr(os, "O_DIRECTORY")  # not on Windows


def at_fork(in_child: Callable[[], object]) -> None:
    """Have a function called in each child that this process forks, where processes fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=in_child)


def usable_cores() -> int:
    """Return how many processor cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sync(path: str | os.PathLike[str]) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Windows has no call for a folder: there the system writes names when it will.
    """
    is_folder = os.path.isdir(path)
    if is_folder and not _FOLDERS_OPEN:
        return
    # Windows flushes only what is open for writing.
    handle = os.open(path, os.O_RDONLY if _FOLDERS_OPEN else os.O_RDWR)
    try:
        sync_file(handle)
    finally:
        os.close(handle)


def at_once() -> int:
    """Return the flag that opens a file without waiting, as a pipe would have it; 0 on Windows."""
    return getattr(os, "O_NONBLOCK", 0) | BINARY


def sync_file(handle: int) -> None:
    """Wait until what was written to an open file is on the disk.

    On macOS os.fsync leaves it in the drive's own memory; F_FULLFSYNC does not, where the file
    system has it.
    """
    if hasattr(fcntl, "F_FULLFSYNC"):
        try:
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
        except OSError:  # of a network
            pass
    os.fsync(handle)


def advise(mapped: mmap.mmap, advice: str) -> None:
    """Tell the system how a map will be read: MADV_RANDOM, say; Windows takes no advice."""
    if hasattr(mapped, "madvise") and hasattr(mmap, advice):
        mapped.madvise(getattr(mmap, advice))


def set_mode(handle: int, path: str | os.PathLike[str], mode: int) -> None:
    """Set who may read and write a file that is open, as far as the system knows of that."""
    if hasattr(os, "fchmod"):
        os.fchmod(handle, mode)
    else:
        os.chmod(path, mode)


def write_at_start(handle: int, data: bytes) -> None:
    """Write over the beginning of a file; no other thread uses its position."""
    if hasattr(os, "pwrite"):
        os.pwrite(handle, data, 0)
    else:
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, data)


def held_folder(path: str | os.PathLike[str]) -> int | None:
    """Return an open folder, whose inode no other gets meanwhile; None where none can be opened."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY) if _FOLDERS_OPEN else None


def lock_posix(handle: int) -> None:
    """Take the POSIX lock of an open file; raises BlockingIOError where another process has it.

    Windows has none: there a database lets no other process open its lock's file at all.
    """
    if fcntl is not None:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def refuses_open_files() -> bool:
    """Return whether the system refuses to open a file that another process has for itself."""
    return sys.platform == "win32"


def blocked(signals: set[signal.Signals]) -> Any:
    """Block signals in this thread and what it starts; return what `unblock` takes."""
    if hasattr(signal, "pthread_sigmask"):
        return signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    return None


def unblock(mask: Any) -> None:
    """Set the signals that are blocked to what they were before `blocked`."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def press_ctrl_c(thread: int) -> None:
    """Send SIGINT to a thread, which ends a wait for the system, too; on Windows to the main."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)
