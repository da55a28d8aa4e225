"""Which query token met which document token, as a heat map of text or of matplotlib."""

import shutil
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgcython.base import ModelId
from cgcython.cli import plots
from cgcython.corpus.corpus import row_id
from cgcython.errors import InvalidInput, UsageError
from cgcython.search.explanation import explain

MOST_PANELS = 24
MOST_NAMES = 64  # that an axis of a plot has room for
SHADES, PLAIN_SHADES = " ░▒▓█", " .:*#"
NAME_WIDTH = 16


def add_arguments(parser):
    """Add what `search` explains, and how."""
    parser.add_argument(
        "--explain", action="store_true", help="show which tokens of the best hits (E12) were met"
    )
    parser.add_argument(
        "--explain-hits", type=int, default=3, metavar="N", help="hits per query (default 3)"
    )
    parser.add_argument(
        "--explain-plot",
        metavar="FILE",
        help=f"draw them too: {' or '.join(plots.KINDS)}, needs [plot]",
    )
    for name in ("query", "document"):
        parser.add_argument(
            f"--{name}-tokens",
            metavar="FILE.txt",
            help="names of tokens: a line per text, between spaces; ID<tab>tokens names its memory",
        )


@dataclass(frozen=True, eq=False)
class Match:
    """One hit of one query, explained, with the names of tokens where they are known."""

    rank: int
    title: str
    explanation: object
    query_names: list
    document_names: list

    def query_name(self, i):
        """Return the name of a query token."""
        return self.query_names[i] if self.query_names else ""

    def document_name(self, position):
        """Return the name of the token at a position of the text."""
        return self.document_names[position] if self.document_names else ""


class Explainer:
    """Explains hits; knows the names of tokens."""

    def __init__(self, searcher, args):
        if args.explain_hits < 1:
            raise UsageError("--explain-hits is 1 or more")
        if args.explain_plot:
            plots.require("--explain-plot", args.explain_plot)
        self._searcher, self._hits = searcher, args.explain_hits
        self._query_names = read_names(args.query_tokens)
        self._document_names = read_names(args.document_tokens)

    def explain(self, row, query, hits):
        """Return the Match of each of the best hits that has tokens."""
        found = []
        if ModelId.LATE_INTERACTION not in query:
            return found
        for rank, hit in enumerate(hits[: self._hits], 1):
            explanation = explain(self._searcher, hit.id, query[ModelId.LATE_INTERACTION])
            if explanation is not None:
                score = max(0.0, float(explanation.similarities.mean()))
                title = f"query {row}, hit {rank}: {hit.id}, MaxSim {score:.4f}"
                query_names = _checked(
                    self._query_names.get(row_id(row)), len(explanation.best), f"query {row}"
                )
                names = self._document_names.get(hit.id.bytes)
                names = _checked(names, explanation.original_tokens, f"memory {hit.id}")
                found.append(Match(rank, title, explanation, query_names, names))
        return found


def read_names(path):
    """Return `{id: [token, ...]}` of a text file, empty where none is named."""
    if path is None:
        return {}
    found = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInput(what=str(path), expected="UTF-8 text", actual=error) from None
    for number, line in enumerate(lines):
        name, tab, tokens = line.partition("\t")
        try:
            found[uuid.UUID(name).bytes if tab else row_id(number)] = (tokens or line).split()
        except ValueError:
            found[row_id(number)] = line.split()
    return found


def _checked(names, count, what):
    if names is not None and len(names) != count:
        raise InvalidInput(what=f"tokens of {what}", expected=f"{count} names", actual=len(names))
    return names or []


def print_heat_map(match):
    """Print query tokens by the document tokens that they met best, and each one's match."""
    one = match.explanation
    columns = _columns(one, shutil.get_terminal_size((100, 24)).columns)
    width = max(3, *(len(str(one.positions[column])) for column in columns)) if columns else 3
    kept = f"{len(one.positions)} of {one.original_tokens} tokens kept"
    print(f"{match.title} ({kept})")
    header = " ".join(f"{one.positions[column]:>{width}}" for column in columns)
    print(f"{'':{NAME_WIDTH + 4}} {header}".rstrip())
    shades = _shades()
    for i, position, similarity in one.matches:
        cells = " ".join(shade(one.cosines[i, column], shades) * width for column in columns)
        name = match.query_name(i)[:NAME_WIDTH]
        met = f"{position} {match.document_name(position)}".strip() if position >= 0 else "-"
        print(f"{i:>3} {name:{NAME_WIDTH}} {cells}  {similarity:.3f} {met}")
    print()


def shade(cosine, shades=SHADES):
    """Return the block that is as dark as a cosine is high, in fifths.

    >>> [shade(cosine) for cosine in (-0.5, 0.1, 0.5, 1.0)]
    [' ', ' ', '▒', '█']
    """
    return shades[int(np.clip(cosine * len(shades), 0, len(shades) - 1))]


def _shades():
    try:
        SHADES.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN_SHADES
    return SHADES


def _columns(explanation, terminal_width):
    """Return the kept tokens that were met, in order; the most alike where not all have room."""
    weights = np.zeros(len(explanation.positions))
    met = explanation.best >= 0
    np.add.at(weights, explanation.best[met], explanation.similarities[met])
    width = max(3, len(str(explanation.positions[-1]))) + 1
    room = max(1, (terminal_width - NAME_WIDTH - 4 - 24) // width)
    columns = np.unique(explanation.best[met])
    most = columns[np.argsort(-weights[columns], kind="stable")[:room]]
    return sorted(most.tolist())


def draw(matches, path):
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


def _panel(axes, match):
    one = match.explanation
    image = axes.imshow(one.cosines, vmin=0, vmax=1, cmap="Greys", aspect="auto")
    met = np.flatnonzero(one.best >= 0)
    axes.plot(one.best[met], met, "o", markersize=3, color="tab:red")
    axes.set_title(match.title, fontsize=9)
    labels = [f"{position} {match.document_name(position)}" for position in one.positions]
    axes.set_xticks(*_some(labels), rotation=90, fontsize=6)
    axes.set_yticks(
        *_some([f"{match.query_name(i)} {i}" for i in range(len(one.best))]), fontsize=6
    )
    axes.set_xlabel("document token")
    axes.set_ylabel("query token")
    return image


def _some(labels):
    """Return places and labels, evenly, of as many as an axis has room for."""
    step = -(-len(labels) // MOST_NAMES)
    return range(0, len(labels), step), labels[::step]
