"""Draws the plots of the command line, as PNG or SVG, where matplotlib is installed."""

from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgcython.errors import UsageError
from cgcython.files import require_place, written_whole

if TYPE_CHECKING:  # commands that draw nothing start without these
    from cgcython.codecs.codebook_base import Codebook
    from cgcython.codecs.size_search import Trial
    from cgcython.evaluation.bench import Timing
    from cgcython.evaluation.methods import MethodRow

KINDS = (".png", ".svg")
# Okabe and Ito's colours, which all kinds of eyes tell apart, without yellow; grey is for peers.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "os^vDPX<>*h"
PEER = "faiss "  # how the names of another library's codes begin


def require(option: str, path: str) -> None:
    """Raise UsageError, before any work, unless a drawing can be written to a path."""
    if Path(path).suffix not in KINDS:
        raise UsageError(f"{option} {path}: expected {' or '.join(KINDS)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise UsageError(f"{option} needs matplotlib: pip install 'cgcython[plot]'") from None
    require_place(path)


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: str) -> None:
    """Write a figure, whole or not at all."""
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=120)


def draw_sizes(trials: Sequence["Trial"], codebook: "Codebook", limit: float, path: str) -> None:
    """Draw what each method costs at each size, the limit, and the codebook that was chosen."""
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    for colour, method in zip(COLOURS, dict.fromkeys(one.method for one in trials)):
        own = [one for one in trials if one.method == method]
        sizes = [one.code_size for one in own]
        lines: list[tuple[str, str, Sequence[float | None]]] = [
            ("o-", "loss, held out", [one.held_out_loss for one in own]),
            ("s--", "top 10 lost", [1 - one.held_out_recall10 for one in own]),
            ("^:", "Recall@10 drop", [one.recall10_drop for one in own]),
        ]
        for style, label, costs in lines:
            drawn = [100 * cost for cost in costs if cost is not None]
            if drawn:
                axes.plot(sizes, drawn, style, color=colour, ms=4, label=f"{method}: {label}")
    chosen = f"chosen: {codebook.method}, {codebook.code_size} bytes"
    axes.axhline(100 * limit, color="grey", linestyle=":", label=f"limit {limit:.0%}")
    axes.axvline(codebook.code_size, color="tab:red", linewidth=1, label=chosen)
    ticks = _apart(sorted({one.code_size for one in trials}))
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(size) for size in ticks])
    axes.set_xlabel("bytes per embedding")
    axes.set_ylabel("%")
    axes.set_title("what fewer bytes cost")
    axes.legend(fontsize="small")
    save(figure, path)


def draw_methods(rows: Sequence["MethodRow"], path: str) -> None:
    """Draw what each method keeps at each of its sizes: the top 10 and, where judged, Recall@10.

    Codes of other libraries are dashed and grey with hollow markers. Of two trainings the first
    is drawn.
    """
    panels = [("top 10 of float32 kept", _top10)]
    if rows[0].recall10 is not None:
        panels.append(("Recall@10", _recall10))
    figure = new_figure(6.5 * len(panels), 6.5)
    figure.suptitle("what each method keeps at its sizes")
    float32, *coded = rows
    curves = _curves(coded)
    styles = _styles(curves)
    for axes, (label, height) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        for name, group in curves.items():
            sizes = [row.bytes_each for row in group]
            axes.plot(sizes, [height(row) for row in group], ms=5, label=name, **styles[name])
        axes.axhline(height(float32), color="grey", linestyle=":", label=float32.method)
        axes.set_xscale("log", base=2)
        ticks = _apart(sorted({round(row.bytes_each) for row in coded}))
        axes.set_xticks(ticks, map(str, ticks))
        axes.set_xlabel("bytes per embedding")
        axes.set_ylabel(label)
        axes.grid(alpha=0.25)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, fontsize="small", loc="outside lower center", ncols=2 * len(panels)
    )
    save(figure, path)


def draw_bench(timings: Sequence["Timing"], title: str, path: str) -> None:
    """Draw how long each task takes, and its budget and target."""
    figure = new_figure(9, 1.5 + 0.3 * len(timings))
    axes = figure.add_subplot()
    places = range(len(timings))
    axes.barh(places, [one.median_us for one in timings], color="tab:blue", label="median")
    for marks, label, colour in (
        ([one.target_us for one in timings], "target", "tab:green"),
        ([one.budget_us for one in timings], "budget", "tab:red"),
    ):
        known = [(mark, place) for mark, place in zip(marks, places) if mark is not None]
        axes.plot(*zip(*known), "|", color=colour, markersize=14, markeredgewidth=2, label=label)
    axes.set_yticks(places, [one.name for one in timings])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("microseconds for each item")
    axes.set_title(title)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3)
    save(figure, path)


def _top10(row: "MethodRow") -> float | None:
    return row.overlap10


def _recall10(row: "MethodRow") -> float | None:
    return None if row.recall10 is None else row.recall10.quantized


def _curves(rows: Sequence["MethodRow"]) -> dict[str, list["MethodRow"]]:
    """Return the rows of each family, by ascending bytes, of the first training that it has."""
    found: dict[str, list[MethodRow]] = {}
    for row in sorted(rows, key=lambda row: row.bytes_each):
        found.setdefault(row.family, []).append(row)
    order = dict.fromkeys(row.family for row in rows)
    first = next((row.training for row in rows if row.training), None)
    return {name: [row for row in found[name] if row.training in (None, first)] for name in order}


def _styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return how curves are drawn: they differ by marker too, for print and for all eyes."""
    own, peers = (
        [name for name in names if name.startswith(PEER) is is_peer] for is_peer in (False, True)
    )
    styles: dict[str, dict[str, Any]] = {}
    for name, colour, marker in zip(own, cycle(COLOURS), cycle(MARKERS)):
        styles[name] = {"color": colour, "marker": marker, "linestyle": "-"}
    for name, marker in zip(peers, cycle(MARKERS)):
        styles[name] = {"color": "0.4", "marker": marker, "linestyle": "--", "mfc": "none"}
    return styles


def _apart(ticks: list[int]) -> list[int]:
    """Return ticks that do not touch on a logarithmic axis."""
    kept = ticks[:1]
    for tick in ticks:
        if tick >= 1.2 * kept[-1]:
            kept.append(tick)
    return kept
