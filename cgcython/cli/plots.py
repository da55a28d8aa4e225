"""Drawings of the command line: PNG or SVG, by matplotlib where it is installed."""

from pathlib import Path

from cgcython.cli.failures import UsageError
from cgcython.cli.output import written_whole

KINDS = (".png", ".svg")


def require(option, path):
    """Raise UsageError, before any work, unless a drawing can be written to a path."""
    if Path(path).suffix not in KINDS:
        raise UsageError(f"{option} {path}: expected {' or '.join(KINDS)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise UsageError(f"{option} needs matplotlib: pip install 'cgcython[plot]'") from None


def new_figure(width, height):
    """Return an empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure, path):
    """Write a figure, whole or not at all."""
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=120)


def draw_sizes(trials, chosen, limit, path):
    """Draw what each size of a codebook costs, the limit, and the size that was chosen."""
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    sizes = [trial.num_subvectors for trial in trials]
    axes.plot(sizes, [100 * one.held_out_loss for one in trials], "o-", label="loss, held out")
    axes.plot(
        sizes, [100 - 100 * one.held_out_recall10 for one in trials], "s--", label="top 10 lost"
    )
    if trials[0].recall10_drop is not None:
        drops = [100 * one.recall10_drop for one in trials]
        axes.plot(sizes, drops, "^-", label="Recall@10 drop, judged")
    axes.axhline(100 * limit, color="grey", linestyle=":", label=f"limit {limit:.0%}")
    axes.axvline(chosen, color="tab:red", linewidth=1, label=f"chosen: {chosen} bytes")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlabel("bytes per embedding")
    axes.set_ylabel("%")
    axes.legend()
    save(figure, path)
