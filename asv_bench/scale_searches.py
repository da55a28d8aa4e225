"""The rates of searches in a folder of shards, from columns of some ten thousand rows."""

from functools import partial
from shutil import copy, copytree, rmtree
from statistics import median
from time import process_time

from scale_rates import Line, encode, processor_seconds

from cgcython import open_corpus
from cgcython.records import QuantizedBatch
from cgcython.search.groups import GroupSearcher
from cgcython.search.shards import ShardSearcher
from cgcython.store import shards
from cgcython.store.ids import as_key
from cgcython.store.key_columns import KeyColumn

REPEATED = 4  # times that the encoded rows are scanned
QUERIES, BATCH = 15, 64  # one after the other, and together
MOST_SECONDS = 2.0  # that queries of one kind take


class Searched:
    """Two folders of the same codes of some embedders: those that were encoded, and more."""

    def __init__(self, samples, names, rerank=None):
        self.names, self.rerank = list(names), rerank
        asked = [*names, *([rerank] if rerank else [])]
        self.rows, self.sizes = (
            samples.queries(asked, BATCH),
            (samples.rows, REPEATED * samples.rows),
        )
        embedders = [samples.profile.embedder(one) for one in asked]
        encoded = samples.encode(embedders, samples.rows)
        folders = [repeated(encoded, samples.folder / f"rows-{n}", n) for n in self.sizes]
        self.searchers = [ShardSearcher(folder) for folder in folders]

    def loading(self):
        """Return the Line of opening a folder until its columns can be scanned."""
        first = [processor_seconds(partial(self.search, one, 0)) for one in self.searchers]
        later = [median(self.search_seconds(one)) for one in self.searchers]
        return self._line([whole - search for whole, search in zip(first, later)])

    def searching(self):
        """Return the Lines of a query alone, and of one among BATCH."""
        alone = [median(self.search_seconds(one)) for one in self.searchers]
        count = max(2, min(BATCH, int(MOST_SECONDS / max(alone))))
        batches = [self.batch_seconds(one, count) / count for one in self.searchers]
        return self._line(alone), self._line(batches)

    def reranking(self):
        """Return how many seconds longer a query takes whose best are reordered."""
        (searcher, *_) = self.searchers
        self.search(searcher, 0, self.rerank)
        again = [
            processor_seconds(partial(self.search, searcher, row, self.rerank))
            for row in range(QUERIES)
        ]
        return max(0.0, median(again) - median(self.search_seconds(searcher)))

    def search(self, searcher, row, rerank=None):
        """Search the embeddings of one row."""
        rows = self.rows if rerank else {one: self.rows[one] for one in self.names}
        query = {one: found[row] for one, found in rows.items()}
        return searcher.search(query, 10, embedders=self.names, rerank=rerank)

    def search_seconds(self, searcher):
        """Return the seconds of a few queries, one after the other."""
        times = []
        while len(times) < QUERIES and sum(times) < MOST_SECONDS:
            times.append(processor_seconds(partial(self.search, searcher, len(times))))
        return times

    def batch_seconds(self, searcher, count):
        """Return the seconds of some queries together."""
        queries = {one: self.rows[one][:count] for one in self.names}
        call = partial(searcher.search_many, queries, 10)
        return median(processor_seconds(call) for _ in range(3))

    def _line(self, seconds):
        return Line.through(*zip(self.sizes, seconds))


def approximate_seconds(samples, names, rows):
    """Return the seconds a row of an approximate query, and those of making guides for a row.

    All embedders that rank are asked; rows are distinct, which guides depend on.
    """
    embedders = [samples.profile.embedder(one) for one in names]
    folder = samples.folder / "guided"
    inputs, out = samples.write(rows, embedders, folder), folder / "shards"
    encode(inputs, out, samples.books, rows)
    searcher, corpus = ShardSearcher(out), open_corpus(inputs)

    def search(row, approximate=True):
        query = {one: corpus[one].embeddings[row] for one in names}
        searcher.search(query, 10, approximate=approximate)

    search(0, approximate=False)
    guides = processor_seconds(partial(search, 0))
    times = [processor_seconds(partial(search, row)) for row in range(QUERIES)]
    return median(times) / rows, guides / rows


class Apart:
    """A runner of this process that keeps apart what workers would do."""

    num_workers, dashboard = 1, None

    def __init__(self):
        self.seconds = 0.0

    def run(self, function, items):
        """Yield each item with what the function returned for it."""
        for item in items:
            start = process_time()
            found = function(item)
            self.seconds += process_time() - start
            yield item, found


def merging_seconds(samples, names):
    """Return the Line of merging the hits of groups of shards for one query, by groups."""
    embedders, groups = [samples.profile.embedder(one) for one in names], (4, 16)
    folder = samples.encode(embedders, samples.rows // max(groups))
    queries, points = samples.queries(names, BATCH), []
    for number in groups:
        runner, times = Apart(), []
        searcher = GroupSearcher(folder, num_groups=number, runner=runner)
        for _ in range(4):
            runner.seconds = 0.0
            whole = processor_seconds(partial(searcher.search_many, queries, 10))
            times.append((whole - runner.seconds) / BATCH)
        points.append((number, median(times[1:])))
    return Line.through(*points)


def repeated(folder, out, rows):
    """Write the only shard of a folder again and again into one of so many rows; return it."""
    shard = shards.read_shard(shards.shard_path(folder, 0))
    times, parts = rows // len(shard.ids), {}
    for one, part in shard.parts.items():
        parts[one] = part._replace(batch=QuantizedBatch.concatenate([part.batch] * times))
    rmtree(out, ignore_errors=True)
    out.mkdir()
    copy(folder / shards.PROFILE, out)
    if (folder / "pq8_codebooks").exists():
        copytree(folder / "pq8_codebooks", out / "pq8_codebooks")
    ids = KeyColumn.of(list(map(as_key, range(rows))))
    whole = shards.Shard(ids, parts, {"memories": rows})
    shards.write_shard(shards.shard_path(out, 0), whole)
    return out
