"""The codebooks inside a store: kept by id, several generations of an embedder side by side."""

import logging
import os
import struct
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

from cgcython.base import EmbedderId, Profile
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.embedders.codebooks import Codebooks as EmbedderCodebooks
from cgcython.embedders.codebooks import by_embedder, load_for
from cgcython.errors import (
    CodebookCorrupt,
    CodebookMissing,
    InvalidInput,
    QuantizationError,
    StorageCorruption,
    StoreUnavailable,
    UnsupportedVersion,
)
from cgcython.fingerprint import Form
from cgcython.store.current_codebooks import CurrentCodebooks
from cgcython.store.keeper import Keeper, Note, Outdated
from cgcython.types import StrPath

Codebooks: TypeAlias = Mapping[Any, Codebook] | StrPath  # by embedder, or a folder
_Notes: TypeAlias = dict[bytes, bytes | None]

_ID = struct.Struct(">I")
ID_BYTES = _ID.size
CODEBOOK, GENERATIONS = b"codebook/", b"generations/"
_UNREADABLE = CodebookMissing, StorageCorruption
_LOGGER = logging.getLogger(__name__)


def codebook_keys(meta: Mapping[bytes, bytes]) -> list[bytes]:
    """Return the keys of the codebooks that the generations among some rows of `meta` name."""
    ids = b"".join(value for key, value in meta.items() if key.startswith(GENERATIONS))
    return [CODEBOOK + ids[at : at + _ID.size] for at in range(0, len(ids), _ID.size)]


