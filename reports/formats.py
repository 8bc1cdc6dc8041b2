"""Format numbers as text. A missing number is an en dash, never ``nan`` and never 0."""

from __future__ import annotations

import re
from math import floor, isfinite, log10

from harness.analysis.statistics import Interval

MISSING = "–"


def number(value: float | None, digits: int = 2) -> str:
    """Format a number with a true minus sign and a thin space between thousands."""
    if value is None or not isfinite(value):
        return MISSING
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace(",", "\N{NARROW NO-BREAK SPACE}").replace("-", "−")


def signed(value: float | None, digits: int = 2) -> str:
    """Format a difference, with its sign."""
    text = number(value, digits)
    return text if text == MISSING or text.startswith("−") or float(f"{value:.{digits}f}") == 0 else f"+{text}"


def spread(mean: float | None, std: float | None, digits: int = 2) -> str:
    """Format ``mean ± std``; the mean alone if there is no std."""
    text = number(mean, digits)
    return text if text == MISSING or std is None or not isfinite(std) else f"{text} ± {number(std, digits)}"


def bracket(interval: Interval | None, digits: int = 2, sign: bool = False) -> str:
    """Format ``[low, high]``."""
    write = signed if sign else number
    return MISSING if interval is None else f"[{write(interval.low, digits)}, {write(interval.high, digits)}]"


def with_interval(value: float | None, interval: Interval | None, digits: int = 2, sign: bool = False) -> str:
    """Format ``value [low, high]``; the value alone if there is no interval."""
    text = (signed if sign else number)(value, digits)
    return text if text == MISSING or interval is None else f"{text} {bracket(interval, digits, sign)}"


THRESHOLDS = (0.05, 0.01, 0.001)
"""Levels that readers compare a p value with."""


def probability(p: float) -> str:
    """Format a p value with two significant digits, bounded below, and with more if it would cross or read as a threshold.

    A value that four more digits do not tell from a threshold is printed as ``< 0.05`` or ``≥ 0.05``.
    """
    if not isfinite(p):
        return MISSING
    if p < 1e-4:
        return "< 0.0001"
    digits = 2 if p >= 0.1 else 1 - floor(log10(p))
    for more in range(5):
        text = f"{p:.{digits + more}f}"
        if all(float(text) != level and (float(text) < level) == (p < level) for level in THRESHOLDS):
            return text
    level = min(THRESHOLDS, key=lambda level: abs(p - level))
    return f"{'<' if p < level else '≥'} {level}"


def thousands(text: str) -> str:
    """Replace commas between thousands by thin spaces."""
    return re.sub(r"(?<=\d),(?=\d{3}\b)", "\N{NARROW NO-BREAK SPACE}", text)
