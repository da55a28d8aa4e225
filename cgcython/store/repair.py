"""Puts a new store with what is good of a damaged one in its place, or beside it.

The damaged files are only read: a copy of them is opened.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from cgcython.base import ProfileName
from cgcython.errors import InvalidInput, QuantizationError, StorageCorruption, StoreUnavailable
from cgcython.folders import keep_modes, put_in_place, working_folder
from cgcython.store.keepers.rocksdb import owned, real_path, salvage
from cgcython.store.opening import has_database, open_keeper
from cgcython.store.places import is_address, name_of_place
from cgcython.store.repair_report import RepairReport
from cgcython.store.rescue import Rescue
from cgcython.types import Progress, StrPath


def repair(
    path: StrPath,
    out: StrPath | None = None,
    *,
    keep_parts: bool = False,
    dry_run: bool = False,
    profile: ProfileName | None = None,
    progress: Progress | None = None,
) -> RepairReport:
    """Write what is good of a store into a new one and return the RepairReport.

    The new store takes the place of the damaged one, which stays beside it as
    `PATH.damaged-<time>`; with `out` it is written there and the damaged one stays. A sound store
    is left as it is, and so is one that holds a record of a later release: UnsupportedVersion names
    it. `keep_parts` keeps the sound sections of damaged records too. `dry_run` writes nothing.
    `profile` is needed where the store has lost its own. `progress` is called with the number of
    records of each batch. Close the store first: raises StoreUnavailable while another process has
    it open.
    """
    if is_address(path):
        expected = "the folder of a store; a database mends its own files"
        raise InvalidInput(what="path", expected=expected, actual=name_of_place(path))
    damaged, target = real_path(path), None if out is None else real_path(out)
    if not has_database(damaged):
        raise StoreUnavailable(path=damaged, reason="there is no store; check the path")
    if target is not None and target.exists():
        raise StoreUnavailable(path=target, reason="it exists; choose a new folder")
    refusal = "cannot write beside it: {}; choose another place (out=, --out)"
    with owned(damaged), working_folder(target or damaged, refusal) as folder:
        problem = _problem(damaged)
        source = salvage(damaged, folder / "copy")
        try:
            rescue = Rescue(source, damaged, keep_parts, progress)
            report = rescue.run(folder / "new", profile)
        finally:
            source.close()
        if not dry_run and (problem or not report.ok or target is not None):
            _place(folder / "new", damaged, target, report)
    return report


def _problem(path: Path) -> QuantizationError | None:
    """Return what keeps a store from being opened, or None."""
    try:
        open_keeper(path, None, read_only=True, create=False)[0].close()
    except (StorageCorruption, StoreUnavailable) as error:
        return error
    return None


def _place(new: Path, path: Path, out: Path | None, report: RepairReport) -> None:
    """Put the new store where it belongs, with the permissions of the damaged one."""
    keep_modes(path, new)
    if out is not None:
        put_in_place(new, out)
        report.path = out
        return
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    try:
        os.rename(path, aside)
    except OSError as error:  # a mount point, say
        reason = f"it cannot be moved aside: {error}; repair it into another folder (out=, --out)"
        raise StoreUnavailable(path=path, reason=reason) from error
    try:
        put_in_place(new, path)
    except BaseException:
        os.rename(aside, path)
        raise
    report.path, report.damaged = path, aside