class CodebookShelf:
    """Adds codebooks to a store and reads them; an embedder's newest one encodes."""

    def __init__(self, keeper: Keeper, profile: Profile) -> None:
        self._keeper, self._profile = keeper, profile
        self._loaded: dict[int, Codebook] = {}
        self._generations: dict[EmbedderId, list[int]] = {}
        self._warned: set[int] = set()
        self.unreadable: list[EmbedderId] = []  # whose newest codebook cannot be read
        self.reload()

    def reload(self, profile: Profile | None = None) -> None:
        """Read again which codebooks there are, from now on for the embedders of a profile."""
        self._profile = profile or self._profile
        rows = self._profile.items()
        self._coded = {one for one, row in rows if codec_class(row.method).needs_codebook}
        self._generations.update(_generations(self._keeper, self._profile))

    def add(self, codebooks: Codebooks | None) -> None:
        """Keep codebooks, a `{embedder: codebook}` or the folder of `pq8_codebooks/`.

        One that is there and damaged is mended. A read-only database is left alone: they serve
        until it is closed.
        """
        given = self._given(codebooks)
        while True:
            notes, expected = self._added(given)
            if not notes or self._keeper.read_only:
                return
            try:
                return self._keeper.put_notes(notes, expected)
            except Outdated:  # another process added some
                self.reload()

    def _added(self, given: Mapping[EmbedderId, Codebook]) -> tuple[_Notes, _Notes]:
        """Take codebooks up; return the notes that keep them, and what these notes were."""
        notes: _Notes = {}
        expected: _Notes = {}
        for model_id, codebook in given.items():
            codebook_id = codebook.codebook_id
            is_kept = self._is_kept(codebook)
            ids = self._generations.setdefault(model_id, [])
            if is_kept and ids[-1:] == [codebook_id]:
                continue
            name = GENERATIONS + bytes([model_id])
            expected[name] = _packed(ids) if ids else None
            self._loaded[codebook_id] = codebook
            ids[:] = [one for one in ids if one != codebook_id] + [codebook_id]
            notes[CODEBOOK + _ID.pack(codebook_id)] = codebook.to_bytes()
            notes[name] = _packed(ids)
        return notes, expected

    def _is_kept(self, codebook: Codebook) -> bool:
        """Return whether a codebook needs no writing; one of a later release is left alone.

        Raises InvalidInput where another one has the same 32-bit id.
        """
        try:
            kept = self.codebook(codebook.codebook_id)
        except UnsupportedVersion:
            return True
        except _UNREADABLE:
            return False
        if kept != codebook:
            expected = "one whose id no other codebook of the store has; train it with another seed"
            raise InvalidInput(what="codebook", expected=expected, actual=str(codebook))
        return True

    def _given(self, codebooks: Codebooks | None) -> dict[EmbedderId, Codebook]:
        if codebooks is None:
            return {}
        if not isinstance(codebooks, (str, os.PathLike)):
            named = by_embedder(codebooks).items()
            given = {self._profile.embedder(one): codebook for one, codebook in named}
            EmbedderCodebooks(given, self._profile)  # raises what is wrong before anything is kept
            return given
        rows = [row for row in self._profile.values() if codec_class(row.method).needs_codebook]
        paths = [(row, codebook_path(codebooks, row.model_id.title)) for row in rows]
        return {row.model_id: load_for(row, one) for row, one in paths if os.path.exists(one)}

    def require_listed(self, forms: Mapping[EmbedderId, Form]) -> None:
        """Raise CodebookMissing for codes of a codebook that the store does not list.

        The forms fit the profile.
        """
        for model_id, (_, _, codebook_id) in forms.items():
            if model_id not in self._coded:
                continue
            if codebook_id is not None and codebook_id not in self._generations.get(model_id, ()):
                raise CodebookMissing(model_id=model_id, codebook_id=codebook_id)

    def embedders(self) -> list[EmbedderId]:
        """Return the embedders that have a codebook."""
        return list(self._generations)

    def generations(self) -> dict[EmbedderId, list[int]]:
        """Return the ids of the codebooks of each embedder, oldest first."""
        return {model_id: list(ids) for model_id, ids in self._generations.items()}

    def lists(self) -> dict[bytes, bytes | None]:
        """Return the notes that list the codebooks of each embedder, as this process knows them."""
        generations = self._generations.items()
        return {GENERATIONS + bytes([model_id]): _packed(ids) for model_id, ids in generations}

    def drop(self, needed: Collection[int], kept: Mapping[bytes, bytes | None]) -> list[int]:
        """Remove all codebooks but those of some ids, and return the ids that are gone.

        `kept` are the lists as they are kept now.
        """
        gone: set[int] = set()
        for ids in self._generations.values():
            gone.update(one for one in ids if one not in needed)
            ids[:] = [one for one in ids if one in needed]
        lists = self.lists()
        if lists != kept:
            self.put(lists | {CODEBOOK + _ID.pack(one): None for one in gone}, kept)
        return sorted(gone)

    def put(self, notes: _Notes, expected: Mapping[bytes, bytes | None]) -> None:
        """Keep notes; raises StoreUnavailable where another process changed what is expected."""
        try:
            self._keeper.put_notes(notes, expected)
        except Outdated:
            self.reload()
            reason = "another process added codebooks at the same time; try again"
            raise StoreUnavailable(path=self._keeper.place, reason=reason) from None

    def codebook(self, codebook_id: int) -> Codebook:
        """Return the codebook of an id.

        Raises CodebookMissing, CodebookCorrupt and UnsupportedVersion.
        """
        found = self._loaded.get(codebook_id)
        if found is None:
            found = self._loaded[codebook_id] = _codebook(self._keeper, codebook_id)
        return found

    def newest(self, model_id: EmbedderId) -> Codebook | None:
        """Return the codebook that encodes an embedder, None where it has none; errors as above.

        Raises CodebookCorrupt for one that is of another dimension than the embedder, too.
        """
        ids = self._generations.get(model_id)
        if not ids:
            return None
        codebook, row = self.codebook(ids[-1]), self._profile.get(model_id)
        if row is None or row.dimension != codebook.embedding_dim:
            reason = f"it is for {codebook.embedding_dim} values, which {model_id.short} has not"
            raise CodebookCorrupt(where=_name(self._keeper.place, ids[-1]), reason=reason)
        if codec_class(row.method).codebook_kind != codebook.method.value:
            reason = f"it is of {codebook.method}, {model_id.short} is kept as {row.method}"
            raise CodebookCorrupt(where=_name(self._keeper.place, ids[-1]), reason=reason)
        return codebook

    def current(self) -> EmbedderCodebooks:
        """Return the codebooks that encode, one for each embedder.

        One that is missing, damaged or of a later release is told in a warning, and raised where it
        is needed.
        """
        found: dict[EmbedderId, Codebook] = {}
        self.unreadable = []
        for model_id, ids in self._generations.items():
            try:
                codebook = self.newest(model_id)
            except _UNREADABLE as error:
                self.unreadable.append(model_id)
                self._warn(model_id, ids[-1], error)
            else:
                found |= {} if codebook is None else {model_id: codebook}
        return CurrentCodebooks(found, self._profile, self.newest)

    def _warn(self, model_id: EmbedderId, codebook_id: int, error: QuantizationError) -> None:
        if codebook_id not in self._warned:
            self._warned.add(codebook_id)
            _LOGGER.warning("%s: opened without it, all else is served: %s", model_id.short, error)

    def notes(self) -> list[Note]:
        """Return the notes of all codebooks, and of which there are."""
        names = [GENERATIONS + bytes([model_id]) for model_id in self._generations]
        notes = [Note(name, f"codebooks of {self._keeper.place}", parsed_ids) for name in names]
        for codebook_id in sorted({one for ids in self._generations.values() for one in ids}):
            notes.append(codebook_note(self._keeper.place, CODEBOOK + _ID.pack(codebook_id)))
        return notes

    def read_all(self) -> tuple[list[Codebook], dict[int, str]]:
        """Return the codebooks that are whole, read anew, and why others cannot be read, by id."""
        sound, wrong = [], {}
        for codebook_id in sorted({one for ids in self._generations.values() for one in ids}):
            try:
                sound.append(_codebook(self._keeper, codebook_id))
            except CodebookMissing:
                wrong[codebook_id] = "it is gone; open the store with it in `codebooks`"
            except StorageCorruption as error:
                wrong[codebook_id] = str(error.reason)
        return sound, wrong


