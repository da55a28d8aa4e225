"""Writes memories to an .npz file under the names that `open_corpus` reads.

Each array grows in a file of its own, for a header tells its length, and is copied then.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from uuid import UUID

import numpy as np

from cgcython.base import EmbedderId
from cgcython.codecs.base import InputKind
from cgcython.corpus.exporting import Chunk, Survey
from cgcython.corpus.specs import IDS, METADATA
from cgcython.inputs.columns import Embedding
from cgcython.store.ids import as_key
from cgcython.store.key_columns import DATA, OFFSETS
from cgcython.strict_json import to_text


class _Growing:
    """An array of which rows are added to a file."""

    def __init__(self, file: IO[bytes], dtype: Any, row: tuple[int, ...] = ()) -> None:
        self._file, self.dtype, self._row, self.length = file, np.dtype(dtype), row, 0

    def add(self, rows: Any) -> None:
        array = np.ascontiguousarray(rows, self.dtype)
        self._file.write(array.tobytes())
        self.length += len(array)

    def copy_to(self, target: IO[bytes]) -> None:
        """Write the array as an .npy file."""
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.length, *self._row),
        }
        np.lib.format.write_array_header_1_0(target, header)
        self._file.seek(0)
        shutil.copyfileobj(self._file, target, 1 << 20)


class NpzWriter:
    """Collects chunks and writes the archive at the end of its block."""

    def __init__(self, path: Path, survey: Survey) -> None:
        self._path, self._survey = path, survey
        self._files = ExitStack()
        self._arrays: dict[str, _Growing] = {}
        self._totals: dict[str, int] = {}
        self._count = 0

    def __enter__(self) -> "NpzWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        with self._files:
            if kind is None:
                self._finish()

    def write(self, chunk: Chunk) -> None:
        """Add the memories of a chunk."""
        for model_id, embeddings in chunk.embeddings.items():
            rows = [i for i, one in enumerate(embeddings) if one is not None]
            self._add(model_id, [one for one in embeddings if one is not None])
            places = np.array(rows, np.int64) + self._count
            self._grow(f"{model_id.short}.rows", np.int64).add(places)
        self._add_ids(chunk.ids)
        if self._survey.fields:
            texts = [to_text(one).encode() for one in chunk.metadata]
            self._grow(METADATA, f"S{self._survey.longest_metadata}").add(texts)
        self._count += len(chunk.ids)

    def _add_ids(self, ids: Sequence[Any]) -> None:
        kinds = self._survey.id_kinds
        if kinds == {UUID}:
            rows = np.frombuffer(b"".join(one.bytes for one in ids), np.uint8)
            self._grow(IDS, np.uint8, (16,)).add(rows.reshape(-1, 16))
        elif kinds == {int}:
            self._grow(IDS, np.int64).add(ids)
        else:
            keys = [as_key(one) for one in ids]
            self._grow(DATA, np.uint8).add(np.frombuffer(b"".join(keys), np.uint8))
            self._add_ends(OFFSETS, keys)

    def _add(self, model_id: EmbedderId, present: Sequence[Embedding]) -> None:
        form, dimension = self._survey.embedders[model_id]
        name = model_id.short
        if form is InputKind.DENSE:
            matrix = np.array(present, np.float32).reshape(-1, dimension)
            self._grow(name, np.float32, (dimension,)).add(matrix)
            return
        parts = {"indices": np.int64, "weights": np.float32} if form is InputKind.SPARSE else {}
        for part, dtype in parts.items():
            for one in present:
                self._grow(f"{name}.{part}", dtype).add(getattr(one, part))
        if form is InputKind.TOKENS:
            for one in present:
                self._grow(f"{name}.values", np.float32, (dimension,)).add(one)
        self._add_ends(f"{name}.{'indptr' if parts else 'offsets'}", present)

    def _add_ends(self, name: str, present: Sequence[Any]) -> None:
        """Add where each one's items end; the first one's begin at 0."""
        sizes = [len(getattr(one, "indices", one)) for one in present]
        total = self._totals.get(name, 0)
        ends = np.cumsum([total, *sizes], dtype=np.int64)
        self._grow(name, np.int64).add(ends if name not in self._totals else ends[1:])
        self._totals[name] = int(ends[-1])

    def _grow(self, name: str, dtype: Any, row: tuple[int, ...] = ()) -> _Growing:
        if name not in self._arrays:
            file = tempfile.TemporaryFile(dir=self._path.parent)  # noqa: SIM115 - closed by the stack
            self._arrays[name] = _Growing(self._files.enter_context(file), dtype, row)
        return self._arrays[name]

    def _finish(self) -> None:
        with zipfile.ZipFile(self._path, "w", allowZip64=True) as archive:
            for name, array in self._arrays.items():
                if name.endswith(".rows") and array.length == self._count:
                    continue  # every memory has one
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    array.copy_to(member)
