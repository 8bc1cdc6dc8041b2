"""Compare the runs of two stores, or of two versions of the code in them, pair by pair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from harness import results
from harness.analysis.names import target_name
from harness.analysis.pairs import LEVEL
from harness.analysis.statistics import Paired, holm, paired, share_interval, smallest_p
from harness.errors import UserError
from harness.spec import RETRAINING
from harness.store import store_file
from reports.formats import MISSING, number, probability, with_interval
from reports.layout import Block, Bullets, Column, Heading, Paragraph, Table

GROUP = ["protocol", "benchmark", "row", "budget", "device", "target"]
PAIR = [*GROUP, "cell", "world"]
EQUAL, DIFFERS, UNDECIDED = "equal", "differs", "too few pairs"
RULE = (
    "Equal: the same status, test accuracies within the tolerance, and the same architecture if the tolerance is 0 or no test "
    "accuracy is known. Source: whether both sides executed the same code. Wilcoxon’s signed-rank test, Holm’s correction."
)


@dataclass
class Comparison:
    """The lines of the table with their verdicts, and what has no partner."""

    lines: pd.DataFrame
    """Paired runs, indexed by :data:`PAIR`, with columns ``X_a`` and ``X_b``, and whether they are ``equal``."""
    verdicts: dict[tuple[str, ...], str]
    tests: dict[tuple[str, ...], Paired]
    corrected: dict[tuple[str, ...], float]
    alone: list[tuple[str, str]] = field(default_factory=list)
    """Runs without a partner: where they are, and which they are."""

    @property
    def differs(self) -> bool:
        """Return whether any row differs."""
        return DIFFERS in self.verdicts.values()


def side(text: str) -> pd.DataFrame:
    """Return the runs that ``DIR`` or ``DIR@CODE`` names: of a store, or those in it that a version of the code made.

    Args:
        text: ``CODE`` is the start of a commit, or of the digest of the source that a run executed.

    Raises:
        UserError: there is no store, or no run by that code.
    """
    folder, code = text, ""
    if "@" in text and not store_file(Path(text)).exists():
        folder, _, code = text.rpartition("@")
    runs = results.runs(folder)
    if not code:
        return runs
    by_commit = runs["made_by"].str.contains(f"({code}", regex=False)
    chosen = runs[by_commit | runs["code"].str.startswith(code)]
    if chosen.empty:
        known = ", ".join(dict.fromkeys(runs["made_by"])) or "no code at all"
        raise UserError(f"no run in {folder} was made by {code!r}; its runs were made by {known}")
    return chosen


def compare(a: pd.DataFrame, b: pd.DataFrame, tolerance: float = 0.0, significant: bool = False) -> Comparison:
    """Pair the runs of two sides by row and seed, and judge every row.

    Two runs are equal if they have the same status, and test accuracies that differ by at most the tolerance; with tolerance 0,
    or without a test accuracy, they also propose the same architecture. A row differs if any of its pairs does.

    Args:
        tolerance: points of test accuracy.
        significant: a row differs instead if its signed-rank test, Holm-corrected over all lines, gives p < ``LEVEL``.

    Raises:
        UserError: no run has a partner.
    """
    alone: list[tuple[str, str]] = []
    sides = []
    for name, runs in (("A", a), ("B", b)):
        keyed = runs.assign(cell=runs["arch"].where(runs["kind"] == RETRAINING, "")).sort_values("finished", kind="stable")
        older = keyed.duplicated(PAIR, keep="last")
        alone += _named(f"older runs of the same seeds in {name}", keyed[older])
        sides.append(keyed[~older])
    both = _with_targets(*sides)
    lines = both[0].merge(both[1], on=PAIR, suffixes=("_a", "_b"))
    alone += [line for name, runs in zip("AB", both, strict=True) for line in _named(f"only in {name}", _without(runs, lines))]
    if lines.empty:
        raise UserError("no run of one side has a partner in the other: no protocol, benchmark, row, budget and seed in common")
    gap = (lines["test_b"] - lines["test_a"]).abs()
    same_cell = lines["arch_a"] == lines["arch_b"]
    near = gap.isna() | (gap <= tolerance)
    exact = same_cell | (gap.notna() & (tolerance > 0)) | (lines["status_a"] != "done")
    lines["equal"] = (
        (lines["status_a"] == lines["status_b"]) & (lines["test_a"].isna() == lines["test_b"].isna()) & near & exact
    )
    groups = {_key(key): group for key, group in lines.groupby(GROUP, sort=False)}
    tests = {key: test for key, group in groups.items() if (test := paired(_tests(group, "b"), _tests(group, "a")))}
    corrected = dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))
    least = dict(zip(tests, holm([smallest_p(test.n) for test in tests.values()]), strict=True))
    if significant:
        verdicts = {
            key: UNDECIDED if least.get(key, 1.0) >= LEVEL else DIFFERS if corrected[key] < LEVEL else EQUAL for key in groups
        }
    else:
        verdicts = {key: EQUAL if group["equal"].all() else DIFFERS for key, group in groups.items()}
    return Comparison(lines, verdicts, tests, corrected, alone)


def blocks(comparison: Comparison, a: str, b: str) -> list[Block]:
    """Return the page of a comparison: a sentence, the table of the rows, and the runs without a partner."""
    names = ("row", "data", "pairs", "equal", "A", "B", "B − A [95 %]", "p", "p (Holm)", "source", "result")
    texts = {"row", "data", "source", "result"}
    table = Table(
        f"A: {a}. B: {b}. Test accuracy in percent, mean over pairs. {RULE}", [Column(n, right=n not in texts) for n in names]
    )
    previous = ""
    for key, group in comparison.lines.groupby(GROUP, sort=False):
        protocol, benchmark, row, budget, device, target = _key(key)
        place = ", ".join(filter(None, (protocol, benchmark, budget, device if device != "cpu" else "")))
        test = comparison.tests.get(_key(key))
        shown = [number(float(_tests(group, letter).mean())) for letter in "ab"]
        shown += [with_interval(test.difference, test.interval, sign=True), probability(test.p)] if test else [MISSING] * 2
        shown.append(probability(comparison.corrected[_key(key)]) if test else MISSING)
        same = "same" if (group["code_a"] == group["code_b"]).all() else "other"
        counts = [str(len(group)), str(int(group["equal"].sum()))]
        table.add(
            [row, target_name(target) or "not done", *counts, *shown, same, comparison.verdicts[_key(key)]],
            place != previous and place,
        )
        previous = place
    listed: list[Block] = [Heading("Without a partner"), Bullets(comparison.alone)]
    return [Paragraph(sentence(comparison)), table, *(listed if comparison.alone else [])]


def sentence(comparison: Comparison) -> str:
    """Return how many rows differ, and how often B is better over all pairs with test accuracies."""
    verdicts, equal = list(comparison.verdicts.values()), comparison.lines["equal"]
    text = f"{verdicts.count(DIFFERS)} of {len(verdicts)} lines differ, {int(equal.sum())} of {len(equal)} pairs are equal."
    gaps = (comparison.lines["test_b"] - comparison.lines["test_a"]).dropna().round(9).to_numpy()
    if gaps.size:
        share = float(((np.sign(gaps) + 1) / 2).mean())
        interval = share_interval(share, gaps.size)
        shown = with_interval(100 * share, interval and type(interval)(100 * interval.low, 100 * interval.high), 0)
        text += f" Over all pairs with a test accuracy B is better than A in {shown} % of {gaps.size}; a tie is half."
    return text


def _with_targets(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give a run that is not done a line for each target of its partner, so that it is compared and not dropped."""
    run = [name for name in PAIR if name != "target"]

    def filled(runs: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
        bare = runs[runs["target"] == ""]
        targets = other.loc[other["target"] != "", [*run, "target"]]
        extended = bare.drop(columns="target").merge(targets, on=run)
        rest = bare.merge(extended[run].drop_duplicates(), on=run, how="left", indicator=True)
        return pd.concat([runs[runs["target"] != ""], extended, rest[rest.pop("_merge") == "left_only"]], ignore_index=True)

    return filled(a, b), filled(b, a)


def _without(runs: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that are in no pair."""
    marked = runs.merge(lines[PAIR].drop_duplicates(), on=PAIR, how="left", indicator=True)
    return marked[marked["_merge"] == "left_only"]


def _key(key: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(str, key))


def _tests(group: pd.DataFrame, letter: str) -> pd.Series:
    return group.set_index(["cell", "world"])[f"test_{letter}"]


def _named(reason: str, runs: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the rows of some runs with their seeds; rows with the same seeds share a line."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for key, group in runs.groupby(["protocol", "benchmark", "budget", "row"], sort=False):
        *where, row = _key(key)
        rows.setdefault((*where, _ranges(sorted(group["world"].unique().tolist()))), []).append(row)
    return [
        (reason, f"{', '.join(names)} on {benchmark} ({', '.join(filter(None, rules))}), seeds {seeds}")
        for (*rules, seeds), names in rows.items()
        for benchmark in [rules.pop(1)]
    ]


def _ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers as ranges: ``0–4, 7``."""
    starts = [0, *(at + 1 for at, (low, high) in enumerate(pairwise(numbers)) if high != low + 1), len(numbers)]
    ends = [(numbers[start], numbers[end - 1]) for start, end in pairwise(starts)]
    return ", ".join(str(low) if low == high else f"{low}–{high}" for low, high in ends)
