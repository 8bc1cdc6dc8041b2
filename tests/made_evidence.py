"""Made-up evidence for reports: no store, no search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import published
from harness.analysis.evidence import DONE, RUNS, TRAININGS, Evidence, Page, Part, Run, Space, Training, no_trainings
from harness.analysis.study import Study
from harness.analysis.traces import Trace, Traces

Searches = Mapping[tuple[str, str], Iterable[Trace]]
"""By benchmark and row."""


def run(benchmark: str, row: str, world: int, target: str, test: float = np.nan, **columns: Any) -> dict[str, Any]:
    """Return a line of the runs; ``columns`` replace what is made up."""
    line: dict[str, Any] = dict.fromkeys(RUNS, np.nan)
    line |= {Run.RUN_ID: f"{benchmark}/{row}/{world}", Run.PROTOCOL: "p", Run.BENCHMARK: benchmark, Run.ROW: row}
    line |= {Run.METHOD: row.partition(":")[0], Run.KIND: "multi-trial", Run.DEVICE: "cpu", Run.LABEL: "", Run.WORLD: world}
    line |= {Run.STATUS: DONE, Run.ERROR: "", Run.ARCH: "x", Run.QUERIES: 100, Run.SECONDS: 40.0, Run.EPOCHS: 8.0}
    line |= {Run.WALL_SECONDS: 1.0, Run.TARGET: target, Run.TEST: test, Run.VALID: test - 3, Run.RANK: 7.0}
    return line | columns


def frame(lines: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return runs as a table."""
    return pd.DataFrame(list(lines), columns=list(RUNS))


def training(world: int = 0, seed: int = 0, accuracy: float = 97.0, **columns: Any) -> dict[str, Any]:
    """Return a line of the trainings; ``columns`` replace what is made up."""
    line: dict[str, Any] = dict.fromkeys(TRAININGS, "")
    line |= {Training.STAGE: "each", Training.BENCHMARK: "darts/cifar10", Training.ROW: "pc_darts", Training.WORLD: world}
    line |= {Training.ARCH: "x", Training.SEED: seed, Training.RUN_ID: f"{world}{seed}", Training.STATUS: DONE}
    line |= {Training.RECIPE: "pc_darts", Training.EPOCHS: 600, Training.DATA: "cifar10", Training.SPLIT: "test"}
    line |= {Training.IMAGES: "50,000 + 10,000", Training.PROBED: False, Training.ACCURACY: accuracy, Training.BEST: 98.0}
    line |= {Training.LOSS: np.nan, Training.TOP5: np.nan, Training.METRIC: "error"}
    line |= {Training.PERPLEXITY: np.nan, Training.VALID_PERPLEXITY: np.nan, Training.SET: 1}
    line |= {Training.PARAMETERS: 3.63e6, Training.MACS: 556.7e6, Training.SECONDS: 1.0, Training.DEVICE: "cuda"}
    return line | columns


def evidence(
    lines: Iterable[Mapping[str, Any]],
    searches: Searches | None = None,
    *parts: Part,
    trainings: pd.DataFrame | None = None,
    spaces: Mapping[str, Space] | None = None,
    **page: Any,
) -> Evidence:
    """Return the evidence of some runs; ``page`` holds fields of :class:`harness.analysis.evidence.Page`."""
    facts = Page(**{"protocol": "p", "parts": parts, **page})
    return Evidence(
        facts, frame(lines), Traces(searches), no_trainings() if trainings is None else trainings, spaces=spaces or {}
    )


def study(lines: Iterable[Mapping[str, Any]], *parts: Part, **more: Any) -> Study:
    """Return the study of some runs with the papers' numbers; see :func:`evidence`."""
    return Study(evidence(lines, None, *parts, **more), published.load())
