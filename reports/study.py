"""The runs of one protocol, arranged for reporting: rows, targets, values, and the verdict of every row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from reports import published as papers
from reports.formats import MISSING, short_name, target_name
from reports.verdict import MARGINS, NOT_MEASURED, Verdict, judge_row, judge_target

REFERENCE = "random_search"
"""The row that others are compared with: a method of this name, or a method's variant."""


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

    @property
    def stated_set(self) -> str:
        """The set that regret and rank refer to."""
        return str(self.facts.get("stated_set") or "the stated set")

    @cached_property
    def benchmarks(self) -> list[str]:
        """Benchmarks in the order of the runs."""
        return list(dict.fromkeys(name for name, _ in self._single))

    @cached_property
    def _groups(self) -> dict[tuple[Any, ...], pd.DataFrame]:
        return dict(iter(self.runs.groupby(["benchmark", "row", "target"], sort=False)))

    @cached_property
    def _single(self) -> dict[tuple[Any, ...], pd.DataFrame]:
        once = self.runs.drop_duplicates(["benchmark", "row", "run_id"])
        return dict(iter(once.groupby(["benchmark", "row"], sort=False)))

    def rows(self, benchmark: str) -> list[str]:
        """Rows that were run, in the order planned."""
        present = [row for name, row in self._single if name == benchmark]
        planned = [row for row in self.facts.get("planned", {}) if row in present]
        return planned + [row for row in present if row not in planned]

    def shared_weights(self, benchmark: str) -> list[str]:
        """Rows of methods that train one supernet."""
        if "kind" not in self.runs:
            return []
        return [row for row in self.rows(benchmark) if (self.searches(benchmark, row)["kind"] == "one-shot").any()]

    def reference(self, benchmark: str) -> str | None:
        """The row that the others are compared with, None where it was not run."""
        return next((row for row in self.rows(benchmark) if row.rpartition(":")[2] == REFERENCE), None)

    @property
    def skipped(self) -> dict[str, str]:
        """Rows that cannot be measured here, or that a paper prints and nobody ran, with the reason."""
        return {**self._unmeasured, **(self.facts.get("skipped") or {})}

    @cached_property
    def _unmeasured(self) -> dict[str, str]:
        known = set(self.facts.get("known_rows") or [])
        printed = {row for benchmark, row, target in self.lines if target in self.targets(benchmark)} if known else set()
        missing = sorted(printed - {row for _, row in self._single})
        return {row: "not run yet" if row in known else "this version has no such method" for row in missing}

    def targets(self, benchmark: str) -> list[str]:
        """Targets judged on one benchmark, in the judge's order."""
        present = list(dict.fromkeys(target for name, _, target in self._groups if name == benchmark))
        known = [target for target in self.facts.get("judge", {}) if target in present]
        return known + [target for target in present if target not in known]

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

    def searches(self, benchmark: str, row: str) -> pd.DataFrame:
        """One line per run of a row, failed runs included."""
        return self._single.get((benchmark, row), self.runs.iloc[:0])

    def judged(self, benchmark: str, row: str, target: str) -> pd.DataFrame:
        """The finished runs of a row on one target; no test result where the table does not hold what was proposed."""
        frame = self._groups.get((benchmark, row, target), self.runs.iloc[:0])
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
        """Finished runs, over the planned number where some are missing."""
        done = int((self.searches(benchmark, row)["status"] == "done").sum())
        planned = int(self.facts.get("planned", {}).get(row, max(done, len(self.searches(benchmark, row)))))
        return str(done) if done >= planned else f"{done}/{planned}"

    def of_target(self, name: str, benchmark: str, target: str) -> Any:
        """A fact that is stated per target, and per benchmark where these differ in it; None where it is not stated."""
        facts = self.facts.get(name)
        return facts.get(f"{target} ({benchmark})", facts.get(target)) if isinstance(facts, dict) else facts

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
            for row in [*self.rows(benchmark), *self.skipped]:
                found = table.setdefault((benchmark, row), {})
                for target in self.targets(benchmark):
                    line = self.lines.get((benchmark, row, target))
                    if line is None or target in found:
                        continue
                    values = self.test(benchmark, row, target)
                    reason = self.incomparable if values.size else self.skipped.get(row, "")
                    found[target] = judge_target(values, line, self.margin(target), reason)
        return table

    def row_verdict(self, benchmark: str, row: str) -> Verdict | None:
        """The verdict over a row's targets; None where no paper prints the row."""
        found = {short_name(target): verdict for target, verdict in self.verdicts(benchmark, row).items()}
        if found:
            return judge_row(found)
        return Verdict(NOT_MEASURED, self.skipped[row]) if row in self.skipped else None

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
        once = self.runs.drop_duplicates(["benchmark", "row", "run_id"])
        bad = once[once["status"] != "done"]
        for key, group in bad.groupby(["benchmark", "row", "status"], sort=False):
            benchmark, row, status = map(str, key)
            texts = [str(text) for text in group["error"] if isinstance(text, str) and text.strip()]
            yield benchmark, row, status, len(group), texts[0].strip().splitlines()[-1] if texts else "no message"
