"""The evidence of one protocol, arranged for comparison: rows, targets, values, and the verdict of every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import published as papers
from harness.analysis.evidence import DONE, NOT_YET, WEIGHT_SHARING, Cell, Evidence, Page, Part, Run
from harness.analysis.names import short_name
from harness.analysis.verdict import Verdict, judge_row, judge_target, margin_of

RANDOM = "random_cell"
"""The method that proposes a random cell."""

REFERENCE = "random_search"
"""The row that the other rows are compared with: a method of this name, or a method's variant."""

MEASURED = (Run.WORLD, Run.STATUS, Run.TEST, Run.VALID, Run.REGRET, Run.RANK)
"""Columns that :meth:`Study.judged` keeps."""

CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet16-120": 120, "cifar10-jpeg75": 10, "digits": 10, "imdb": 2}
"""Number of classes of a data set, for the accuracy of guessing."""

AT_CHANCE = 1.5
"""A supernet, or the test accuracy of a run, is at chance if it is at most this many times that of guessing."""

APART = 1.0
"""Points by which a mean and a median differ if the mean alone would mislead.

The difference in standard deviations cannot say so: it is never above one, and the few runs of a row reach half of it by luck.
"""

NO_METHOD = "this version has no such method"


def other_images(images: str) -> str:
    """Return why a search on images (in words) is not the papers', or ``""``."""
    return "under JPEG-75 search" if "JPEG-75" in images else ""


