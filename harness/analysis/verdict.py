"""Whether a result agrees with the printed one: a verdict, decided by margins fixed in advance.

The first of :data:`RULES` that applies decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan, sqrt
from typing import Any

import numpy as np

from harness.analysis.statistics import Difference, holm, student_quantile, welch

NOT_MEASURED = "not measured here"
NOT_COMPARABLE = "not comparable"
REPRODUCED = "reproduced"
DIFFERS = "differs"
CONSISTENT = "consistent, not conclusive"
UNCLEAR = "unclear"
RULES = {
    NOT_MEASURED: "with the reason",
    NOT_COMPARABLE: "measured by other rules or on another machine than the paper's, or printed without a spread",
    REPRODUCED: "the 90 % interval of the difference lies within ±δ, a margin fixed before the runs (two one-sided tests)",
    DIFFERS: "the 95 % interval lies entirely outside ±δ",
    CONSISTENT: "the 95 % interval contains 0",
    UNCLEAR: "none of these, or fewer than 3 runs",
}
VERDICTS = tuple(RULES)
LETTERS = {NOT_MEASURED: "–", NOT_COMPARABLE: "N", REPRODUCED: "R", DIFFERS: "D", CONSISTENT: "C", UNCLEAR: "U"}

MARGINS: Mapping[str, Mapping[str, float]] = {
    "nb201": {"cifar10": 0.20, "cifar100": 0.50, "imagenet16-120": 0.70},
    "darts": {"cifar10": 0.10, "cifar100": 0.30, "imagenet": 0.30},
    "darts_rnn": {"ptb": 0.50},
}
"""Margins δ by search space and data set, fixed in advance, in points; perplexity on Penn Treebank.

About one standard deviation over training seeds among good cells: of 200-epoch trainings on NAS-Bench-201, and of full
trainings in the DARTS space (top 1 on ImageNet)."""


def margin_of(benchmark: str, target: str) -> float | None:
    """Return δ in points for a target of a benchmark; None if it is not fixed."""
    return MARGINS.get(benchmark.partition("/")[0], {}).get(target)


def counted(names: Iterable[str]) -> str:
    """Return the number of each verdict among some names, in words and in the order of the verdicts; empty if there is none."""
    numbers = Counter(names)
    return ", ".join(f"{numbers[name]} {name}" for name in VERDICTS if numbers[name])


@dataclass(frozen=True)
class Verdict:
    """A verdict with its grounds: the reason, the difference in points, remarks that do not change it, and p(outside ±δ)."""

    name: str
    reason: str = ""
    difference: Difference | None = None
    notes: tuple[str, ...] = ()
    p_outside: float = 1.0


def judge_difference(difference: Difference, margin: float) -> str:
    """Apply the interval rules to one difference; margin in points."""
    if difference.interval(0.90).inside(margin):
        return REPRODUCED
    wide = difference.interval(0.95)
    if wide.outside(margin):
        return DIFFERS
    return CONSISTENT if wide.low <= 0 <= wide.high else UNCLEAR


def judge_target(
    ours: Sequence[float] | np.ndarray, line: Mapping[str, Any], margin: float | None, reason: str = ""
) -> Verdict:
    """Judge one row on one target against one published line.

    Args:
        ours: our test accuracies or test errors in percent, one per finished run.
        line: a line of ``published.csv`` of the same metric.
        margin: δ in points; None if it is not fixed.
        reason: why ours and the printed number are not comparable, or ``""``.
    """
    values = np.asarray(ours, dtype=float)
    if not values.size:
        return Verdict(NOT_MEASURED, reason or "no run finished")
    reason = reason or _obstacle(line, margin)
    if reason:
        return Verdict(NOT_COMPARABLE, reason)
    if values.size < 3:
        return Verdict(UNCLEAR, "fewer than 3 runs have no interval")
    if line["std"] == 0:
        return _judge_identity(values, line)
    difference = difference_from(values, line)
    assert margin is not None and difference is not None
    name = judge_difference(difference, margin)
    return Verdict(name, "", difference, tuple(_remarks(values, line, margin, name)), difference.p_outside(margin))


def difference_from(ours: np.ndarray, line: Mapping[str, Any]) -> Difference | None:
    """Return ours minus a printed number; None if ours are fewer than 3 runs or theirs have no spread."""
    known = ours.size > 2 and not isnan(line["std"]) and line["n"] >= 2  # an unknown n is NaN
    return welch(ours, line["mean"], line["std"], line["n"]) if known else None


def _obstacle(line: Mapping[str, Any], margin: float | None) -> str:
    if "inferred" in line["record"]:
        return "the record behind the printed number is inferred"
    if isnan(line["std"]) or isnan(line["n"]):
        return "printed without a spread" if isnan(line["std"]) else "the number of runs is not printed"
    if line["n"] < 2:
        return "a printed single run has no interval"
    return "no margin was fixed for this target" if margin is None else ""


def _judge_identity(values: np.ndarray, line: Mapping[str, Any]) -> Verdict:
    """Judge against a printed ± 0.00, for which every run proposed the same cell: count our runs that print the same value."""
    same = np.abs(values - line["mean"]) <= 0.005 + 1e-9
    share = f"printed ± 0.00, judged by cell identity: {same.sum()} of {same.size} runs print the same value"
    name = REPRODUCED if same.all() else UNCLEAR if same.any() else DIFFERS
    difference = welch(values, line["mean"], 0.0, inf)
    return Verdict(name, share, difference, (), 0.0 if name == DIFFERS else 1.0)


def _remarks(values: np.ndarray, line: Mapping[str, Any], margin: float, name: str) -> Iterator[str]:
    n = line["n"]
    if line["n_source"].startswith("assumed"):
        exact = judge_difference(welch(values, line["mean"], line["std"], inf), margin)
        if exact != name:
            yield f"n = {n:.0f} is assumed; with n = ∞ the verdict would be “{exact}”"
    if student_quantile(0.95, n - 1) * line["std"] / sqrt(n - 1) >= margin:
        yield f"“reproduced” is out of reach: the published {n:.0f} runs alone leave an interval wider than ±δ"


def judge_row(targets: Mapping[str, Verdict]) -> Verdict:
    """Combine the verdicts of a row's targets: reproduced only if all are, differs if any does (Holm)."""
    if not targets:
        raise ValueError("a row is judged on at least one target")
    names = [verdict.name for verdict in targets.values()]
    if len(set(names)) == 1 and names[0] in (NOT_MEASURED, NOT_COMPARABLE):
        return Verdict(names[0], next(iter(targets.values())).reason)
    judged = {target: v for target, v in targets.items() if v.name not in (NOT_MEASURED, NOT_COMPARABLE)}
    adjusted = holm([verdict.p_outside for verdict in judged.values()])
    different = [target for target, p in zip(judged, adjusted, strict=True) if p < 0.05 and judged[target].name == DIFFERS]
    if different:
        return Verdict(DIFFERS, "on " + ", ".join(different), p_outside=min(adjusted))
    left_out = [target for target in targets if target not in judged]
    if left_out:
        part = "; ".join(f"{target}: {verdict.name}" for target, verdict in judged.items())
        return Verdict(NOT_COMPARABLE, f"on {', '.join(left_out)}" + (f" ({part})" if part else ""))
    if set(names) == {REPRODUCED}:
        return Verdict(REPRODUCED)
    if set(names) <= {REPRODUCED, CONSISTENT}:
        return Verdict(CONSISTENT)
    before = [target for target, verdict in judged.items() if verdict.name == DIFFERS]
    return Verdict(UNCLEAR, f"{', '.join(before)} differs, but not after Holm’s correction" if before else "")
