"""Every number that the papers print, compared with ours, or with the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.analysis import cell_errors
from harness.analysis import published as papers
from harness.analysis.evidence import NOT_YET
from harness.analysis.measures import MEASURES, Of, chosen, most
from harness.analysis.published import Line
from harness.analysis.study import Study
from harness.analysis.verdict import NOT_MEASURED, Verdict, judge_target, margin_of

REPEATED, ANOTHER_MACHINE = "repetition", "measured on another machine"


class Way(NamedTuple):
    """How a line can be measured for a row."""

    obstacle: str
    """What is missing on this machine, ``needs a GPU``; empty if nothing is."""
    arguments: str
    """Arguments of ``python -m harness.run`` that measure it."""


WayTo = Callable[[str, str, Sequence[str], str, int], Way]
"""Return how some sets of searches of a protocol's rows are run on a benchmark, and their cells trained on a data set if it is
not empty."""


@dataclass(frozen=True)
class Comparison:
    """A printed number and a row of ours, or a printed number that no row corresponds to."""

    line: Line
    row: str
    values: np.ndarray
    """Ours, one per run, in the unit of the line."""
    verdict: Verdict
    way: Way | None = None
    study: Study | None = None
    """The study that measured it."""

    @property
    def kind(self) -> str:
        """Return the verdict on a measured number, or in a few words why it is not measured."""
        return self.verdict.name if len(self.values) else self.verdict.reason.partition(":")[0]

    @property
    def metric(self) -> Metric:
        """Return the metric of the line; in words only if nothing reads it."""
        name = self.line["metric"]
        words = name.replace("_pct", " %").replace("_", " ").replace("hparam:", "")
        return METRICS.get(name, Metric(words, ""))

    @property
    def measure(self) -> str:
        """Return the metric in words, with the unit of a cost."""
        return f"{self.metric.words}, {self.line['cost_unit']}" if self.line["metric"] == "search_cost" else self.metric.words


class Metric(NamedTuple):
    """What a metric of the papers is in words, and the measure that reads ours."""

    words: str
    measure: str
    """A name in :data:`harness.analysis.measures.MEASURES`."""
    judged: bool = False
    """True if a margin may be fixed for it."""
    digits: int = 2
    set_number: int = 1
    """Of the set of searches among which the paper chose its cell."""


ERROR = "test error of the chosen cell"
METRICS = {
    "test_accuracy_pct": Metric("test accuracy %", "test accuracy of every run", judged=True),
    "valid_accuracy_pct": Metric("validation accuracy %", "validation accuracy of every run"),
    "test_error_pct": Metric("test error %", ERROR, judged=True),
    "test_error_pct[seed set 1]": Metric("test error %", ERROR, judged=True),
    "test_error_pct[seed set 2]": Metric("test error %", ERROR, judged=True, set_number=2),
    "test_error_pct[seed set 3]": Metric("test error %", ERROR, judged=True, set_number=3),
    "test_error_pct[single run]": Metric("test error of the search's network %", "test error of the delivered network"),
    "top1_error_pct": Metric("top-1 error %", ERROR, judged=True),
    "top5_error_pct": Metric("top-5 error %", "top-5 error of the chosen cell"),
    "test_perplexity": Metric("test perplexity", "test perplexity of the chosen cell", judged=True),
    "valid_perplexity": Metric("validation perplexity", "validation perplexity of the chosen cell"),
    "test_error_pct_best": Metric("smallest test error %", "smallest test error of the chosen cell"),
    "multiply_add_M": Metric("multiply-adds M", "multiply-adds", digits=0),
    "params_M": Metric("parameters M", "parameters"),
    "search_cost": Metric("search cost", "", digits=3),
    "hamming_distance": Metric("Hamming distance", "Hamming distance", digits=0),
    "operations": Metric("operations of the cell", "operations", digits=0),
    "kendall_tau": Metric("Kendall's τ", "Kendall correlation"),
    "kendall_p": Metric("p of Kendall's τ", "p of Kendall's correlation"),
    "supernet_valid_accuracy_pct[before discretisation]": Metric("supernet before discretisation %", "before"),
    "supernet_valid_accuracy_pct[after discretisation]": Metric("supernet after discretisation %", "after"),
    "search_epochs_until_termination": Metric("epochs of the search", "epoch in which all nodes are settled", digits=0),
}
"""The metrics of lines that can be measured. The measure of a search cost has the unit of the line."""


def searched(line: Mapping[str, Any]) -> str:
    """Return the data set that the searches behind a line see."""
    return str(line["benchmark"]).partition("/")[2]


def read(study: Study, line: Line, row: str) -> np.ndarray:
    """Return our values for a line and a row.

    A distance is that from the row without the changed setting; of random cells, from every row that has changed ones.
    """
    metric = METRICS[line["metric"]]
    name = metric.measure or ("GPU-days" if line["cost_unit"].startswith("GPU-days") else "GPU seconds")
    several = [row, *study.rows(line["benchmark"])]
    base = next((study.unchanged(other) for other in several if "[" in other), "")
    return MEASURES[name](Of(study, line["benchmark"], row, base, line["target"], metric.set_number)).to_numpy(dtype=float)


def numbers(published: pd.DataFrame) -> Iterator[Line]:
    """Yield every line, and each of the parameters and search costs that are printed with lines of our rows.

    A cost is that of a search, which knows no recipe and no data set but its own.
    """
    lines = papers.records(published)
    seen = {(line["paper"], line["table"], line["label"], line["metric"], line["mean"]) for line in lines}
    for line in lines:
        yield line
        for metric in ("params_M", "search_cost"):
            key = (line["paper"], line["table"], line["label"], metric, line[metric])
            if (line["row"] or line["unmapped"].startswith(REPEATED)) and isfinite(line[metric]) and key not in seen:
                seen.add(key)
                number = line | {"metric": metric, "mean": line[metric], "std": nan, "n": nan, "n_source": "", "record": ""}
                yield number | ({"target": searched(line), "recipe": ""} if metric == "search_cost" else {})


def compare(studies: Sequence[Study], published: pd.DataFrame, way: WayTo = lambda *_: Way("", "")) -> list[Comparison]:
    """Return a comparison for every printed number and each of its rows; see :func:`harness.analysis.measures.most`.

    Args:
        studies: any number, of any protocols.
        way: how a line can be measured for a row.
    """
    results = []
    printed: dict[tuple[Any, ...], str] = {}
    for line in numbers(published):
        for row in line["row"].split(";"):
            key = (line["paper"], row, line["benchmark"], line["target"], line["metric"], line["mean"])
            repeated = key in printed and not line["metric"].startswith("hparam:")
            reason = f"{REPEATED}: of {papers.place(printed[key])}" if repeated else line["unmapped"] or line["unmeasured"]
            printed.setdefault(key, line["table"])
            under = [] if reason else [study for study in studies if study.page.protocol == line["protocol"]]
            study, values = most((study, read(study, line, row)) for study in under)
            needed = line["target"] if line["recipe"] else "", METRICS.get(line["metric"], Metric("", "")).set_number
            how = None if reason else way(line["protocol"], line["benchmark"], [row], *needed)
            verdict = Verdict(NOT_MEASURED, reason or (how.obstacle if how else "") or NOT_YET)
            if study is not None:
                verdict = _judge(study, line, row, values)
            results.append(Comparison(line, row, values, verdict, how, study))
    return results


def _judge(study: Study, line: Line, row: str, values: np.ndarray) -> Verdict:
    metric = METRICS[line["metric"]]
    margin = margin_of(line["benchmark"], line["target"]) if metric.judged else None
    if metric.measure.endswith("of the chosen cell"):
        trained = chosen(Of(study, line["benchmark"], row, target=line["target"], set_number=metric.set_number))
        return cell_errors.judge(study, row, trained, line, values, margin)
    reason = ANOTHER_MACHINE + "; ours is of one search" * line["cost_unit"].endswith("searches")
    if line["metric"] != "search_cost":
        reason = study.obstacle(line["benchmark"], row)
    return judge_target(values, line, margin, reason)
