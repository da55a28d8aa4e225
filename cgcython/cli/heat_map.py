"""Shows which query token met which document token: printed as text, or drawn by matplotlib."""

import shutil
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from cgcython.cli import plots
from cgcython.cli.explain import Match
from cgcython.errors import UsageError
from cgcython.search.explanation import Explanation

MOST_PANELS = 24
MOST_NAMES = 64  # that an axis of a plot has room for
SHADES, PLAIN_SHADES = " ░▒▓█", " .:*#"
NAME_WIDTH = 16


def print_heat_map(match: Match) -> None:
    """Print query tokens by the document tokens that they met best, and each one's match."""
    one = match.explanation
    columns = _columns(one, shutil.get_terminal_size().columns)
    width = max([3, *(len(str(one.positions[column])) for column in columns)])
    print(match.title)
    print(f"{len(one.positions)} of {one.original_tokens} tokens kept")
    header = " ".join(f"{one.positions[column]:>{width}}" for column in columns)
    print(f"{'':{NAME_WIDTH + 4}} {header}".rstrip())
    shades = _shades()
    for i, position, similarity in one.matches:
        cells = " ".join(shade(one.cosines[i, column], shades) * width for column in columns)
        name = match.query_name(i)[:NAME_WIDTH]
        met = f"{position} {match.document_name(position):.{NAME_WIDTH - 4}}".strip()
        met = met if position >= 0 else "-"
        print(f"{i:>3} {name:{NAME_WIDTH}} {cells}  {similarity:.3f} {met}")
    print()


def shade(cosine: float, shades: str = SHADES) -> str:
    """Return the block that is as dark as a cosine is high, in fifths.

    >>> [shade(cosine) for cosine in (-0.5, 0.1, 0.5, 1.0)]
    [' ', ' ', '▒', '█']
    """
    return shades[int(np.clip(cosine * len(shades), 0, len(shades) - 1))]


def _shades() -> str:
    """Return the blocks, or signs in their place where stdout cannot print them."""
    try:
        SHADES.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN_SHADES
    return SHADES


def _columns(explanation: Explanation, terminal_width: int) -> list[int]:
    """Return the tokens that were met, in order: the best matches where not all have room."""
    weights = np.zeros(len(explanation.positions))
    met = explanation.best >= 0
    np.add.at(weights, explanation.best[met], explanation.similarities[met])
    width = max(3, len(str(explanation.positions[-1]))) + 1
    room = max(1, (terminal_width - NAME_WIDTH - 4 - 24) // width)
    columns = np.unique(explanation.best[met])
    most = columns[np.argsort(-weights[columns], kind="stable")[:room]]
    return sorted(most.tolist())


def draw(matches: Sequence[Match], path: str) -> None:
    """Write the heat maps of matches, one panel each, as PNG or SVG."""
    if len(matches) > MOST_PANELS:
        raise UsageError(
            f"--explain-plot draws {MOST_PANELS} hits, these are {len(matches)}; "
            "ask fewer queries or set --explain-hits"
        )
    figure = plots.new_figure(12, 1 + 4 * max(1, len(matches)))
    for place, match in enumerate(matches, 1):
        axes = figure.add_subplot(len(matches), 1, place)
        image = _panel(axes, match)
        figure.colorbar(image, ax=axes, label="cosine")
    plots.save(figure, path)


def _panel(axes: Any, match: Match) -> Any:
    one = match.explanation
    image = axes.imshow(one.cosines, vmin=0, vmax=1, cmap="Greys", aspect="auto")
    met = np.flatnonzero(one.best >= 0)
    axes.plot(one.best[met], met, "o", markersize=3, color="tab:red")
    axes.set_title(match.title, fontsize=9)
    labels = [f"{position} {match.document_name(position)}" for position in one.positions]
    places, shown = _evenly(labels)
    axes.set_xticks(places, shown, rotation=90, fontsize=6)
    places, shown = _evenly([f"{match.query_name(i)} {i}" for i in range(len(one.best))])
    axes.set_yticks(places, shown, fontsize=6)
    axes.set_xlabel("document token")
    axes.set_ylabel("query token")
    return image


def _evenly(labels: list[str]) -> tuple[range, list[str]]:
    """Return the places and labels, evenly spaced, of as many as an axis has room for."""
    step = -(-len(labels) // MOST_NAMES)
    return range(0, len(labels), step), labels[::step]