def _generations(keeper: Keeper, profile: Profile) -> dict[EmbedderId, list[int]]:
    """Return the ids of the codebooks of each embedder, oldest first; a damaged list is told."""
    found: dict[EmbedderId, list[int]] = {}
    for model_id in profile.storable:
        where = f"list of the codebooks of {model_id.short} in store {keeper.place}"
        try:
            ids = keeper.note(GENERATIONS + bytes([model_id]), parsed_ids, where)
        except StorageCorruption as error:
            _LOGGER.warning("%s; give the newest one in `codebooks`", error)
            continue
        if ids is not None:
            found[model_id] = ids
    return found


def _packed(ids: Iterable[int]) -> bytes:
    return b"".join(map(_ID.pack, ids))


def parsed_ids(value: bytes) -> list[int]:
    """Return the ids in a list of codebooks; raises StorageCorruption."""
    if len(value) % _ID.size:
        raise StorageCorruption(where="list of codebooks", reason=f"it has {len(value)} bytes")
    return [codebook_id for (codebook_id,) in _ID.iter_unpack(value)]


def _name(place: object, codebook_id: int) -> str:
    return f"{codebook_id:#010x} of store {place}"


def codebook_note(place: object, name: bytes) -> Note:
    """Return the note of a codebook: of its name, with a codebook of just this id."""
    (codebook_id,) = _ID.unpack(name[len(CODEBOOK) :])
    where = _name(place, codebook_id)

    def parse(value: bytes) -> Codebook:
        codebook = Codebook.from_bytes(value, where=where)
        if codebook.codebook_id != codebook_id:
            reason = f"it is another one, {codebook.codebook_id:#010x}"
            raise CodebookCorrupt(where=where, reason=reason)
        return codebook

    return Note(name, f"codebook {where}", parse)


def _codebook(keeper: Keeper, codebook_id: int) -> Codebook:
    note = codebook_note(keeper.place, CODEBOOK + _ID.pack(codebook_id))
    try:
        found: Codebook | None = keeper.note(note.name, note.parse, note.title)
    except UnsupportedVersion:
        raise
    except StorageCorruption as error:
        reason = f"{error.reason}; open the store with it in `codebooks`, which mends it"
        raise CodebookCorrupt(where=_name(keeper.place, codebook_id), reason=reason) from error
    if found is None:
        raise CodebookMissing(path=keeper.place, codebook_id=codebook_id)
    return found
