"""Human judgements of a corpus, and what a codebook costs by them."""

from dataclasses import asdict

from cgcython.codecs.pq8 import PQ8Codec
from cgcython.corpus.array_files import ONLY, open_arrays
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.specs import split_file
from cgcython.errors import UsageError
from cgcython.evaluation.comparison import Contender, compare
from cgcython.evaluation.metrics import judgements
from cgcython.evaluation.representations import Codes


def read_judgements(text, num_queries, num_memories):
    """Return `{memory: gain}` for each query from `FILE[:ARRAY]`, None where none is named."""
    if text is None:
        return None
    return judgements(named_array(text), num_queries, num_memories)


def named_array(text):
    """Return the array that `FILE[:ARRAY]` names, the first one without a name."""
    path, names, _ = split_file(text)
    arrays = open_arrays(path)
    name = names[0] if names else next(iter(arrays), ONLY)
    if name not in arrays:
        raise UsageError(f"{text}: {path} has {', '.join(arrays)}")
    return arrays[name]


def judge(args, profile):
    """Return a function from a codebook to its facts: what retrieval loses on judged queries."""
    corpus, queries = (open_corpus(specs, profile) for specs in (args.judged, args.queries))
    if list(corpus) != [args.embedder]:
        raise UsageError(f"--judged {' '.join(args.judged)} is not of {args.embedder.short}")
    source = corpus[args.embedder]
    memories = source.memories(0, len(source.embeddings))
    asked = queries.fingerprints(0, queries.num_memories)
    relevant = read_judgements(args.qrels, len(asked), corpus.num_memories)

    def facts(codebook):
        one = Contender(args.embedder, source.embeddings, memories, Codes(PQ8Codec(codebook)))
        (row,) = compare([one], asked, relevant, args.threads)
        if row.recall10 is None:
            raise UsageError(f"--qrels {args.qrels} judge no query of --queries")
        changes = {"ndcg10": asdict(row.ndcg10), "recall10": asdict(row.recall10)}
        return {"judged": changes, "recall10_drop": row.recall10.drop}

    return facts