@dataclass(frozen=True)
class Study:
    """The evidence and the published lines; accuracies in percent."""

    evidence: Evidence
    published: pd.DataFrame

    @property
    def page(self) -> Page:
        """Return the facts of the page."""
        return self.evidence.page

    @property
    def runs(self) -> pd.DataFrame:
        """Return one line per run and target."""
        return self.evidence.runs

    @cached_property
    def lines(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """Return published test accuracies by (benchmark, row, target)."""
        return papers.lines_for(self.published, self.page.protocol)

    @cached_property
    def published_valid(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """Return published validation accuracies by (benchmark, row, target)."""
        return papers.lines_for(self.published, self.page.protocol, "valid_accuracy_pct")

    @cached_property
    def printed_optimum(self) -> dict[str, float]:
        """Return the papers' optimum of the space by target, in percent."""
        return papers.optimum(self.published, self.page.protocol)

    def printed_lines(self, benchmark: str, metric: str) -> dict[str, list[papers.Line]]:
        """Return by row the papers' lines of a metric on a benchmark, those of other protocols too."""
        table = self.published
        lines = table[(table["benchmark"] == benchmark) & (table["metric"] == metric) & (table["row"] != "")]
        by_row: dict[str, list[papers.Line]] = {}
        for line in papers.records(lines):
            for row in line["row"].split(";"):
                by_row.setdefault(row, []).append(line)
        return by_row

    @cached_property
    def benchmarks(self) -> list[str]:
        """Return benchmarks with runs or with printed numbers, in the protocol's order; all benchmarks if there are no runs."""
        stated = list(dict.fromkeys(part.benchmark for part in self.page.parts))
        ran = list(dict.fromkeys(benchmark for benchmark, _ in self._single))
        printed = {benchmark for benchmark, _, _ in self.lines}
        shown = [benchmark for benchmark in stated if benchmark in ran or benchmark in printed] if ran else stated
        return shown + [benchmark for benchmark in ran if benchmark not in shown]

    @cached_property
    def _groups(self) -> dict[tuple[Any, ...], pd.DataFrame]:
        keys = [Run.BENCHMARK, Run.ROW, Run.TARGET]
        return dict(iter(self.runs[[*keys, *MEASURED]].groupby(keys, sort=False)))

    @cached_property
    def _single(self) -> dict[tuple[Any, ...], pd.DataFrame]:
        """Return one line per run, by benchmark and row."""
        searches = self.runs.drop_duplicates([Run.BENCHMARK, Run.ROW, Run.RUN_ID])
        return dict(iter(searches.groupby([Run.BENCHMARK, Run.ROW], sort=False)))

    def rows(self, benchmark: str) -> list[str]:
        """Return the rows that were run, by kind of method and name; the reference row is the first of its kind."""
        present = [str(row) for name, row in self._single if name == benchmark]
        return sorted(present, key=lambda row: (self.kind(benchmark, row), row.rpartition(":")[2] != REFERENCE, row))

    def kind(self, benchmark: str, row: str) -> str:
        """Return the kind of method of a row that was run."""
        return str(self.searches(benchmark, row)[Run.KIND].iloc[0])

    def shared_weights(self, benchmark: str) -> list[str]:
        """Return the rows of methods that train one supernet."""
        return [row for row in self.rows(benchmark) if self.kind(benchmark, row) == WEIGHT_SHARING]

    def reference(self, benchmark: str) -> str | None:
        """Return the row that the other rows are compared with; None if it was not run."""
        return next((row for row in self.rows(benchmark) if row.rpartition(":")[2] == REFERENCE), None)

    def free(self, benchmark: str, row: str) -> bool:
        """Return whether the finished runs of a row were charged nothing at all: the floor of a random cell."""
        done = self.done(benchmark, row)
        return len(done) > 0 and not done[[Run.QUERIES, Run.SECONDS, Run.EPOCHS]].fillna(0).to_numpy(dtype=float).any()

    def common_budget(self, benchmark: str) -> str:
        """Return the limit that all rows of a benchmark have in common, in words; empty if there is none."""
        parts = self.parts(benchmark)
        budgets = {part.budget for part in parts}
        return budgets.pop() if len(budgets) == 1 and all(part.at_the_limit for part in parts) else ""

    def targets(self, benchmark: str) -> list[str]:
        """Return the judged targets, in the judge's order; without runs or a judge, the targets of the printed numbers."""
        stated = [target for part in self.parts(benchmark) for target in part.judge]
        present = [target for name, _, target in self._groups if name == benchmark]
        known = [target for target in stated if target in present or not present] + present
        return list(dict.fromkeys(known or [target for name, _, target in self.lines if name == benchmark]))

    def untested(self, benchmark: str) -> bool:
        """Return whether the judge of a benchmark knows no test accuracy: proposals are trained from scratch afterwards."""
        runs = self.runs[self.runs[Run.BENCHMARK] == benchmark]
        return bool(runs[Run.TEST].isna().all() and runs[Run.PARAMETERS].notna().any())

    def unchanged(self, row: str) -> str:
        """Return the row without changed settings: ``rsps`` of ``rsps[epochs=9]``. The name of a method means its first row."""
        name = row.partition("[")[0]
        return self.page.first_rows.get(name, name)

    def base(self, row: str) -> str:
        """Return the row that a row changes, without changed settings, or ``""``."""
        return self.page.compared_with.get(self.unchanged(row), "")

    def label(self, row: str) -> str:
        """Return the label of a row, see :attr:`labels`."""
        return self.labels.get(row) or self._named(row)

    def _named(self, row: str) -> str:
        plain, bracket, changes = row.partition("[")
        return self.page.names.get(plain, plain) + bracket + changes

    @cached_property
    def labels(self) -> dict[str, str]:
        """Return the label of every row that was run or has a name; if two rows that were run share a name, with the id."""
        named = self.runs.drop_duplicates(Run.ROW).set_index(Run.ROW)[Run.LABEL].fillna("")
        texts = {str(row): text or self._named(str(row)) for row, text in named.items()}
        counts = Counter(texts.values())
        ran = {row: f"{text} ({row})" if counts[text] > 1 else text for row, text in texts.items()}
        return {**self.page.names, **ran}

    def parts(self, benchmark: str) -> list[Part]:
        """Return the facts of a benchmark by kind of method: kinds with rows on the page, or all kinds if there are no rows."""
        stated = [part for part in self.page.parts if part.benchmark == benchmark]
        kinds = {self.kind(benchmark, row) for row in self.rows(benchmark)}
        return [part for part in stated if part.kind in kinds] or stated

    def of_target(self, name: str, benchmark: str, target: str) -> Any:
        """Return a field of :class:`Part` that is stated per target; None if it is not stated."""
        return next((values[target] for part in self.parts(benchmark) if target in (values := getattr(part, name))), None)

    def optima(self, benchmark: str) -> dict[str, float]:
        """Return the largest accuracy of the stated set, in percent, by target where it is known."""
        best = {target: self.of_target("optimum", benchmark, target) for target in self.targets(benchmark)}
        return {target: float(value) for target, value in best.items() if value is not None and np.isfinite(value)}

    def settings(self, benchmark: str, row: str) -> dict[str, object]:
        """Return the hyperparameters of a row."""
        parts = self.parts(benchmark)
        return next((dict(part.settings[row]) for part in parts if row in part.settings), {})

    def skipped(self, benchmark: str) -> dict[str, str]:
        """Return the rows of the protocol, and rows that a paper prints, without a run on a benchmark, with the reason."""
        ran = self.rows(benchmark)
        stated = [part.skipped for part in self.page.parts if part.benchmark == benchmark]
        reasons = {row: why for skipped in stated for row, why in skipped.items() if row not in ran}
        printed = dict.fromkeys(row for name, row, target in self.lines if name == benchmark)
        known = self.page.known_rows or printed
        return {row: NOT_YET if row in known else NO_METHOD for row in printed if row not in ran} | reasons

    def printed(self, benchmark: str) -> list[str]:
        """Return the rows without a run whose test accuracy a paper prints, by name."""
        targets = self.targets(benchmark)
        skipped = self.skipped(benchmark)
        return sorted(row for row in skipped if any((benchmark, row, target) in self.lines for target in targets))

    def searches(self, benchmark: str, row: str) -> pd.DataFrame:
        """Return one line per run of a row, failed runs included."""
        return self._single.get((benchmark, row), self.runs.iloc[:0])

    def done(self, benchmark: str, row: str) -> pd.DataFrame:
        """Return one line per finished run of a row."""
        searches = self.searches(benchmark, row)
        return searches[searches[Run.STATUS] == DONE]

    def cells(self, benchmark: str, row: str) -> dict[int, tuple[str, tuple[Cell, ...]]]:
        """Return by world, ascending, the proposal of each finished run that can be drawn: its spelling and its cells."""
        space = self.evidence.spaces.get(benchmark)
        done = self.done(benchmark, row).sort_values(Run.WORLD)
        pairs = zip(done[Run.WORLD], done[Run.ARCH], strict=True)
        return {int(world): (text, cells) for world, text in pairs if space and (cells := space.drawn.get(text))}

    def judged(self, benchmark: str, row: str, target: str) -> pd.DataFrame:
        """Return the finished runs of a row on one target; without a test result if the table lacks the proposal."""
        frame = self._groups.get((benchmark, row, target), self.runs.iloc[:0])
        return frame[frame[Run.STATUS] == DONE]

    def finished(self, benchmark: str, row: str, target: str) -> pd.DataFrame:
        """Return the finished runs of a row on one target; none if the table lacks any of their proposals.

        Proposals are not missing at random, so the mean of the remaining runs would be biased.
        """
        frame = self.judged(benchmark, row, target)
        return frame if frame[Run.TEST].notna().all() else frame.iloc[:0]

    def test(self, benchmark: str, row: str, target: str) -> np.ndarray:
        """Return the test accuracies of the finished runs, in percent."""
        return self.finished(benchmark, row, target)[Run.TEST].to_numpy(dtype=float)

    def guessing(self, benchmark: str, row: str, target: str) -> int:
        """Return the number of finished runs whose proposal is at chance."""
        return int((self.test(benchmark, row, target) <= AT_CHANCE * 100 / CLASSES[target]).sum()) if target in CLASSES else 0

    def skewed(self, benchmark: str, row: str, target: str) -> bool:
        """Return whether the mean of a row alone would mislead: a run is at chance, or the median is elsewhere."""
        tests = self.test(benchmark, row, target)
        return bool(tests.size and (abs(np.median(tests) - tests.mean()) > APART or self.guessing(benchmark, row, target)))

    def middle(self, benchmark: str, rows: Iterable[str], target: str) -> tuple[str, bool]:
        """Return what a panel draws of the runs of each row, ``mean`` or ``median``, and whether it is the median."""
        robust = any(self.skewed(benchmark, row, target) for row in rows)
        return "median" if robust else "mean", robust

    def by_world(self, benchmark: str, row: str, target: str) -> pd.Series:
        """Return the test accuracy by world seed; the mean if a world has several method seeds."""
        return self.finished(benchmark, row, target).groupby(Run.WORLD)[Run.TEST].mean()

    def requested(self, benchmark: str, row: str) -> int:
        """Return the number of searches that the command requests; without such a number, the number in the store."""
        planned = (part.planned[row] for part in self.parts(benchmark) if row in part.planned)
        return next(planned, len(self.searches(benchmark, row)))

    @cached_property
    def incomparable(self) -> str:
        """Return why nothing here may be compared with a paper, or ``""``."""
        if self.page.modified:
            return f"the protocol was modified: {self.page.modified}"
        return "" if self.page.comparable else "the protocol is not the paper’s"

    def obstacle(self, benchmark: str, row: str) -> str:
        """Return why a row's results on a benchmark may not be compared with a paper, or ``""``."""
        images = next((part.images[row] for part in self.parts(benchmark) if row in part.images), "")
        return self.incomparable or other_images(images)

    def verdicts(self, benchmark: str, row: str) -> dict[str, Verdict]:
        """Return the verdict per target that has a published number."""
        return self._verdicts[benchmark, row]

    @cached_property
    def _verdicts(self) -> dict[tuple[str, str], dict[str, Verdict]]:
        table: dict[tuple[str, str], dict[str, Verdict]] = {}
        for benchmark in self.benchmarks:
            skipped = self.skipped(benchmark)
            for row in [*self.rows(benchmark), *self.printed(benchmark)]:
                verdicts = table.setdefault((benchmark, row), {})
                for target in self.targets(benchmark):
                    line = self.lines.get((benchmark, row, target))
                    if line is not None:
                        values = self.test(benchmark, row, target)
                        reason = self.obstacle(benchmark, row) if values.size else skipped.get(row, "")
                        verdicts[target] = judge_target(values, line, margin_of(benchmark, target), reason)
        return table

    def row_verdict(self, benchmark: str, row: str) -> Verdict | None:
        """Return the verdict over a row's targets; None if no paper prints the row."""
        verdicts = {short_name(target): verdict for target, verdict in self.verdicts(benchmark, row).items()}
        return judge_row(verdicts) if verdicts else None

    def compared(self, benchmark: str) -> bool:
        """Return whether any row of a benchmark has a published number."""
        return any(key[0] == benchmark and key[2] in self.targets(benchmark) for key in self.lines)

    def failures(self) -> Iterator[tuple[str, str, str, int, str]]:
        """Yield (benchmark, row, status, count, last line of the first error) of the runs that did not finish."""
        for (benchmark, row), searches in self._single.items():
            for status, group in searches[searches[Run.STATUS] != DONE].groupby(Run.STATUS, sort=False):
                texts = group[Run.ERROR].dropna().str.strip()
                first = next((text.splitlines()[-1] for text in texts if text), "no message")
                yield benchmark, row, str(status), len(group), first
