"""Opens what an earlier system left: a database, or a folder of float32 arrays."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from cgcython.base import EmbedderId, EmbedderName, Profile
from cgcython.corpus.legacy_folder import open_folder
from cgcython.errors import UsageError
from cgcython.store.migration import LegacyDatabase, LegacyRecord, LegacyValue
from cgcython.store.opening import has_database
from cgcython.types import StrPath


class LegacySource(Protocol):
    """The memories of an earlier system."""

    @property
    def embedders(self) -> Sequence[EmbedderId]:
        """The embedders that some memory may have."""

    @property
    def unknown(self) -> Sequence[str]:
        """Names of what is there and is no embedder of the profile."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def __len__(self) -> int:
        """Return how many memories there are, about."""

    def records(self, after: bytes = b"") -> Iterator[LegacyRecord]:
        """Yield the memories behind a place, in the order of their places."""

    def values(self, model_id: EmbedderId) -> Iterator[LegacyValue]:
        """Yield the embeddings of one embedder, to train on."""

    def facts(self) -> Any:
        """Return what makes a later run the same one, as JSON keeps it."""


def open_legacy(
    path: StrPath, profile: Profile, families: Mapping[EmbedderName, str] | None = None
) -> LegacySource:
    """Return the source in a folder, to be closed by leaving its `with` block.

    `families` names the column families of embedders that a database calls otherwise. Raises
    UsageError for what is no source, and what opening it raises.
    """
    if not Path(path).is_dir():
        raise UsageError(f"{path}: no such folder; name a database or a folder of arrays")
    if has_database(path):
        return LegacyDatabase(path, profile, families)
    if families:
        raise UsageError(f"families are of a database, and {path} is a folder of arrays")
    return open_folder(path, profile)
