"""The codebooks of the embedders that need one."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from cgcython.base import (
    Embedder,
    EmbedderId,
    EmbedderName,
    ModelId,
    Profile,
    ProfileName,
    parse_embedder,
)
from cgcython.checks import iterated, require_whole
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.codebook_file import codebook_path, train_command
from cgcython.errors import CodebookMissing, DimensionMismatch, InvalidInput
from cgcython.types import StrPath


class Codebooks:
    """The codebooks of the embedders whose method needs one, loaded when first asked for.

    They come from a mapping `embedder -> codebook` or from the folder that holds
    `pq8_codebooks/`.
    """

    def __init__(
        self,
        source: Mapping[Any, Codebook] | StrPath | None = None,
        profile: ProfileName | None = None,
    ) -> None:
        self._profile = Profile.named(profile)
        self._reads_files = isinstance(source, (str, os.PathLike))
        self.folder = Path(source) if isinstance(source, (str, os.PathLike)) else Path("models")
        given = {} if self._reads_files or source is None else by_embedder(source)
        self._loaded: dict[EmbedderId, Codebook] = {}
        self._by_id: dict[int, Codebook] = {}
        for model_id, codebook in given.items():
            if profile is not None:
                require_fit(self._profile[model_id], codebook)
            self._loaded[model_id] = codebook
            self.add(codebook)

    def __getitem__(self, model_id: EmbedderName) -> Codebook:
        embedder = parse_embedder(model_id)
        codebook = self._loaded.get(embedder)
        if codebook is None:
            codebook = self._load(embedder)
            self.add(codebook)  # first: `by_id` relies on it for all that are loaded
            codebook = self._loaded.setdefault(embedder, codebook)
        return codebook

    def __iter__(self) -> Iterator[EmbedderId]:
        """Iterate over the embedders that have a codebook."""
        return (one for one in self._embedders() if one in self._loaded or self._has_file(one))

    def by_id(self, codebook_id: int) -> Codebook:
        """Return the codebook that made codes. Raises CodebookMissing where none has the id."""
        codebook_id = require_whole(codebook_id, "codebook_id")
        if codebook_id not in self._by_id:
            self.require(self)
        try:
            return self._by_id[codebook_id]
        except KeyError:
            raise CodebookMissing(codebook_id=codebook_id) from None

    def add(self, codebook: Codebook) -> None:
        """Make a codebook known to `by_id`, so that codes of an earlier training decode."""
        require_codebook(codebook)
        self._by_id[codebook.codebook_id] = codebook

    def require(self, model_ids: Iterable[EmbedderName] | None = None) -> None:
        """Load the codebooks of embedders, by default of all; raises CodebookMissing."""
        wanted = self._embedders() if model_ids is None else iterated(model_ids, "model_ids")
        for model_id in wanted:
            self[model_id]

    def path(self, model_id: EmbedderName) -> Path:
        """Return the file of an embedder's codebook."""
        return codebook_path(self.folder, parse_embedder(model_id).title)

    def _embedders(self) -> list[EmbedderId]:
        return [one for one, row in self._profile.items() if codec_class(row.method).needs_codebook]

    def _has_file(self, model_id: EmbedderId) -> bool:
        return self._reads_files and os.path.isfile(self.path(model_id))

    def _load(self, model_id: EmbedderId) -> Codebook:
        path = self.path(model_id)
        if not self._has_file(model_id):
            command = train_command(path, codec_class(self._profile[model_id].method).codebook_kind)
            raise CodebookMissing(model_id=model_id, path=path, command=command)
        return load_for(self._profile[model_id], path)


# By embedder, in any spelling (the keys of a Mapping are invariant), or the folder of files.
CodebookSource: TypeAlias = Codebooks | Mapping[Any, Codebook] | StrPath


def by_embedder(codebooks: object) -> dict[EmbedderId, Codebook]:
    """Return a mapping of codebooks as `{embedder: codebook}`, each its embedder's own.

    Raises InvalidInput.
    """
    if not isinstance(codebooks, Mapping):
        actual = type(codebooks).__name__
        raise InvalidInput(what="codebooks", expected="a mapping or a folder", actual=actual)
    for codebook in codebooks.values():
        require_codebook(codebook)
    named = {parse_embedder(name): codebook for name, codebook in codebooks.items()}
    return {model_id: require_own(codebook, model_id) for model_id, codebook in named.items()}


def require_codebook(codebook: object) -> None:
    """Raise InvalidInput unless something is a codebook."""
    if not isinstance(codebook, Codebook):
        expected, actual = "a PQ8Codebook or RQ8Codebook", type(codebook).__name__
        raise InvalidInput(what="codebook", expected=expected, actual=actual)


def load_for(row: Embedder, path: Path) -> Codebook:
    """Return the codebook in a file, which must be one for a profile's row.

    Raises CodebookMissing, CodebookCorrupt, DimensionMismatch and InvalidInput.
    """
    codebook = require_own(Codebook.load(path, row.dimension), row.model_id)
    return require_fit(row, codebook, path)


def require_fit(row: Embedder, codebook: Codebook, path: Path | None = None) -> Codebook:
    """Return a codebook of the dimension, the method and the size that a profile's row says.

    Raises DimensionMismatch and InvalidInput.
    """
    expected, actual, size = row.dimension, codebook.embedding_dim, row.setting("bytes")
    kind = codec_class(row.method).codebook_kind
    command = train_command(path or codebook_path("models", row.model_id.title), kind)
    if expected != actual:
        raise DimensionMismatch(
            model_id=row.model_id, expected=expected, actual=actual, what="values per vector"
        )
    if codec_class(row.method).needs_codebook and codebook.method.value != kind:
        raise InvalidInput(
            what=f"codebook of {row.model_id.label}",
            expected=f"one of {kind}, as the profile says; train it with: {command}",
            actual=f"one of {codebook.method}",
        )
    if size not in (None, codebook.code_size):
        raise InvalidInput(
            what=f"codebook of {row.model_id.label}",
            expected=f"one of {size} bytes, as the profile says; train it with: {command} "
            f"--bytes {size}",
            actual=f"{codebook.code_size} bytes",
        )
    return codebook


def require_own(codebook: Codebook, model_id: EmbedderId) -> Codebook:
    """Return a codebook that may serve an embedder.

    Raises InvalidInput for one whose `model` names another embedder. Any other text in `model`,
    the name of a neural network perhaps, says nothing about embedders.
    """
    try:
        owner = ModelId.parse(codebook.metadata.get("model", ""))
    except InvalidInput:
        return codebook
    if owner != model_id:
        raise InvalidInput(
            what=f"codebook of {model_id.label}",
            expected="one trained for it, or for both: .with_facts({'model': ''})",
            actual=f"one trained for {owner.label}",
        )
    return codebook
