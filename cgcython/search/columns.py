"""The codes of each embedder, mapped or in memory when first searched, in step with writes."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from cgcython.base import EmbedderId
from cgcython.errors import StorageCorruption
from cgcython.locks import ForkSafeLock
from cgcython.search.column import Column
from cgcython.search.column_files import column_path, graph_path, load_parts, save_parts
from cgcython.search.graph_settings import USUAL, GraphSettings
from cgcython.search.graphs import Graph
from cgcython.search.keys import sorted_keys, whole_keys
from cgcython.search.loading import NO_CODEBOOK, ChangingSource, Loader
from cgcython.search.scan import FindCodebook, Scan
from cgcython.store.fitting import misfit
from cgcython.store.ids import name_of
from cgcython.types import KeyArray, Progress

_LOGGER = logging.getLogger(__name__)
_MOST_NAMED = 10
_LEFT_OUT = (
    "search leaves %s of %d records out, others are found (%s); `verify` names all of them, and "
    "storing them again mends it"
)
LARGE = 1 << 16  # records whose codes are worth saving when a store is closed
MOST_CHANGES = 1 << 16  # more of them are read faster with everything else


class Columns:
    """The columns and graphs of a store, each made when first asked for.

    They follow the store's journal, whoever writes: a column of an older position is brought up to
    date with what changed since, or read anew where the journal no longer reaches back that far.
    """

    def __init__(
        self, store: ChangingSource, find_codebook: FindCodebook, folder: Path | None = None
    ) -> None:
        """`folder` is that of the files; without it nothing is read from files or saved."""
        self._store, self._folder, self._find_codebook = store, folder, find_codebook
        self._loader = Loader(store, find_codebook)
        self._columns: dict[EmbedderId, tuple[Column, int]] = {}  # and where the journal stood
        self._graphs: dict[EmbedderId, Graph] = {}
        self._saved: dict[EmbedderId, int] = {}  # where the journal stood
        self._left_out: dict[EmbedderId, dict[bytes, str]] = {}  # and why, by key
        self._reading = ForkSafeLock()

    def get(self, model_id: EmbedderId) -> Column:
        """Return the Column of an embedder as it is now.

        Records that a Loader leaves out are told in a warning, once. Raises StorageCorruption
        naming the damaged records.
        """
        with self._reading:
            known = self._columns.pop(model_id, None)
            known = known if known and known[0].is_whole else self._from_file(model_id)
            if known and known[1] != self._store.journal.position():
                known = self._followed(model_id, *known)
            known = self._columns[model_id] = known or self._loaded(model_id)
            return known[0]

    def position(self) -> int:
        """Return where the journal stands, which columns follow."""
        return self._store.journal.position()

    def forget(self) -> None:
        """Read anew what something was left out of: what was in its way may be gone."""
        with self._reading:
            for model_id in self._left_out:
                self._columns.pop(model_id, None)
                self._graphs.pop(model_id, None)
            self._left_out.clear()

    def _from_file(self, model_id: EmbedderId) -> tuple[Column, int] | None:
        if self._folder is None:
            return None
        try:
            found = load_parts(column_path(self._folder, model_id), model_id, self._find_codebook)
        except NO_CODEBOOK:
            return None
        if found is None or not all(self._fits(model_id, part.scan) for part in found[0]):
            return None
        parts, position = found
        self._saved[model_id] = position
        return Column.of(parts), position

    def _fits(self, model_id: EmbedderId, scan: Scan) -> bool:
        return misfit(self._store.profile, model_id, scan.method, scan.shared[0]) is None

    def _followed(
        self, model_id: EmbedderId, column: Column, position: int
    ) -> tuple[Column, int] | None:
        """Return a column as it is now, and where the journal stands; None if it cannot tell."""
        changed, now = self._changes(model_id, position)
        if changed is None or len(changed) > MOST_CHANGES:
            return None
        if changed:
            try:
                loaded = self._loader.some(model_id, changed)
            except StorageCorruption:
                return None
            self._note(model_id, loaded.left_out, changed)
            column = column.updated(sorted_keys(changed), loaded.parts)
        return column, now

    def _changes(self, model_id: EmbedderId, position: int) -> tuple[list[bytes] | None, int]:
        """Return the keys that changed since a position, None if unknown, and the position now."""
        journal = self._store.journal
        now = journal.position()
        return ([] if now == position else journal.changes_since(position, model_id)), now

    def _loaded(self, model_id: EmbedderId) -> tuple[Column, int]:
        with self._store.view() as frozen:
            loaded = Loader(frozen, self._find_codebook).all(model_id)
            self._note(model_id, loaded.left_out)
            return Column.of(loaded.parts), frozen.journal.position()

    def _note(
        self,
        model_id: EmbedderId,
        left_out: Mapping[bytes, str],
        among: Iterable[bytes] | None = None,
    ) -> None:
        """Keep in mind, and warn once, what is left out of all records, or among some."""
        before = self._left_out.pop(model_id, {})
        kept = {} if among is None else {key: before[key] for key in before.keys() - set(among)}
        if kept or left_out:
            self._left_out[model_id] = {**kept, **left_out}
        new = {key: reason for key, reason in left_out.items() if before.get(key) != reason}
        if new:
            reasons = "; ".join(f"{name_of(key)}: {new[key]}" for key in list(new)[:_MOST_NAMED])
            _LOGGER.warning(_LEFT_OUT, model_id.short, len(new), reasons)

    def some(self, model_id: EmbedderId, keys: KeyArray) -> Column:
        """Return the Column of an embedder where it is loaded, otherwise one of some records."""
        if model_id in self._columns:
            return self.get(model_id)
        wanted = whole_keys(keys)
        try:
            loaded = self._loader.some(model_id, wanted)
        except StorageCorruption:
            return self.get(model_id)
        with self._reading:
            self._note(model_id, loaded.left_out, wanted)
        return Column.of(loaded.parts)

    def graph(
        self,
        model_id: EmbedderId,
        num_threads: int = 1,
        progress: Progress | None = None,
        settings: GraphSettings | None = None,
    ) -> tuple[Column, Graph | None]:
        """Return the Column of an embedder and its Graph as they are now.

        The graph is None where rows cannot be compared in one: sparse vectors, tokens, rows of
        several dimensions or thresholds. The first call builds it, and so does one with `settings`
        by which other links are made; without, a graph keeps its own.
        """
        with self._reading:
            column = self.get(model_id)
            graph = self._graphs.pop(model_id, None) or self._graph_from_file(model_id, column)
            wanted = settings or (USUAL if graph is None else graph.settings)
            graph = graph and self._graph_followed(model_id, graph, column, num_threads)
            if graph is None or not graph.settings.links_as(wanted):
                graph = Graph.of(column, num_threads, progress, wanted)
            if graph is not None:
                graph.settings, graph.position = wanted, self._columns[model_id][1]
                self._graphs[model_id] = graph
            return column, graph

    def _graph_from_file(self, model_id: EmbedderId, column: Column) -> Graph | None:
        if self._folder is None:
            return None
        return Graph.load(graph_path(self._folder, model_id), column)

    def _graph_followed(
        self, model_id: EmbedderId, graph: Graph, column: Column, num_threads: int
    ) -> Graph | None:
        """Return a graph in step with a column; None if it cannot be brought there."""
        if not graph.fits(column):
            return None
        changed, _ = self._changes(model_id, graph.position)
        if changed:
            graph.update(column, sorted_keys(changed), num_threads)
        return None if changed is None else graph

    def guided(
        self, model_id: EmbedderId, num_threads: int = 1, progress: Progress | None = None
    ) -> Column:
        """Return the Column of an embedder as it is now, with guides; the first call makes them."""
        with self._reading:
            column = self.get(model_id)
            found = column.guided(num_threads, progress)
            if found is not column:
                self._columns[model_id] = found, self._columns[model_id][1]
                self._saved.pop(model_id, None)  # the file has no such guides
            return found

    def loaded(self) -> list[EmbedderId]:
        """Return the embedders whose columns were asked for."""
        return list(self._columns)

    def save(self, model_ids: Iterable[EmbedderId] | None = None) -> list[Path]:
        """Write the loaded columns and graphs, of some embedders if given, and return the files."""
        with self._reading:
            wanted = sorted(self.loaded() if model_ids is None else model_ids)
            return [path for model_id in wanted for path in self._save(model_id)]

    def _save(self, model_id: EmbedderId) -> list[Path]:
        if self._folder is None:
            return []
        column, position = self.get(model_id), self._columns[model_id][1]
        if model_id in self._left_out:
            return []  # what is in the way may be mended without a change of a record
        saved, path = [], column_path(self._folder, model_id)
        if save_parts(path, model_id, column.parts(), position):
            self._saved[model_id] = position
            saved.append(path)
        graph = self.graph(model_id)[1] if model_id in self._graphs else None
        if graph is not None:
            graph.save(graph_path(self._folder, model_id))
            saved.append(graph_path(self._folder, model_id))
        return saved

    def save_what_pays(self) -> None:
        """Save the large columns of codes that have no file, or one that much was changed since."""
        with self._reading:
            self.save([one for one in self.loaded() if self._saving_pays(one)])

    def _saving_pays(self, model_id: EmbedderId) -> bool:
        column = self.get(model_id)
        if len(column) < LARGE or not all(scan.is_fixed_length for scan in column.scans):
            return False
        if model_id not in self._saved:
            return True
        changed, _ = self._changes(model_id, self._saved[model_id])
        return changed is None or len(changed) > len(column) // 32
