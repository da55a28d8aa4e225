"""The codebooks inside a store: kept by id, several generations of an embedder side by side."""

import os
import struct
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from cgcython.base import ModelId, Profile
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.embedders.codebooks import by_embedder, require_own
from cgcython.errors import (
    CodebookCorrupt,
    CodebookMissing,
    StorageCorruption,
    UnsupportedVersion,
)
from cgcython.metadata import codebook_id_of
from cgcython.records import QuantizedEmbedding
from cgcython.store.keepers.rocksdb import Database, Put, Tables
from cgcython.types import StrPath

Codebooks: TypeAlias = Mapping[Any, PQ8Codebook] | StrPath  # by embedder, or a folder

_ID = struct.Struct(">I")
CODEBOOK, GENERATIONS = b"codebook/", b"generations/"
_UNREADABLE = CodebookMissing, CodebookCorrupt, UnsupportedVersion


def codebook_keys(meta: Mapping[bytes, bytes]) -> list[bytes]:
    """Return the keys of the codebooks that the generations among some rows of `meta` name."""
    ids = b"".join(value for key, value in meta.items() if key.startswith(GENERATIONS))
    return [CODEBOOK + ids[at : at + _ID.size] for at in range(0, len(ids), _ID.size)]


class CodebookShelf:
    """Adds codebooks to a database and reads them; an embedder's newest one encodes."""

    def __init__(self, files: Database, profile: Profile) -> None:
        self._files, self._profile = files, profile
        self._loaded: dict[int, PQ8Codebook] = {}
        self._generations: dict[ModelId, list[int]] = {}
        self.reload()

    def reload(self) -> None:
        """Read again which codebooks there are."""
        self._generations.update(_generations(self._files))

    def add(self, codebooks: Codebooks | None) -> None:
        """Keep codebooks, a `{ModelId: PQ8Codebook}` or the folder of `pq8_codebooks/`.

        A read-only database is left alone: they serve until it is closed.
        """
        puts: list[Put] = []
        for model_id, codebook in self._given(codebooks).items():
            codebook_id = codebook.codebook_id
            ids = self._generations.setdefault(model_id, [])
            if ids and ids[-1] == codebook_id:
                continue
            self._loaded[codebook_id] = codebook
            ids[:] = [one for one in ids if one != codebook_id] + [codebook_id]
            puts.append(("meta", CODEBOOK + _ID.pack(codebook_id), codebook.to_bytes()))
            value = b"".join(map(_ID.pack, ids))
            puts.append(("meta", GENERATIONS + bytes([model_id]), value))
        if puts and not self._files.read_only:
            self._files.write(puts)

    def _given(self, codebooks: Codebooks | None) -> dict[ModelId, PQ8Codebook]:
        if codebooks is None:
            return {}
        if not isinstance(codebooks, (str, os.PathLike)):
            return by_embedder(codebooks)
        rows = [row for row in self._profile.values() if codec_class(row.method).needs_codebook]
        paths = {row: codebook_path(codebooks, row.model_id.title) for row in rows}
        return {
            row.model_id: require_own(PQ8Codebook.load(path, row.dimension), row.model_id)
            for row, path in paths.items()
            if path.exists()
        }

    def require_listed(self, record: Mapping[ModelId, QuantizedEmbedding]) -> None:
        """Raise CodebookMissing for codes of a codebook that the store does not list."""
        for model_id, one in record.items():
            codebook_id = codebook_id_of(one.metadata)
            if codebook_id is not None and codebook_id not in self._generations.get(model_id, ()):
                raise CodebookMissing(model_id=model_id, codebook_id=codebook_id)

    def embedders(self) -> list[ModelId]:
        """Return the embedders that have a codebook."""
        return list(self._generations)

    def generations(self) -> dict[ModelId, list[int]]:
        """Return the ids of the codebooks of each embedder, oldest first."""
        return {model_id: list(ids) for model_id, ids in self._generations.items()}

    def drop(self, needed: Collection[int]) -> list[int]:
        """Remove all codebooks but those of some ids, and return the ids that are gone."""
        puts: list[Put] = []
        gone: set[int] = set()
        for model_id, ids in self._generations.items():
            gone.update(one for one in ids if one not in needed)
            ids[:] = [one for one in ids if one in needed]
            value = b"".join(map(_ID.pack, ids))
            puts.append(("meta", GENERATIONS + bytes([model_id]), value))
        if gone:
            deletes = [("meta", CODEBOOK + _ID.pack(one)) for one in gone]
            self._files.write(puts, deletes)
        return sorted(gone)

    def codebook(self, codebook_id: int) -> PQ8Codebook:
        """Return the codebook of an id.

        Raises CodebookMissing, CodebookCorrupt and UnsupportedVersion.
        """
        found = self._loaded.get(codebook_id)
        if found is None:
            found = self._loaded[codebook_id] = _codebook(self._files, codebook_id)
        return found

    def current(self) -> dict[ModelId, PQ8Codebook]:
        """Return the codebook that encodes each embedder: `{ModelId: PQ8Codebook}`.

        One that is missing, damaged or of a later release is left out: it is named when needed.
        """
        found = {}
        for model_id, ids in self._generations.items():
            with suppress(*_UNREADABLE):
                found[model_id] = self.codebook(ids[-1])
        return found


def sound_codebooks(files: Tables) -> list[PQ8Codebook]:
    """Return the codebooks that a database has and that are whole."""
    sound = []
    for codebook_id in {one for ids in _generations(files).values() for one in ids}:
        # The records that need another one are named instead.
        with suppress(CodebookMissing, StorageCorruption):
            sound.append(_codebook(files, codebook_id))
    return sound


def _generations(files: Tables) -> dict[ModelId, list[int]]:
    """Return the ids of the codebooks of each embedder, oldest first."""
    return {
        ModelId(key[len(GENERATIONS)]): [codebook_id for (codebook_id,) in _ID.iter_unpack(value)]
        for key, value in files.scan("meta", GENERATIONS)
    }


def _codebook(files: Tables, codebook_id: int) -> PQ8Codebook:
    where = f"{codebook_id:#010x} of store {files.path}"
    data = files.get("meta", CODEBOOK + _ID.pack(codebook_id), f"codebook {where}")
    if data is None:
        raise CodebookMissing(path=files.path, codebook_id=codebook_id)
    return PQ8Codebook.from_bytes(data, where=where)
