"""The runs of one protocol, arranged for reporting: rows, targets, values, and the verdict of every row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from reports import published as papers
from reports.facts import NOT_YET, Part
from reports.formats import MISSING, short_name, target_name
from reports.verdict import MARGINS, Verdict, judge_row, judge_target

REFERENCE = "random_search"
"""The row that others are compared with: a method of this name, or a method's variant."""

MEASURED = ("world", "status", "test", "valid", "regret", "rank")
"""Columns of the runs that differ between targets, and what tells runs apart."""

NO_METHOD = "this version has no such method"


@dataclass(frozen=True)
class Study:
    """Runs (one line per run and target), the facts of the protocol, and the published lines; accuracies in percent."""

    runs: pd.DataFrame
    facts: dict[str, Any]
    published: pd.DataFrame

    @cached_property
    def lines(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """Published test accuracies by (benchmark, row, target)."""
        return papers.lines_for(self.published, self.facts.get("protocol", ""))

    @cached_property
    def published_valid(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """Published validation accuracies by (benchmark, row, target)."""
        return papers.lines_for(self.published, self.facts.get("protocol", ""), "valid_accuracy_pct")

    @cached_property
    def printed_optimum(self) -> dict[str, float]:
        """The papers' optimum of the space by target, in percent."""
        return papers.optimum(self.published, self.facts.get("protocol", ""))

    # -- what there is ----------------------------------------------------------------------------------------------

    @cached_property
    def benchmarks(self) -> list[str]:
        """Benchmarks with runs or with printed numbers, in the protocol's order; all of them where there are no runs."""
        stated = list(dict.fromkeys(part.benchmark for part in self._parts))
        ran = list(dict.fromkeys(name for name, _ in self._single))
        printed = {benchmark for benchmark, _, _ in self.lines}
        shown = [one for one in stated if one in ran or one in printed] if ran else stated
        return shown + [one for one in ran if one not in shown]

    @property
    def _parts(self) -> list[Part]:
        return list(self.facts.get("parts") or [])

    @cached_property
    def _groups(self) -> dict[tuple[Any, ...], pd.DataFrame]:
        keys = ["benchmark", "row", "target"]
        return dict(iter(self.runs[[*keys, *MEASURED]].groupby(keys, sort=False)))

    @cached_property
    def _single(self) -> dict[tuple[Any, ...], pd.DataFrame]:
        return dict(iter(self._once.groupby(["benchmark", "row"], sort=False)))

    @cached_property
    def _once(self) -> pd.DataFrame:
        """One line per run."""
        return self.runs.drop_duplicates(["benchmark", "row", "run_id"])

    @cached_property
    def _no_runs(self) -> pd.DataFrame:
        return self.runs.iloc[:0]

    def rows(self, benchmark: str) -> list[str]:
        """Rows that were run, by kind of method and name, the row that others are compared with first of its kind."""
        present = [str(row) for name, row in self._single if name == benchmark]
        return sorted(present, key=lambda row: (self._kind(benchmark, row), row.rpartition(":")[2] != REFERENCE, row))

    def _kind(self, benchmark: str, row: str) -> str:
        frame = self.searches(benchmark, row)
        return str(frame["kind"].iloc[0]) if "kind" in frame else ""

    def shared_weights(self, benchmark: str) -> list[str]:
        """Rows of methods that train one supernet."""
        return [row for row in self.rows(benchmark) if self._kind(benchmark, row) == "one-shot"]

    def reference(self, benchmark: str) -> str | None:
        """The row that the others are compared with, None where it was not run."""
        return next((row for row in self.rows(benchmark) if row.rpartition(":")[2] == REFERENCE), None)

    def targets(self, benchmark: str) -> list[str]:
        """Targets judged on one benchmark, in the judge's order; without runs or a judge, those of the printed numbers."""
        stated = [target for part in self.parts(benchmark) for target in part.judge]
        present = [target for name, _, target in self._groups if name == benchmark]
        known = [target for target in stated if target in present or not present] + present
        return list(dict.fromkeys(known or [target for name, _, target in self.lines if name == benchmark]))

    def label(self, row: str) -> str:
        """The row's pretty name, with its id where two rows share a name."""
        text = self._labels.get(row, row)
        return f"{text} ({row})" if list(self._labels.values()).count(text) > 1 else text

    @cached_property
    def _labels(self) -> dict[str, str]:
        named = self.runs.drop_duplicates("row").set_index("row")["label"]
        return {
            row: text if isinstance(text, str) and text else row for row, text in zip(map(str, named.index), named, strict=True)
        }

    # -- what is so of a benchmark ----------------------------------------------------------------------------------

    def parts(self, benchmark: str) -> list[Part]:
        """What is so of a benchmark, by kind of method: of the kinds with rows on the page, of all where there are none."""
        stated = [part for part in self._parts if part.benchmark == benchmark]
        kinds = {self._kind(benchmark, row) for row in self.rows(benchmark)}
        return [part for part in stated if part.kind in kinds] or stated

    def fact(self, benchmark: str, name: str) -> str:
        """Return a field of :class:`Part` in words: once where all kinds of method share it, else kind by kind."""
        texts = {part.kind: str(text) for part in self.parts(benchmark) if (text := getattr(part, name))}
        if len(set(texts.values())) <= 1:
            return next(iter(texts.values()), "")
        return "; ".join(f"{kind}: {text}" for kind, text in texts.items())

    def of_target(self, name: str, benchmark: str, target: str) -> Any:
        """Return a field of :class:`Part` that is stated per target; None where it is not stated."""
        return next((values[target] for part in self.parts(benchmark) if target in (values := getattr(part, name))), None)

    def stated_set(self, benchmark: str) -> str:
        """The set that regret and rank refer to."""
        return self.fact(benchmark, "stated_set") or "the stated set"

    def settings(self, benchmark: str, row: str) -> dict[str, Any]:
        """Hyperparameters of a row."""
        parts = self.parts(benchmark)
        return next((dict(part.settings[row]) for part in parts if row in part.settings), {})

    def skipped(self, benchmark: str) -> dict[str, str]:
        """Rows of the protocol, or that a paper prints, without a run on a benchmark, with the reason."""
        ran = self.rows(benchmark)
        stated = [part.skipped for part in self._parts if part.benchmark == benchmark]
        reasons = {row: why for skipped in stated for row, why in skipped.items() if row not in ran}
        printed = dict.fromkeys(row for name, row, target in self.lines if name == benchmark)
        known = self.facts.get("known_rows") or printed
        return {row: NOT_YET if row in known else NO_METHOD for row in printed if row not in ran} | reasons

    def printed(self, benchmark: str) -> list[str]:
        """Rows without a run whose test accuracy a paper prints, by name."""
        targets = self.targets(benchmark)
        return sorted(row for row in self.skipped(benchmark) if any((benchmark, row, one) in self.lines for one in targets))

    # -- runs of one row --------------------------------------------------------------------------------------------

    def searches(self, benchmark: str, row: str) -> pd.DataFrame:
        """One line per run of a row, failed runs included."""
        return self._single.get((benchmark, row), self._no_runs)

    def judged(self, benchmark: str, row: str, target: str) -> pd.DataFrame:
        """The finished runs of a row on one target; no test result where the table does not hold what was proposed."""
        frame = self._groups.get((benchmark, row, target), self._no_runs)
        return frame[frame["status"] == "done"]

    def coverage(self, benchmark: str, row: str, target: str) -> tuple[int, int]:
        """Finished runs of a row whose proposal the table holds, and all."""
        frame = self.judged(benchmark, row, target)
        return int(frame["test"].notna().sum()), len(frame)

    def finished(self, benchmark: str, row: str, target: str) -> pd.DataFrame:
        """The finished runs of a row on one target; none where the table lacks what some of them proposed.

        What it lacks is not missing at random, so nothing is said of the others alone.
        """
        frame = self.judged(benchmark, row, target)
        return frame if frame["test"].notna().all() else frame.iloc[:0]

    def test(self, benchmark: str, row: str, target: str) -> np.ndarray:
        """Test accuracies of the finished runs, in percent."""
        return self.finished(benchmark, row, target)["test"].to_numpy(dtype=float)

    def by_world(self, benchmark: str, row: str, target: str) -> pd.Series:
        """Test accuracy by world seed; the mean where a world has several method seeds."""
        return self.finished(benchmark, row, target).groupby("world")["test"].mean()

    def seeds(self, benchmark: str, row: str) -> str:
        """Finished runs; over the number asked for where some are missing, and with it where the store has more."""
        searches = self.searches(benchmark, row)
        done = int((searches["status"] == "done").sum())
        asked = next((part.planned[row] for part in self.parts(benchmark) if row in part.planned), len(searches))
        if done > asked:
            return f"{done} ({asked} asked)"
        return str(done) if done == asked else f"{done}/{max(asked, len(searches))}"

    # -- beside the papers ------------------------------------------------------------------------------------------

    def margin(self, target: str) -> float | None:
        """δ in points, None where none was fixed."""
        return {**MARGINS, **(self.facts.get("delta") or {})}.get(target)

    @cached_property
    def incomparable(self) -> str:
        """Why nothing in this report may be compared with a paper, or ``""``."""
        modified = self.facts.get("modified") or ""
        if modified:
            return f"the protocol was modified: {modified}"
        return "" if self.facts.get("comparable", True) else "the protocol is not the paper’s"

    def verdicts(self, benchmark: str, row: str) -> dict[str, Verdict]:
        """The verdict per target that has a published number."""
        return self._verdicts[benchmark, row]

    @cached_property
    def _verdicts(self) -> dict[tuple[str, str], dict[str, Verdict]]:
        table: dict[tuple[str, str], dict[str, Verdict]] = {}
        for benchmark in self.benchmarks:
            skipped = self.skipped(benchmark)
            for row in [*self.rows(benchmark), *self.printed(benchmark)]:
                found = table.setdefault((benchmark, row), {})
                for target in self.targets(benchmark):
                    line = self.lines.get((benchmark, row, target))
                    if line is not None:
                        values = self.test(benchmark, row, target)
                        reason = self.incomparable if values.size else skipped.get(row, "")
                        found[target] = judge_target(values, line, self.margin(target), reason)
        return table

    def row_verdict(self, benchmark: str, row: str) -> Verdict | None:
        """The verdict over a row's targets; None where no paper prints the row."""
        found = {short_name(target): verdict for target, verdict in self.verdicts(benchmark, row).items()}
        return judge_row(found) if found else None

    def compared(self, benchmark: str) -> bool:
        """Tell whether any row of a benchmark has a published number."""
        return any(key[0] == benchmark and key[2] in self.targets(benchmark) for key in self.lines)

    def source(self, benchmark: str, row: str) -> str:
        """Where a row's numbers are printed; once where all targets share it."""
        named = {t: papers.source(line) for t in self.targets(benchmark) if (line := self.lines.get((benchmark, row, t)))}
        if len(set(named.values())) <= 1:
            return next(iter(named.values()), MISSING)
        return "; ".join(f"{target_name(target)}: {text}" for target, text in named.items())

    def failures(self) -> Iterator[tuple[str, str, str, int, str]]:
        """Yield (benchmark, row, status, count, last line of the first error) of the runs that did not finish."""
        bad = self._once[self._once["status"] != "done"]
        for key, group in bad.groupby(["benchmark", "row", "status"], sort=False):
            benchmark, row, status = map(str, key)
            texts = [str(text) for text in group["error"] if isinstance(text, str) and text.strip()]
            yield benchmark, row, status, len(group), texts[0].strip().splitlines()[-1] if texts else "no message"
