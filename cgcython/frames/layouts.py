"""The ways to lay an embedding out, as methods declare them, by number and by metadata.

Numbers 1 to 127 are of this package, as docs/FORMAT.md has them; 128 to 255 are of others.
"""

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cgcython import methods
from cgcython.base import QuantizationMethod
from cgcython.errors import InvalidInput

if TYPE_CHECKING:
    from cgcython.types import BytesLike

FIRST_OF_OTHERS, LAST = 128, 255  # numbers of the layouts of other packages
HEAD, U32 = struct.Struct("<BBII"), struct.Struct("<I")  # what begins and ends a section

# Functions of a dimension, a metadata and data; metadata are NamedTuples.
Size = Callable[[int, Any], int]
Wrong = Callable[[int, Any, "BytesLike"], str | None]
Unpack = Callable[[int, tuple[Any, ...], bytes], Any]


class Layout(NamedTuple):
    """One way to lay out an embedding: its metadata as a struct, then its data.

    `stored` are the metadata that `fields` packs, alone, and `head` after the head of a section.
    `size(dimension, metadata)` is the bytes of data, where the metadata tell;
    `wrong(dimension, metadata, data)` says what contradicts what, or None;
    `unpack(dimension, stored, data)` is the metadata.
    """

    number: int
    method: QuantizationMethod
    kind: type[Any]
    name: str | None
    fields: struct.Struct
    head: struct.Struct
    stored: slice
    size: Size | None
    wrong: Wrong
    unpack: Unpack

    @classmethod
    def of(
        cls,
        number: int,
        method: QuantizationMethod,
        kind: type[Any],
        fields: str,
        *,
        name: str | None = None,
        stored: slice | None = None,
        size: Size | None = None,
        wrong: Wrong | None = None,
        unpack: Unpack | None = None,
    ) -> "Layout":
        """Return the layout of a number: 1 to 127 in this package, 128 to 255 in others.

        `kind` is the type of the metadata, and `fields` their struct, one letter each. Where a
        method has several layouts, `layout` is the last of the metadata and `name` what it holds;
        it is not stored. `stored` and `unpack` serve metadata that the data hold as well.
        """
        if stored is None:
            stored = slice(None) if name is None else slice(-1)
        fields = fields.removeprefix("<")
        return cls(
            number,
            method,
            kind,
            name,
            struct.Struct(f"<{fields}"),
            struct.Struct(HEAD.format + fields),
            stored,
            size,
            wrong or _nothing_wrong,
            unpack or _unpacker(kind, name),
        )


def _nothing_wrong(dimension: int, metadata: Any, data: "BytesLike") -> None:
    return None


def _unpacker(kind: type[Any], name: str | None) -> Unpack:
    rest = () if name is None else (name,)
    new = tuple.__new__  # the constructor of a NamedTuple, which is Python, takes twice as long
    return lambda dimension, stored, data: new(kind, stored + rest)


by_number: dict[int, Layout] = {}
by_metadata: dict[tuple[type[Any], str | None], Layout] = {}


def declare(layouts: Sequence[Layout], *, own: bool) -> None:
    """Make the layouts of a method known, one of this package's `own` or of another's.

    Raises InvalidInput for numbers and metadata that are another method's.
    """
    if not own:
        methods.import_own()  # so that a conflict is the other package's
    numbers = range(1, FIRST_OF_OTHERS) if own else range(FIRST_OF_OTHERS, LAST + 1)
    for layout in layouts:
        _require_own(layout, numbers)
    for layout in layouts:
        by_number[layout.number] = by_metadata[layout.kind, layout.name] = layout


def _require_own(layout: Layout, numbers: range) -> None:
    """Check that the number and the metadata of a layout are no other method's."""
    what = f"layout {layout.number} of {layout.method}"
    if layout.number not in numbers:
        expected = f"a number from {numbers[0]} to {numbers[-1]}"
        raise InvalidInput(what=what, expected=expected, actual=layout.number)
    found = by_number.get(layout.number), by_metadata.get((layout.kind, layout.name))
    for known in found:
        if known is not None and known.method is not layout.method:
            expected, actual = "a number and metadata of its own", f"those of {known.method}"
            raise InvalidInput(what=what, expected=expected, actual=actual)


def known_layouts() -> list[Layout]:
    """Return the layouts of this package's methods, and of others imported so far, by number."""
    methods.import_own()
    return [by_number[number] for number in sorted(by_number)]


def layout_title(number: int) -> str:
    """Return the method of a layout and its name, if it has one, as text.

    >>> layout_title(2), layout_title(5), layout_title(99)
    ('binary', 'sparse_native compact_f16', 'layout 99')
    """
    layout = layout_of_number(number)
    if layout is None:
        return f"layout {number}"
    return layout.method.value if layout.name is None else f"{layout.method} {layout.name}"


def layout_of_number(number: int) -> Layout | None:
    if number not in by_number:
        methods.import_own()
    if number not in by_number and number >= FIRST_OF_OTHERS:
        methods.import_all_installed()
    return by_number.get(number)


def layout_of_metadata(method: Any, metadata: Any) -> Layout:
    key = type(metadata), getattr(metadata, "layout", None)
    if key not in by_metadata:
        methods.import_own()
    layout = by_metadata.get(key)
    if layout is None or layout.method is not method:
        raise InvalidInput(what="metadata", expected=f"that of {method}", actual=metadata)
    return layout


def overhead(method: QuantizationMethod, name: str | None = None) -> int:
    """Return the bytes of a section besides its data, by method and name of layout.

    >>> overhead(QuantizationMethod.TOKEN_PRUNING, "compact_int2")
    26
    """
    layouts = {(one.method, one.name): one for one in known_layouts()}
    return HEAD.size + U32.size + layouts[method, name].fields.size
