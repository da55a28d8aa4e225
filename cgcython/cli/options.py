"""Adds arguments that several commands share, and reads their values."""

import argparse
import os
from typing import Any

from cgcython import strict_json
from cgcython.base import EmbedderId, Profile, parse_embedder
from cgcython.cluster.opening import require_scheduler
from cgcython.corpus.specs import HELP
from cgcython.errors import InvalidInput
from cgcython.store.ids import StoredId, parse_id
from cgcython.store.places import is_address
from cgcython.system import usable_cores

AUTO = "auto"


def embedder(text: str) -> EmbedderId:
    """Return the embedder of an argument, for argparse."""
    try:
        return parse_embedder(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def embedders(text: str) -> list[EmbedderId]:
    """Return the embedders of `E1,E6`, for argparse.

    >>> [one.name for one in embedders("E1,sparse")]
    ['SEMANTIC', 'SPARSE']
    """
    return [embedder(name) for name in text.split(",")]


def names(text: str) -> list[str]:
    """Return the names of `lang,year`, for argparse; of an empty text none.

    >>> names("lang,year"), names("")
    (['lang', 'year'], [])
    """
    return [one for one in text.split(",") if one]


def weights(text: str) -> dict[EmbedderId, float]:
    """Return `{embedder: weight}` of `E1=2,E6=0.5`, for argparse."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        found = {embedder(name): float(weight) for name, weight in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected E1=2,E6=0.5, got {text!r}") from None
    if not all(0 < weight < float("inf") for weight in found.values()):
        raise argparse.ArgumentTypeError("weights are finite numbers above 0")
    return found


def profile(text: str) -> Profile:
    """Return the profile that an argument names, for argparse; of a store or shards, theirs."""
    try:
        if is_address(text) or os.path.isdir(text):
            from cgcython.corpus.reading import open_reader

            with open_reader(text) as reader:
                return reader.profile
        return Profile.named(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def record_id(text: str) -> StoredId:
    """Return the id that a text spells, for argparse."""
    try:
        return parse_id(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive(text: str) -> int:
    """Return a whole number of 1 or more, for argparse."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text!r}")
    return number


def pruning_ratio(text: str) -> float | str:
    """Return a number above 0, at most 1, or auto, for argparse.

    >>> pruning_ratio("0.5"), pruning_ratio("auto")
    (0.5, 'auto')
    """
    number = _number(text)
    if text != AUTO and not 0 < number <= 1:
        told = f"expected auto or a number above 0, at most 1, got {text!r}"
        raise argparse.ArgumentTypeError(told)
    return AUTO if text == AUTO else number


def part(text: str) -> float:
    """Return a number above 0 and below 1, for argparse."""
    number = _number(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and below 1, got {text!r}")
    return number


def tolerance(text: str) -> float:
    """Return a finite number of 0 or more, for argparse."""
    number = _number(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {text!r}")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def add_inputs(parser: argparse.ArgumentParser, *names: str, **options: Any) -> None:
    """Add an argument of one or more input specs."""
    told = {"nargs": "+", "metavar": "INPUT", "help": HELP, **options}
    parser.add_argument(*names, **told)


def add_ids(parser: argparse.ArgumentParser, name: str, **options: Any) -> None:
    """Add an argument of one or more ids of records."""
    told = "the id of a memory, as search prints it: 5 is an integer, text:5 text"
    parser.add_argument(name, type=record_id, help=told, **options)


class _ProfileAction(argparse.Action):
    """Keeps a profile and, as `profile_text`, how it was named."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        try:
            setattr(namespace, self.dest, profile(values))
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        namespace.profile_text = values


def where(text: str) -> dict[str, Any]:
    """Return the conditions on metadata that JSON spells, for argparse."""
    from cgcython.store.where.conditions import parsed

    try:
        found = strict_json.parse_object(text)
        parsed(found)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    except ValueError as error:
        told = f"""expected JSON such as '{{"lang": "en"}}', got {text}: {error}"""
        raise argparse.ArgumentTypeError(told) from None
    return found


def add_where(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --where."""
    told = f"{what} whose metadata meet conditions, as in docs/SEARCH.md"
    parser.add_argument("--where", type=where, metavar="JSON", help=told)


def add_id_column(parser: argparse.ArgumentParser) -> None:
    """Add --ids."""
    parser.add_argument(
        "--ids", metavar="NAME", help="column of ids (default: ids; of a table, ids or id)"
    )


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Add --profile."""
    parser.add_argument(
        "--profile",
        action=_ProfileAction,
        metavar="NAME|FILE.toml|STORE",
        help="dimensions and methods of the embedders: default, contextgraph-2026 or your file "
        'with lines such as E1 = { dimension = 384, method = "pq8" }',
    )


def add_models(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add --models."""
    parser.add_argument(
        "--models", required=required, metavar="DIR", help="folder of trained codebooks"
    )


def add_budget(parser: argparse.ArgumentParser, default: int) -> None:
    """Add --budget."""
    parser.add_argument(
        "--budget",
        type=positive,
        default=default,
        metavar="BYTES",
        help=f"refuse larger memories (default {default})",
    )


def add_metric(parser: argparse.ArgumentParser, default: str | None = "cosine") -> None:
    """Add --metric; without a default, the profile says it."""
    parser.add_argument(
        "--metric",
        choices=("cosine", "dot"),
        default=default,
        help=f"default: {default or 'that of the profile, cosine where it says none'}",
    )


def add_qrels(parser: argparse.ArgumentParser) -> None:
    """Add --qrels."""
    parser.add_argument(
        "--qrels", metavar="FILE[:ARRAY]", help="judgements: rows of query, memory, gain"
    )


def add_limits(parser: argparse.ArgumentParser, what: str = "") -> None:
    """Add --limits."""
    told = "exit 1 when a row loses more than it may"
    parser.add_argument("--limits", action="store_true", help=f"{told} {what}".strip())


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add --threads; the number never changes a result."""
    cores = usable_cores()
    parser.add_argument(
        "--threads", type=positive, default=cores, metavar="N", help=f"default {cores}"
    )


def scheduler(text: str) -> str:
    """Return the scheduler that an argument names, for argparse."""
    try:
        return require_scheduler(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(f"expected {error.expected}, got {text!r}") from None


def add_scheduler(parser: argparse.ArgumentParser, unit: str | None = "shard") -> None:
    """Add --scheduler, --workers and --on-damage, for a command that works unit by unit.

    Without a unit there is no --on-damage: nothing can be left out.
    """
    parser.add_argument(
        "--scheduler",
        type=scheduler,
        metavar="threads|processes|tcp://HOST:PORT",
        help="work on several workers: threads or processes of this machine, or those of a "
        "scheduler of Dask, which see the same paths (default: one after the other, here)",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="threads or processes of --scheduler (default: one for each core)",
    )
    if unit is not None:
        parser.add_argument(
            "--on-damage",
            choices=("stop", "skip"),
            default="stop",
            help=f"at a {unit} that fails, stop (default), or do the others and name it at the end",
        )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
