"""Known facts about the real NAS-Bench-101 records. Needs nb101_cells_1shot1.parquet in NAS_DATA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.nb1shot1.benchmark import NB1Shot1Problem
from benchmarks.nb1shot1.cells import distinct_cells
from benchmarks.nb1shot1.library import LIBRARY
from benchmarks.nb1shot1.queries import NB101Table
from benchmarks.nb1shot1.space import NB1Shot1Space
from harness.cache import Table, data_roots


def real_file() -> Path:
    paths = [path for root in data_roots() for path in sorted(root.rglob("nb101_cells_1shot1.parquet"))]
    if not paths:
        pytest.skip("no nb101_cells_1shot1.parquet in NAS_DATA")
    return Path(paths[0])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return LIBRARY.import_path(real_file())


@pytest.fixture(params=[1, 2, 3])
def problem(table: Table, request: pytest.FixtureRequest) -> NB1Shot1Problem:
    return NB1Shot1Problem(table, request.param, {"recipe": 108}, {"recipe": 108})


def recorded(table: Table, number: int) -> npt.NDArray[np.intp]:
    """Return the rows of a space's recorded cells."""
    rows = np.unique(distinct_cells().rows[number])
    covered: npt.NDArray[np.intp] = rows[table.column("valid/108")[rows, 0] >= 0]
    return covered


def number_of(problem: NB1Shot1Problem) -> int:
    """Return the number of a problem's space, 1 to 3."""
    assert isinstance(problem.space, NB1Shot1Space)
    return problem.space.number


def accuracy(table: Table, split: str, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Return accuracies in percent, of shape (rows, repeats)."""
    return np.asarray(table.column(f"{split}/108")[rows].astype(np.float64) * 100 / 9_984)


COVERED = {1: (156, 2_127), 2: (153, 3_258), 3: (2_950, 17_940)}
BEST_TEST = {1: 94.2007, 2: 93.9069, 3: 94.1774}
BEST_BY_VALIDATION = {1: (94.7182, 94.0672), 2: (94.5179, 93.9069), 3: (94.7382, 94.0238)}
SINGLE_ERRORS = {1: (0.0544871688, 0.0497796535), 2: (0.0577924848, 0.0515825152), 3: (0.0559895635, 0.0500801206)}
SPREAD = {1: 0.369, 2: 0.233, 3: 0.192}
PRINTED_SPREAD = {1: 0.37, 2: 0.23, 3: 0.19}
REGRET = {1: (0.35, 0.35), 2: (0.33, 0.31), 3: (0.48, 0.22)}


def test_topologies_and_cells_covered(problem: NB1Shot1Problem, table: Table) -> None:
    space = problem.space
    assert isinstance(space, NB1Shot1Space)
    assert (len(space.admitted or ()), problem.judge.set_size["cifar10"]) == COVERED[space.number]


def test_the_covered_part_is_the_published_list(problem: NB1Shot1Problem, table: Table) -> None:
    import pyarrow.parquet

    number = number_of(problem)
    listed = pyarrow.parquet.read_table(real_file(), columns=["hash", f"in_ss{number}_noloose_list"]).to_pylist()
    published = {row["hash"] for row in listed if row[f"in_ss{number}_noloose_list"]}
    assert {distinct_cells().hashes[row] for row in recorded(table, number)} == published


def test_best_mean_test(problem: NB1Shot1Problem) -> None:
    assert round(problem.judge.optimum["cifar10"], 4) == BEST_TEST[number_of(problem)]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_best_by_validation(table: Table, number: int) -> None:
    rows = recorded(table, number)
    valid, test = (accuracy(table, split, rows).mean(axis=1) for split in ("valid", "test"))
    best = valid.argmax()
    assert (round(float(valid[best]), 4), round(float(test[best]), 4)) == BEST_BY_VALIDATION[number]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_smallest_single_errors(table: Table, number: int) -> None:
    rows = recorded(table, number)
    errors = tuple(1 - accuracy(table, split, rows).max() / 100 for split in ("test", "valid"))
    assert errors == pytest.approx(SINGLE_ERRORS[number], abs=1e-7)  # printed from single precision


@pytest.mark.parametrize("number", [1, 2, 3])
def test_spread_of_the_best_cells_repeats(table: Table, number: int) -> None:
    """GAEA, section 4.3: different initialisations of the top network."""
    test = accuracy(table, "test", recorded(table, number))
    spread = test[test.mean(axis=1).argmax()].std()
    assert round(float(spread), 3) == SPREAD[number]
    assert round(float(spread), 2) == PRINTED_SPREAD[number]


def test_both_references_of_regret_are_stated(problem: NB1Shot1Problem) -> None:
    number = number_of(problem)
    true, own, paper = (reference for reference in problem.judge.references if reference.split == "test")
    assert true.error == pytest.approx(100 - problem.judge.optimum["cifar10"]) and true.least == 0
    assert (round(paper.least, 2), round(own.least, 2)) == REGRET[number]
    singles = [reference.error / 100 for reference in problem.judge.references if "single" in reference.name]
    assert singles == pytest.approx(SINGLE_ERRORS[number], abs=1e-7)


def test_the_clock_explains_the_stated_variance(table: Table) -> None:
    clock = table.meta["clock"]
    assert clock["cells"] == 6_001
    assert round(clock["r2"], 2) == 0.87
    assert 0.10 < clock["median_error"] < 0.16
    assert table.column("seconds/108").min() > 500


def test_the_library_returns_the_published_values_of_a_cell_by_its_graph(table: Table) -> None:
    import pyarrow.parquet

    names = ["hash", "n_vertices", "adjacency_rowmajor", "ops_inner", "trainable_parameters", "test_correct_108ep_r1"]
    rows = pyarrow.parquet.read_table(real_file(), columns=names).slice(0, 20_000).to_pylist()[::997]
    queries = NB101Table(table, "nb1shot1", "", (1, 2, 3))
    for row in rows:
        size = row["n_vertices"]
        digits = [int(digit) for digit in row["adjacency_rowmajor"]]
        matrix = [digits[at : at + size] for at in range(0, size * size, size)]
        cell = (matrix, [int(digit) for digit in row["ops_inner"]])
        assert queries.canonical(cell) == row["hash"]
        assert queries.costs(cell)["params"] == row["trainable_parameters"] / 1e6
        assert queries.accuracy(cell, split="test", epochs=108, seed=1) == row["test_correct_108ep_r1"] * 100 / 9_984
    for number, accuracy in BEST_TEST.items():
        space = NB101Table(table, f"nb1shot1/{number}", "", (number,))
        best = space.best()
        assert round(best.accuracy, 4) == accuracy
        assert queries.accuracy(space.graph(best.index)) == best.accuracy
