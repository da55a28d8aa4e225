"""What can go wrong, each with its facts as attributes and one sentence that names the remedy."""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Self

LONGEST_FACT = 1000  # characters of a fact that a message shows


class QuantizationError(Exception):
    """Base of every error this package raises on purpose.

    Subclasses list their facts in `facts` (keyword arguments, kept as attributes) and print them
    through `sentence`. Numbers, text, paths, ids and members of enums are kept as they are,
    anything else as its text: an error survives pickling whatever a caller passed. `model_id` is
    added by the layers that know embedders.
    """

    code = "EMB-E000"
    facts: tuple[str, ...] = ()
    sentence = ""
    model_id: int | str | None

    def __init__(self, *, model_id: int | str | None = None, **facts: object) -> None:
        unknown = facts.keys() - set(self.facts)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        self.model_id = model_id
        for name in self.facts:
            setattr(self, name, _kept(facts.get(name)))
        super().__init__()

    def about(self, model_id: int | str | None) -> Self:
        """Name the embedder, unless a lower layer did, and return this error."""
        self.model_id = model_id if self.model_id is None else self.model_id
        return self

    def _template(self) -> str:
        """Return the sentence with the names of facts in braces."""
        return self.sentence

    def __str__(self) -> str:
        about = "" if self.model_id is None else f"{_shown(self.model_id)}: "
        facts = {name: _shown(value) for name, value in vars(self).items()}
        try:
            sentence = self._template().format(**facts)
        except (ValueError, TypeError):  # a fact is of another kind than the sentence has in mind
            plain = {name: _Text(value) for name, value in facts.items()}
            sentence = self._template().format(**plain)
        return f"[{self.code}] {about}{sentence}"

    def __repr__(self) -> str:
        facts = {"model_id": self.model_id, **{name: getattr(self, name) for name in self.facts}}
        shown = (f"{name}={value!r}" for name, value in facts.items() if value is not None)
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return _rebuild, (type(self), vars(self).copy())


class _Text(str):
    """A text that prints in any format, a percentage among them: as it is."""

    def __format__(self, _: str) -> str:
        return str(self)


def _shown(fact: object) -> object:
    """Return what a sentence shows of a fact: of an embedder its label, such as `E9 Hdc`."""
    shown = getattr(fact, "label", fact)
    return shown if isinstance(shown, (int, float)) else _Text(f"{shown!s:.{LONGEST_FACT}}")


def _kept(fact: object) -> object:
    """Return a fact as it is where it prints and survives pickling, and else its text."""
    if isinstance(fact, int):
        return fact if fact.bit_length() < 1024 else f"a number of {fact.bit_length()} bits"
    if fact is None or isinstance(fact, (float, str, bytes, Enum)) or _is_name(fact):
        return fact
    if isinstance(fact, tuple):
        return tuple(map(_kept, fact))
    try:
        if getattr(fact, "shape", None) == () and hasattr(fact, "item"):  # NumPy's numbers
            number = fact.item()
            return number if isinstance(number, (int, float)) else str(fact)
        return f"{fact!s:.{LONGEST_FACT}}"
    except Exception:  # the value of a caller may do anything
        return f"an object of type {type(fact).__name__}"


def _is_name(fact: object) -> bool:
    """Tell whether a fact is a path or a UUID; `uuid` is not imported for that."""
    return hasattr(fact, "__fspath__") or type(fact).__name__ == "UUID"


def _rebuild(kind: type[QuantizationError], attributes: dict[str, Any]) -> QuantizationError:
    error = kind()
    vars(error).update(attributes)
    return error


class DimensionMismatch(QuantizationError):
    """An array has the wrong shape; `what` says which part of it."""

    code = "EMB-E005"
    facts = ("expected", "actual", "what")
    expected: int
    actual: int
    what: str
    sentence = (
        "expected {expected} {what}, got {actual}; "
        "pass the embedder's own output or choose another profile"
    )

    def __init__(self, *, what: str = "values", **facts: Any) -> None:
        super().__init__(what=what, **facts)


class StorageCorruption(QuantizationError):
    """Stored bytes are not what was written: in the record or file `where`, in records `ids`."""

    code = "EMB-E010"
    facts = ("where", "reason", "ids")
    where: object
    reason: object
    ids: tuple[Any, ...]
    sentence = "{where} is damaged: {reason}; restore it from a backup or encode it again"

    def __init__(self, *, ids: Iterable[Any] = (), **facts: Any) -> None:
        super().__init__(ids=tuple(ids), **facts)


class UnsupportedVersion(StorageCorruption):
    """Bytes of a format version that this release does not read."""

    sentence = "{where} cannot be read: {reason}; read it with the release that wrote it"


