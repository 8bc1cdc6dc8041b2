"""The report of pruning: what remains of each network over the strength of the penalty."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis import published
from harness.analysis.evidence import Part
from harness.analysis.measures import MEASURES, Of
from harness.analysis.study import Study
from harness.analysis.traces import Trace
from reports import anytime, pruning
from reports.layout import to_markdown
from tests import made_evidence

BENCHMARK = "pruning/digits"
LOG = {"strength": [1e-5, 2e-4], "inputs": [60.0, 30.0], "neurons": [50.0, 20.0], "sparsity": [10.0, 80.0]}
SHARES = {"prune:hapg_lasso": 1.0, "prune:adam_lasso": 1.0, "prune:hapg_sparse_group": 0.5}


def search(world: int, shift: float = 0.0) -> Trace:
    """Return a search that proposed two networks."""
    log = {name: np.array(values) + (shift if name == "inputs" else 0) for name, values in LOG.items()}
    log["pruned_accuracy"] = np.array([90.0, 60.0])
    return Trace(world, [0.0, 0.0], {"digits": [97.0 + world, 95.0 + world]}, [0, 0], end=0.0, spent_queries=0, log=log)


def study() -> Study:
    """Return three searches of each row; later rows keep more inputs."""
    searches = {(BENCHMARK, row): [search(world, 3.0 * number) for world in range(3)] for number, row in enumerate(SHARES)}
    lines = [
        made_evidence.run(BENCHMARK, row, world, "digits", 95.0 + world, kind="pruning", queries=0, seconds=0.0)
        for _, row in searches
        for world in range(3)
    ]
    settings = {row: {"mixture": share} for row, share in SHARES.items()}
    part = Part(BENCHMARK, "pruning", settings=settings, optimum={"digits": float("nan")}, judge={"digits": "made up"})
    return Study(made_evidence.evidence(lines, searches, part), published.load())


def test_the_table_has_a_line_for_each_row_and_strength_in_groups_by_penalty() -> None:
    made = study()
    table = pruning.table(made, made.evidence.traces, BENCHMARK)
    assert table is not None and len(table.rows) == 6
    labels = [made.label(row) for row in ("prune:adam_lasso", "prune:hapg_lasso", "prune:hapg_sparse_group")]
    assert [row[0] for row in table.rows if row[0]] == labels
    first, second = table.rows[0], table.rows[1]
    assert first[1:] == ["1e−5", "3", "98.00 ± 0.82", "63.0 ± 0.0", "50.0 ± 0.0", "10.00 ± 0.00", "90.00 ± 0.00"]
    assert second[1:4] == ["2e−4", "3", "96.00 ± 0.82"]
    assert "Test accuracy in percent" in to_markdown("page", [table])


def test_the_figure_has_a_panel_for_each_quantity_and_penalty() -> None:
    made = study()
    drawing = pruning.path(made, made.evidence.traces)
    assert drawing is not None and set(drawing.files) == {"pdf", "png", "svg"}
    text = drawing.files["svg"].decode()
    for words in ("Lasso", "sparse group Lasso, α = 0.5", "inputs", "neurons", "pruned weights (%)", "test accuracy (%)"):
        assert words in text
    assert text.count("Lasso<") == 4


def test_runs_that_pruned_nothing_have_neither_table_nor_figure() -> None:
    lines = [made_evidence.run("toy/digits", "random_search", world, "digits", 90.0) for world in range(3)]
    made = made_evidence.study(lines)
    assert pruning.path(made, made.evidence.traces) is None
    assert pruning.table(made, made.evidence.traces, "toy/digits") is None


def test_measures_are_means_over_the_strengths_of_each_world() -> None:
    of = Of(study(), BENCHMARK, "prune:adam_lasso", "prune:hapg_lasso")
    assert MEASURES["inputs of pruned networks"](of).to_dict() == {0: 48.0, 1: 48.0, 2: 48.0}
    assert MEASURES["inputs of pruned networks"](of.swapped()).to_dict() == {0: 45.0, 1: 45.0, 2: 45.0}
    assert MEASURES["neurons of pruned networks"](of).tolist() == [35.0] * 3
    assert MEASURES["pruned weights"](of).tolist() == pytest.approx([45.0] * 3)
    assert MEASURES["test accuracy of pruned networks"](of).to_dict() == {0: 96.0, 1: 97.0, 2: 98.0}


def test_searches_that_are_charged_neither_calls_nor_seconds_have_no_figure_over_them() -> None:
    made = study()
    assert anytime.error(made, made.evidence.traces) is None
