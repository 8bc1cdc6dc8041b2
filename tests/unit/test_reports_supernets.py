"""A row whose supernet guessed at the end of a search is marked, and reports say what supernets had learned."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.analysis import published
from harness.analysis.evidence import Evidence, Part
from harness.analysis.study import Study
from harness.analysis.supernets import at_chance
from harness.analysis.traces import Trace, Traces
from reports import about, ranked, report, supernets, trainings
from reports.layout import Bullets
from tests import made_evidence

BENCHMARK = "nb201/cifar10"


def ending(world: int, accuracy: float, classes: int = 10, **more: list[float]) -> Trace:
    """Return a search of two epochs whose supernet ends with this accuracy."""
    nan = float("nan")
    log = {"supernet_accuracy": [50.0, 60.0, nan], "final_supernet_accuracy": [nan, nan, accuracy]}
    log["chance"] = [nan, nan, 100 / classes]
    return Trace(world, [1.0], {"cifar10": [90.0]}, end=5.0, log={**log, **more})


def evidence(searches: dict[str, list[Trace]], benchmark: str = BENCHMARK, **columns: Any) -> Evidence:
    lines = [
        made_evidence.run(benchmark, row, trace.world, "cifar10", **{"test": 90.0, "kind": "one-shot", **columns})
        for row, traces in searches.items()
        for trace in traces
    ]
    part = Part(benchmark, "one-shot", judge={"cifar10": "ori-test"})
    made = made_evidence.evidence(lines, None, part)
    return dataclasses.replace(made, traces=Traces({(benchmark, row): traces for row, traces in searches.items()}))


def study(searches: dict[str, list[Trace]], **more: Any) -> Study:
    return Study(evidence(searches, **more), published.load())


def test_a_supernet_at_chance_is_counted_and_its_row_is_marked() -> None:
    known = study(
        {
            "dead": [ending(0, 9.0), ending(1, 15.0), ending(2, 93.0)],
            "alive": [ending(world, 80.0) for world in range(3)],
        }
    )
    table = supernets.ends(known, known.evidence.traces, BENCHMARK)
    assert table is not None
    assert table.rows == [
        ["alive", "3", "80.00 ± 0.00", "10.00", "0 of 3"],
        ["dead", "3", "39.00 ± 38.26", "10.00", "2 of 3"],
    ]
    labels = [row[0] for row in ranked.results(known, BENCHMARK).rows]
    assert labels[:2] == ["alive", "dead (supernet at chance: 2 of 3)"]


@pytest.mark.parametrize(("accuracy", "classes", "dead"), [(15.0, 10, 1), (15.1, 10, 0), (1.5, 100, 1), (1.6, 100, 0)])
def test_a_supernet_is_at_chance_up_to_one_and_a_half_times_guessing(accuracy: float, classes: int, dead: int) -> None:
    known = study({"row": [ending(0, accuracy, classes)]})
    assert at_chance(known.evidence.traces, BENCHMARK, "row") == dead


def test_a_task_that_says_what_is_at_chance_is_believed() -> None:
    nan = float("nan")
    text = [ending(world, 16.0, at_chance=[nan, nan, limit]) for world, limit in enumerate((11.1, 16.1))]
    assert at_chance(study({"row": text}).evidence.traces, BENCHMARK, "row") == 1


@pytest.mark.usefixtures("no_figures")
def test_stores_without_the_measurement_still_render(tmp_path: Path) -> None:
    old = Trace(0, [1.0], {"cifar10": [90.0]}, log={"supernet_accuracy": [9.0]})
    cut = ending(1, float("nan"))  # its budget ended it before its last epoch
    known = study({"old": [old], "cut": [cut]})
    assert [row[0] for row in ranked.results(known, BENCHMARK).rows][:2] == ["cut", "old"]
    both = study({"old": [old], "new": [ending(0, 70.0)]})
    table = supernets.ends(both, both.evidence.traces, BENCHMARK)
    assert table is not None and table.rows[1] == ["old", "0", "–", "–", "–"]
    assert supernets.ends(study({"old": [old]}), Traces({(BENCHMARK, "old"): [old]}), BENCHMARK) is None
    report.write(tmp_path, evidence({"old": [old], "dead": [ending(0, 10.0)]}))
    text = (tmp_path / "table.md").read_text()
    assert "## Supernets at the end of the search" in text and "dead (supernet at chance: 1 of 1)" in text
    assert "old (" not in text


def test_measurements_that_were_used_are_a_column_if_a_method_has_them() -> None:
    rounds: dict[str, Any] = {"measured": [float("nan"), 100.0, 100.0], "usable": [float("nan"), 30.0, 20.0]}
    known = study({"conas": [ending(0, 70.0, **rounds)], "rsps": [ending(0, 70.0)]})
    table = supernets.ends(known, known.evidence.traces, BENCHMARK)
    assert table is not None and table.columns[-1].name == "usable measurements %"
    assert [row[-1] for row in table.rows] == ["25", "–"]


def test_rows_whose_cells_are_trained_from_scratch_are_marked_too() -> None:
    untested = {"test": np.nan, "parameters": 3e6, "macs": 5e8}
    known = study({"dead": [ending(0, 10.0)], "alive": [ending(0, 70.0)]}, benchmark="darts/digits", **untested)
    labels = [row[0] for row in trainings.searches(known, "darts/digits").rows]
    assert labels == ["alive", "dead (supernet at chance: 1 of 1)"]


def test_a_remark_of_a_method_stands_once_below_the_results() -> None:
    part = Part(BENCHMARK, "one-shot", table="t", remarks={"alive": "Nobody has it.", "dead": "Nobody has it."})
    made = evidence({"dead": [ending(0, 10.0)], "alive": [ending(0, 70.0)]})
    page = dataclasses.replace(made.page, parts=(part,))
    (block,) = about.benchmark(Study(dataclasses.replace(made, page=page), published.load()), BENCHMARK)
    assert isinstance(block, Bullets) and block.items[-1] == ("alive; dead", "Nobody has it.")
