"""How values become bytes: the methods of this package, and those that other packages bring."""

import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from cgcython import methods
from cgcython.base.embedders import EmbedderName
from cgcython.checks import nearest
from cgcython.errors import InvalidInput, UnknownMethod

if TYPE_CHECKING:
    from cgcython.base.profiles import ProfileName

_METHOD_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_others: dict[str, "QuantizationMethod"] = {}  # by name, those that are no members


class QuantizationMethod(Enum):
    """How an embedder's values become bytes.

    The members are the methods of this package. One of another package, which has an entry point
    for it, is found by its name, as in `QuantizationMethod("toy4")`, and is no member.
    """

    PQ8 = "pq8"
    FLOAT8_E4M3 = "float8_e4m3"
    BINARY = "binary"
    SPARSE_NATIVE = "sparse_native"
    TOKEN_PRUNING = "token_pruning"
    RQ8 = "rq8"
    SCALAR = "scalar"

    # Members are singletons; Enum would hash their names, in Python, at every look-up.
    __hash__ = object.__hash__

    def __str__(self) -> str:
        return str(self.value)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return QuantizationMethod, (self.value,)

    @classmethod
    def _missing_(cls, value: object) -> "QuantizationMethod":
        if isinstance(value, str):
            if not methods.is_declared(value):
                methods.import_installed(value)
            if value in _others:
                return _others[value]
        own = [member.value for member in cls]
        known = list(dict.fromkeys([*own, *_others, *methods.installed_names()]))
        near = nearest(str(value), known).removeprefix("; ")
        expected = f"one of {', '.join(known)}" + (f" ({near})" if near else "")
        raise UnknownMethod(what="method", expected=expected, actual=value)

    @classmethod
    def named(cls, value: object) -> "QuantizationMethod":
        """Return the method that a text names; raises UnknownMethod for whatever else comes.

        The constructor compares with all values, which arrays do not bear.

        >>> QuantizationMethod.named("binary")
        <QuantizationMethod.BINARY: 'binary'>
        """
        return cls(value) if isinstance(value, (str, cls)) else cls._missing_(value)

    @classmethod
    def add(cls, name: str) -> "QuantizationMethod":
        """Return the method of a name, a new one where there is none.

        It is for packages that bring a method. Raises InvalidInput for a name that is not of 1 to
        32 of a-z, 0-9 and _, a letter first.

        >>> QuantizationMethod.add("pq8") is QuantizationMethod.PQ8
        True
        """
        if not isinstance(name, str) or not _METHOD_NAME.fullmatch(name):
            expected = "1 to 32 of a-z, 0-9 and _, a letter first"
            raise InvalidInput(what="name of a method", expected=expected, actual=name)
        for member in cls:
            if member.value == name:
                return member
        method = object.__new__(cls)
        method._name_, method._value_ = name.upper(), name
        return _others.setdefault(name, method)

    @classmethod
    def for_embedder(
        cls, model_id: EmbedderName, profile: "ProfileName | None" = None
    ) -> "QuantizationMethod":
        """Return the method of an embedder under a profile; every embedder has one."""
        from cgcython.base.profiles import Profile

        return Profile.named(profile).row(model_id).method

    def compression_ratio(self) -> float:
        """Return the nominal ratio; `QuantizedEmbedding.compression_ratio` is the real one."""
        return methods.declaration(self.value).ratio

    def max_recall_loss(self) -> float:
        """Return the loss the method may cost, as a fraction."""
        return methods.declaration(self.value).max_loss
