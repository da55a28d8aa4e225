"""Tells the exit code of each family of errors."""

from cgcython import errors

OK, LIMIT, USAGE, BAD_DATA, CODEBOOK, STORE = range(6)
INTERRUPTED = 130


def exit_code(error: Exception) -> int:
    """Return the exit code of an error: the first family below that it belongs to.

    >>> exit_code(errors.CodebookMissing(path="models", codebook_id=7, command="..."))
    4
    """
    return next(code for family, code in _FAMILIES if isinstance(error, family))


_FAMILIES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int], ...] = (
    (errors.UsageError, USAGE),
    ((errors.RecallLossExceeded, errors.BudgetExceeded), LIMIT),
    ((errors.CodebookMissing, errors.CodebookCorrupt), CODEBOOK),
    ((errors.StorageCorruption, errors.StoreUnavailable), STORE),
    (Exception, BAD_DATA),
)
