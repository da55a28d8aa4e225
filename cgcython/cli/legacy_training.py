"""The codebooks that a migration needs: found, or trained on a sample of what is migrated."""

import numpy as np

from cgcython.base import QuantizationMethod
from cgcython.cli.progress import progress, say
from cgcython.codecs.codebook_file import codebook_path
from cgcython.codecs.sizes import train_smallest
from cgcython.embedders.codebooks import Codebooks
from cgcython.errors import RecallLossExceeded, UsageError

SAMPLES = 20_000


def require_codebooks(args, source, profile, known=None):
    """Make sure that each PQ embedder of a source has a codebook, trained where `--train` says so.

    `known` are those of the store, where there is one. Raises CodebookMissing, naming the command.
    """
    wanted = [
        one
        for one in source.embedders
        if one in profile and profile[one].method is QuantizationMethod.PQ8
    ]
    missing = [one for one in wanted if known is None or one not in set(known)]
    if args.train:
        if args.models is None:
            raise UsageError("--train needs --models, where the codebooks are kept")
        for one in missing:
            if not codebook_path(args.models, one.title).exists():
                _train(args, source, one)
    if missing:
        Codebooks(args.models, profile).require(missing)


def _train(args, source, model_id):
    rows = sample(source.values(model_id), SAMPLES)
    limit = QuantizationMethod.PQ8.max_recall_loss()
    with progress(None, "step", f"train {model_id.short}") as bar:
        codebook, _ = train_smallest(
            rows,
            limit,
            rotation="pca",  # a refined one loses a little less and takes far longer
            num_threads=args.threads,
            progress=lambda step, steps, loss: bar.at(step, steps, f"loss {loss:.2%}"),
            model=model_id.title,
        )
    path = codebook_path(args.models, model_id.title)
    try:
        codebook.save(path)
    except RecallLossExceeded as error:
        error.add_note(f"(cgcython train {model_id.short} --force keeps a codebook all the same)")
        raise error.about(model_id) from None
    say(f"cgcython: trained {path}, {codebook.num_subvectors} bytes, on {len(rows)} embeddings")


def sample(values, most, seed=0):
    """Return at most so many of some vectors, each as likely as any other, without holding more.

    Those that are not finite, or not as long as the first, are left out.
    """
    rng, kept, seen = np.random.default_rng(seed), [], 0
    for value in values:
        if not np.isfinite(value).all() or (kept and len(value) != len(kept[0])):
            continue
        seen += 1
        if len(kept) < most:
            kept.append(np.array(value, np.float32))
        elif (place := int(rng.integers(seen))) < most:
            kept[place] = np.array(value, np.float32)
    return np.stack(kept) if kept else np.empty((0, 8), np.float32)
