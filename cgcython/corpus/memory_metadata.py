"""What describes the memories of a corpus: columns beside the embeddings, an object for each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from cgcython import strict_json
from cgcython.arrays import shape_of
from cgcython.checks import require_mapping
from cgcython.corpus.specs import METADATA
from cgcython.errors import InvalidInput
from cgcython.inputs.packages import is_table, records_of, unpacked

Records = list[dict[str, Any]]
_OWN = f"{METADATA}."  # before a key that would be the name of another column, as export writes it


class Described(NamedTuple):
    """Columns of one input: the number of their rows, and what reads some of these as objects."""

    num_rows: int
    read: Callable[[int, int], Records]


def of_arrays(columns: Mapping[str, Any]) -> Described:
    """Return what describes memories in arrays [n]; the one called `metadata` has JSON objects.

    Raises InvalidInput for arrays of other shapes.
    """
    given = columns.get(METADATA)
    if len(columns) == 1 and (is_table(given) or isinstance(given, list)):
        listed: Any = records_of(given) if is_table(given) else given
        whole = [{} if one is None else dict(require_mapping(one, METADATA)) for one in listed]
        return Described(len(whole), lambda start, stop: whole[start:stop])
    columns = {name: unpacked(one) for name, one in columns.items()}
    for name, one in columns.items():
        shape = shape_of(one)
        axes = 1 if shape is None else len(shape)
        if axes != 1 or not hasattr(one, "__getitem__"):
            actual = f"{type(one).__name__} of {axes} dimensions"
            raise InvalidInput(what=name, expected="an array [memories]", actual=actual)

    def read(start: int, stop: int) -> Records:
        found = records_of({name: one[start:stop] for name, one in columns.items()})
        return [_unfolded(one) for one in found]

    return Described(min(map(len, columns.values())), read)


def _unfolded(record: dict[str, Any]) -> dict[str, Any]:
    """Return an object with the fields of the JSON object that it has under `metadata`."""
    folded = record.pop(METADATA, None)
    if folded in (None, b"", ""):
        return record
    try:
        return strict_json.parse_object(folded) | record
    except (ValueError, TypeError) as error:
        raise InvalidInput(what=METADATA, expected="JSON objects", actual=error) from None


class MemoryMetadata:
    """The metadata of memories, put together from several inputs; raises InvalidInput."""

    def __init__(self, parts: Sequence[Described] = ()) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return max((one.num_rows for one in self._parts), default=0)

    def __bool__(self) -> bool:
        return bool(self._parts)

    def __getitem__(self, rows: slice) -> Records:
        """Return an object for each memory of a slice; without a field, where there is none."""
        start, stop, _ = rows.indices(max(len(self), rows.stop or 0))
        found: Records = [{} for _ in range(start, stop)]
        for part in self._parts:
            for one, more in zip(found, part.read(start, stop)):
                one |= {name.removeprefix(_OWN): value for name, value in more.items()}
        return found