class CodebookCorrupt(StorageCorruption):
    """A codebook file is not what training wrote."""

    sentence = "codebook {where} is damaged: {reason}; restore it or train it again"


class CodebookMissing(QuantizationError):
    """No codebook for this embedder, or none with the id the codes carry."""

    code = "EMB-E011"
    facts = ("path", "codebook_id", "command")
    path: object
    codebook_id: int | None
    command: str | None

    def _template(self) -> str:
        """Say what is missing: a file, or the codebook that made some codes."""
        if self.codebook_id is not None:
            return (
                "codebook {codebook_id:#010x}, which made these codes, is not at hand; "
                "pass it in `codebooks`, or encode again"
            )
        return "no codebook at {path}" + ("; train it with: {command}" if self.command else "")


class RecallLossExceeded(QuantizationError):
    """A codec loses more than its method allows; losses are fractions."""

    code = "EMB-E012"
    facts = ("method", "measured_loss", "max_loss")
    method: object
    measured_loss: float
    max_loss: float
    sentence = (
        "{method} loses {measured_loss:.2%}, more than the {max_loss:.2%} allowed; "
        "use more bytes or more training data, or force it"
    )


class InvalidQuantizedData(QuantizationError):
    """Encoded bytes do not fit their method."""

    code = "EMB-E013"
    facts = ("method", "expected_bytes", "actual_bytes", "reason")
    method: object
    expected_bytes: int | None
    actual_bytes: int | None
    reason: str | None

    def _template(self) -> str:
        """Say what is wrong: the number of bytes, their content, or both."""
        has_bytes = self.expected_bytes is not None
        length = "expected {expected_bytes} bytes, got {actual_bytes}" if has_bytes else None
        wrong = ", ".join(filter(None, (length, self.reason and "{reason}")))
        return "{method} data: " + wrong + "; decode what this package encoded"


class SparseTooDense(QuantizationError):
    """A sparse vector has more non-zeros than its method is made for."""

    code = "EMB-E014"
    facts = ("expected_sparsity", "nnz", "total", "actual_pct")
    expected_sparsity: float
    nnz: int
    total: int
    actual_pct: float
    sentence = (
        "{nnz} of {total} values are non-zero ({actual_pct:.6g} %), "
        "more than {expected_sparsity} %; drop the smallest weights or use a dense method"
    )


class NonFiniteValue(QuantizationError):
    """A value is NaN or infinite, or overflows float32; `index` is its first position."""

    code = "EMB-E015"
    facts = ("index", "value")
    index: int
    value: float
    sentence = "value {index} is {value}; embeddings must be finite float32 numbers"


class MethodMismatch(QuantizationError):
    """A record met another method's decoder, or an embedder another method's encoder."""

    code = "EMB-E016"
    facts = ("expected", "actual")
    expected: object
    actual: object
    sentence = "expected {expected}, got {actual}; let QuantizationRouter choose the codec"


class BudgetExceeded(QuantizationError):
    """No layout of a fingerprint fits its byte budget."""

    code = "EMB-E017"
    facts = ("budget_bytes", "smallest_bytes")
    budget_bytes: int
    smallest_bytes: int
    sentence = (
        "the smallest layout takes {smallest_bytes} bytes, the budget is {budget_bytes}; "
        "raise budget_bytes or keep fewer tokens"
    )


class InvalidInput(QuantizationError, ValueError):
    """An argument is of no use: wrong type, range or combination."""

    code = "EMB-E018"
    facts = ("what", "expected", "actual")
    what: str
    expected: str
    actual: object
    sentence = "{what}: expected {expected}, got {actual}"


class UnknownMethod(InvalidInput):
    """A name is no method's: neither of this package nor of an installed one."""

    sentence = (
        "{what}: expected {expected}, got {actual}; "
        "correct the name, or install the package that brings the method"
    )


class StoreUnavailable(QuantizationError):
    """A store cannot be opened or written."""

    code = "EMB-E019"
    facts = ("path", "reason")
    path: object
    reason: object
    sentence = "store {path}: {reason}"


class WorkersLost(StoreUnavailable):
    """The workers of a scheduler died, all of them or every one that began a piece of work."""

    sentence = "workers died: {reason}; give them more memory or smaller shards, and run it again"


class FileUnavailable(QuantizationError, OSError):
    """A file is not there, or the system does not let us read or write it."""

    code = "EMB-E020"
    facts = ("path", "reason")
    path: str
    reason: str
    sentence = "{path}: {reason}; pass another path, or mend that one"


class UsageError(QuantizationError):
    """Arguments make no sense together; nothing was read or written."""

    code = "EMB-E022"
    facts = ("reason",)
    reason: str | None
    sentence = "{reason}"

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason=reason)
