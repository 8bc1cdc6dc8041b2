"""Figures of searches for recurrent cells (SparseNAS, figures 2, 6 and 8): cells, and the weights of a real small search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.darts_rnn.cell import EDGES
from harness.analysis import published
from harness.analysis.evidence import Evidence, Part
from harness.analysis.study import Study
from harness.analysis.traces import Columns, Trace
from harness.frames import depict
from reports import cells, epochs, report, sketches, weights
from tests import made_darts_rnn, made_evidence
from tests.made_darts_rnn import short

__all__ = ["short"]

BENCHMARK = "darts_rnn/ptb"
ROW = "sparse_nas:hapg"
SPACE = made_darts_rnn.SPACE
TWO_PATHS = (
    "Genotype(recurrent=[[('tanh', 0), ('identity', 0)], [], [('relu', 2)], [('sigmoid', 1), ('relu', 0)], [], [], [], []],"
    " concat=[1, 4])"
)
"""State 0 reaches nodes 1 and 4; the edge from node 2 to node 3 computes nothing."""


def evidence(texts: dict[str, str], logs: dict[str, Columns]) -> Evidence:
    """Return two searches of each row without test accuracies: cells are judged by trainings."""
    runs = [
        made_evidence.run(BENCHMARK, row, world, "ptb", kind="one-shot", arch=text, parameters=23e6, valid=np.nan, rank=np.nan)
        for row, text in texts.items()
        for world in (0, 1)
    ]
    ends = {"ptb": np.array([np.nan])}
    searches = {
        (BENCHMARK, row): [Trace(world, np.array([1.0]), ends, end=9.0, log=log) for world in (0, 1)]
        for row, log in logs.items()
    }
    part = Part(BENCHMARK, "one-shot", judge={"ptb": ""})
    spaces = {BENCHMARK: depict(SPACE, texts.values())}
    return made_evidence.evidence(runs, searches, part, spaces=spaces, compared_with={"gaea_darts:bilevel": "darts:bilevel"})


def test_a_cell_has_the_activations_of_each_pair_of_nodes_and_nothing_that_state_0_does_not_reach() -> None:
    (cell,) = depict(SPACE, [TWO_PATHS]).drawn[TWO_PATHS]
    drawn = sketches.outline(cell)
    assert {line[-1] for line in drawn["lines"]} == {"tanh\nidentity", "σ", "ReLU", ""}
    assert [node[-1] for node in drawn["nodes"]] == ["0", "1", "4", "out"]
    assert drawn["size"][0] == round(100 * sketches.WIDTH), "it is as wide as a page"
    assert [line[1] for line in drawn["lines"]].count(True) == 1, "a dotted line leads to the output"


@pytest.mark.usefixtures("short")
def test_cells_and_weights_of_a_search_are_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = made_darts_rnn.view()
    arch, _ = made_darts_rnn.search(ROW, view)
    last = {name: [value] for name, value in view.trace.scalars[-1].items() if name.startswith("weight/")}
    ((name, table),) = weights.tables(last, ["tanh", "relu", "sigmoid", "identity"]).items()
    assert name == "recurrent" and table.shape == (4, 36) and list(table.index) == ["tanh", "relu", "sigmoid", "identity"]
    alive = {(target, source) for (target, source), on in zip(EDGES, (table > 0).any().tolist(), strict=True) if on}
    assert alive == {(target, source) for (target, source), edge in zip(EDGES, arch, strict=True) if edge}
    plots = (report.Plot("genotypes", cells.first), report.Plot("weights", weights.maps))
    monkeypatch.setattr(report, "PLOTS", plots)
    report.write(tmp_path, evidence({ROW: SPACE.to_str(arch)}, {ROW: last}))
    text = (tmp_path / "table.md").read_text()
    assert "Recurrent cells of DARTS: recurrent cell." in text and "(rows) of every edge (columns)" in text
    assert all((tmp_path / f"{stem}.pdf").stat().st_size > 1000 for stem in ("genotypes", "weights"))


def test_rows_without_test_accuracies_have_entropies_and_no_curve_of_accuracy() -> None:
    log = {"epoch": [1.0, 2.0], "seconds": [2.0, 3.0], "entropy": [1.0, 0.5]}
    rows = ("darts:bilevel", "gaea_darts:bilevel")
    texts = dict.fromkeys(rows, TWO_PATHS)
    of_rows = evidence(texts, dict.fromkeys(rows, log))
    study = Study(of_rows, published.load())
    assert epochs.accuracy(study, of_rows.traces) is None
    drawing = epochs.entropy(study, of_rows.traces)
    assert drawing is not None and drawing.files["svg"].count(b"row=gaea_darts:bilevel")
    tables = {"empty": pd.DataFrame({0: [np.nan], 1: [1.0]}), "known": pd.DataFrame({0: [2.0], 1: [1.0]})}
    assert list(epochs.lines(tables)) == ["known"]
