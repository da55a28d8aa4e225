"""Formats figures as cells of a table; what was not measured is None, which prints as a dash."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # commands that compare nothing start without it
    from cgcython.evaluation.comparison import Change, Gain, Loss


def percent(part: float | None, decimals: int = 2) -> str | None:
    """Return a fraction as a percentage.

    >>> percent(0.0123), percent(None)
    ('1.23%', None)
    """
    return None if part is None else f"{part:.{decimals}%}"


def rounded(value: float | None, decimals: int) -> str | None:
    """Return a number rounded to some decimals."""
    return None if value is None else f"{value:.{decimals}f}"


def significant(value: float | None) -> str | None:
    """Return a number with three significant digits, and all before the point.

    >>> significant(0.12345), significant(12345.6), significant(2.0)
    ('0.123', '12346', '2.00')
    """
    if value is None:
        return None
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(0, 3 - whole)}f}"


def loss_cells(loss: Loss | None) -> list[str | None]:
    """Return mean, 99th percentile and maximum in percent."""
    if loss is None:
        return [None] * 3
    return [f"{100 * part:.3f}" for part in (loss.mean, loss.p99, loss.max)]


def change_cells(change: Change | None) -> list[str | None]:
    """Return the metric as float32 and as codes, its drop and the drop's interval in percent."""
    if change is None:
        return [None] * 4
    low, high = change.interval
    return [
        f"{change.float32:.4f}",
        f"{change.quantized:.4f}",
        f"{100 * change.drop:.2f}",
        f"{100 * low:.1f}..{100 * high:.1f}",
    ]


def gain_cells(gain: Gain | None) -> list[str | None]:
    """Return by how much the part of the top 10 that is found is larger, and the interval."""
    if gain is None:
        return [None] * 2
    low, high = gain.interval
    return [f"{gain.gain:+.3f}", f"{low:+.3f}..{high:+.3f}"]
