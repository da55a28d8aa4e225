"""The files that lie beside shards: what a job writes of them, takes back, and clears away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cgcython.base import EmbedderId, Profile
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.errors import CodebookMissing, InvalidInput, StorageCorruption, UsageError
from cgcython.files import write_whole
from cgcython.store import shards

# What `written_whole` calls a file until it is whole.
_UNFINISHED = re.compile(
    r"\.(shard-\d{5,}\.[0-9a-f]{8}\.safetensors"
    r"|(manifest|job)\.[0-9a-f]{8}\.json|profile\.[0-9a-f]{8}\.toml)"
)


class FolderChanges:
    """Changes of files that can be taken back."""

    def __init__(self) -> None:
        self._before: dict[Path, bytes | None] = {}
        self._made: set[Path] = set()

    def write(self, path: Path, content: bytes) -> None:
        """Write a file, whole or not at all; raises FileUnavailable."""
        self._note(path)
        write_whole(path, content)

    def remove(self, path: Path) -> None:
        """Remove a file, where it is there."""
        self._note(path)
        path.unlink(missing_ok=True)

    def _note(self, path: Path) -> None:
        self._before.setdefault(path, path.read_bytes() if path.is_file() else None)
        if not path.parent.exists():
            self._made.add(path.parent)

    def undo(self) -> None:
        """Make all files what they were."""
        for path, content in reversed(self._before.items()):
            with suppress(OSError):
                if content is None:
                    if path.is_file():  # pipes and folders are refused, and not ours
                        path.unlink()
                elif not path.is_file() or path.read_bytes() != content:
                    write_whole(path, content)
        for path in self._made:
            with suppress(OSError):
                path.rmdir()
        self._before, self._made = {}, set()


def missing_files(
    folder: Path, profile: Profile, books: Mapping[EmbedderId, Codebook], is_told: bool = False
) -> dict[Path, bytes]:
    """Return the files beside the shards that are to be written, with their content.

    Raises UsageError for another codebook, which may be somebody's only copy, and for another
    profile. Where the folder has shards of the same making, another codebook is a damaged one, and
    so is another profile where `is_told`, by the manifest, that this one is that of the shards.
    """
    missing, has_shards = {}, bool(shards.shard_numbers(folder))
    for model_id, book in books.items():
        path = codebook_path(folder, model_id.title)
        if _hash_of(path) != book.sha256:
            missing[path] = book.to_bytes()
    others = [path for path in missing if path.exists() and not has_shards]
    path, kept = folder / shards.PROFILE, _profile_of(folder)
    if kept is None or kept.differences(profile):
        missing[path] = profile.to_toml().encode()
        if kept is not None and not is_told:
            said = "; ".join(kept.differences(profile))
            raise UsageError(f"{path} is of another profile ({said}); choose another folder")
        others += [path] if path.exists() and not has_shards else []
    if others:
        raise UsageError(f"{others[0]} is not that of these codes; choose another folder")
    return missing


def clear_unfinished(folder: Path, embedders: Iterable[EmbedderId]) -> None:
    """Remove what killed writers of shards left, and nothing else."""
    found = [one for one in folder.glob(".*") if _UNFINISHED.fullmatch(one.name)]
    for model_id in embedders:
        path = codebook_path(folder, model_id.title)
        own = re.compile(rf"\.{re.escape(path.stem)}\.[0-9a-f]{{8}}{path.suffix}")
        found += [one for one in path.parent.glob(".*") if own.fullmatch(one.name)]
    for path in found:
        if path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def _profile_of(folder: Path) -> Profile | None:
    try:
        return shards.read_profile(folder)
    except InvalidInput:  # missing or damaged
        return None


def _hash_of(path: Path) -> str | None:
    try:
        return Codebook.load(path).sha256
    except (CodebookMissing, StorageCorruption):
        return None
