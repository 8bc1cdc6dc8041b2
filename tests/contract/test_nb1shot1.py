"""NAS-Bench-1Shot1 keeps the contract on a table that covers a part of a space, and on the bundled digits."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks.images import dataset
from benchmarks.nb1shot1.benchmark import NB1Shot1Problem, benchmarks
from benchmarks.nb1shot1.cells import distinct_cells
from benchmarks.nb1shot1.library import LIBRARY
from benchmarks.nb1shot1.space import NB1Shot1Space
from harness import registry
from harness.budget import Ledger
from harness.cache import Table
from harness.errors import UserError
from harness.problem import MissingRecord, Problem
from harness.space import Arch, InvalidArchitecture
from harness.testing.reach import reachable
from harness.testing.suites.benchmarks import BenchmarkContract
from harness.testing.suites.training import Points, WeightSharingContract
from harness.view import SearchView
from tests.nb101_files import columns_table, record_file, rows_of, trainings

TOPOLOGIES = [0, 3, 17, 150]
SEARCH, JUDGE = {"recipe": 108, "within": "table"}, {"recipe": 108}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Return a table of four topologies of space 1 and one of space 2, all epochs; some cells belong to more topologies."""
    folder = tmp_path_factory.mktemp("nb101")
    rows = sorted({*rows_of(1, TOPOLOGIES), *rows_of(2, [100])})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE", str(folder / "cache"))
        return LIBRARY.import_path(record_file(folder / "made.tfrecord", trainings(rows, (4, 12, 36, 108))))


@pytest.fixture(scope="module")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundled")


@pytest.fixture
def bundled(_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide all data except the tables that ship with the project."""
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(_cache))


class TestPartOfASpace(BenchmarkContract):
    benchmarks = ("nb1shot1/1",)

    @pytest.fixture(autouse=True)
    def _table(self, table: Table) -> None:
        self.table = table

    @pytest.fixture
    def problem(self, table: Table) -> Problem:
        return NB1Shot1Problem(table, 1, SEARCH, JUDGE)

    def secrets(self, problem: Problem) -> set[float]:
        """Return the mean test accuracies of all cells, without those that equal a mean validation accuracy."""
        test, valid = (
            self.table.column(f"{split}/108").astype(float).sum(axis=1) / 3 * 100 / 9_984 for split in ("test", "valid")
        )
        return set(test[test > 0].tolist()) - set(valid.tolist())

    def test_no_count_of_test_images_can_be_reached_from_a_view(self, problem: Problem, table: Table) -> None:
        view = SearchView(problem.space, Ledger(), problem.oracle(1), seed=0)
        arrays = [value for value in reachable(view) if isinstance(value, np.ndarray)]
        assert any(np.array_equal(array, table.column("valid/108")) for array in arrays)
        for epochs in (4, 12, 36, 108):
            assert not any(np.array_equal(array, table.column(f"test/{epochs}")) for array in arrays)


class TestDigits(BenchmarkContract):
    """The bundled table."""

    benchmarks = ("nb1shot1/1-digits",)

    @pytest.fixture
    def problem(self, bundled: None) -> Problem:
        return registry.benchmark("nb1shot1/1-digits").open({"recipe": 36}, {"recipe": 36})


class TestDigitsTraining(WeightSharingContract):
    benchmarks = ("nb1shot1/1-digits",)

    @pytest.fixture
    def problem(self, bundled: None) -> Problem:
        return registry.benchmark("nb1shot1/1-digits").open({"recipe": 36}, {"recipe": 36})

    def points(self, problem: Problem) -> Points:
        train, test = dataset.load("digits")
        return Points([image.tobytes() for image in train.images], [image.tobytes() for image in test.images])


@pytest.fixture
def problem(table: Table) -> NB1Shot1Problem:
    return NB1Shot1Problem(table, 1, SEARCH, JUDGE)


def covered(table: Table, number: int) -> set[int]:
    space = NB1Shot1Space(number)
    complete = np.asarray((table.column("valid/108") >= 0).all(axis=1))
    known = complete[distinct_cells().rows[number]]
    return set(np.flatnonzero(known.reshape(space.topologies, -1).all(axis=1)).tolist())


def outside(problem: NB1Shot1Problem) -> Arch:
    rng = random.Random(0)
    space = NB1Shot1Space(problem.space.number)
    return next(
        arch for arch in iter(lambda: space.sample(rng), None) if np.isnan(problem.judge.score(arch)["cifar10"]["test"])
    )


def test_search_keeps_to_the_covered_topologies(table: Table, problem: NB1Shot1Problem) -> None:
    inside = covered(table, 1)
    assert set(TOPOLOGIES) <= inside and len(inside) < 180
    assert problem.space.admitted == tuple(sorted(inside))
    assert problem.facts.search.endswith(f"on the covered {len(inside)} of 180 topologies of space 1")
    oracle, rng = problem.oracle(1), random.Random(1)
    arch = problem.space.sample(rng)
    for _ in range(500):
        arch = problem.space.mutate(arch, rng)
        oracle.measure(arch, None, 0)


def test_within_the_space_all_topologies_are_searched(table: Table) -> None:
    problem = NB1Shot1Problem(table, 1, {"recipe": 108, "within": "space"}, JUDGE)
    assert problem.space.size == 14_580


def test_an_architecture_that_is_not_covered_is_missing_and_never_guessed(problem: NB1Shot1Problem) -> None:
    arch = outside(problem)
    view = SearchView(problem.space, Ledger("epochs", 1000), problem.oracle(1), seed=0)
    with pytest.raises(MissingRecord, match="no 108-epoch training"):
        view.query(arch)
    assert view.budget.queries == view.budget.epochs == 0
    view.propose(arch)
    assert all(np.isnan(value) for value in problem.judge.score(arch)["cifar10"].values())


def test_strangers_are_refused(problem: NB1Shot1Problem) -> None:
    for stranger in [(0,) * 8, (9,) * 7, (0.0,) * 7]:
        with pytest.raises(InvalidArchitecture):
            problem.oracle(1).measure(stranger, None, 0)  # type: ignore[arg-type]
    with pytest.raises(MissingRecord, match="no training of 5 epochs in this table; there is 4, 12, 36, 108"):
        problem.oracle(1).measure(problem.space.sample(random.Random(0)), 5, 0)


def test_repeats_are_drawn_evenly_and_paid_for_as_recorded(problem: NB1Shot1Problem, table: Table) -> None:
    oracle, space = problem.oracle(3), problem.space
    arch = space.sample(random.Random(0))
    row = distinct_cells().rows[1][space.index(arch)]
    for epochs in problem.fidelities:
        pairs = [oracle.measure(arch, epochs, asked)[:3] for asked in range(600)]
        expected = [
            (right * 100 / 9_984, seconds, epochs)
            for right, seconds in zip(
                table.column(f"valid/{epochs}")[row].tolist(), table.column(f"seconds/{epochs}")[row].tolist(), strict=True
            )
        ]
        assert set(pairs) == set(expected)
        assert all(150 < pairs.count(pair) < 250 for pair in expected)


def test_the_judge_means_over_repeats_and_ranks_distinct_cells(problem: NB1Shot1Problem, table: Table) -> None:
    rows = np.unique(distinct_cells().rows[1])
    rows = rows[(table.column("valid/108")[rows] >= 0).all(axis=1)]
    means = table.column("test/108")[rows].sum(axis=1) / 3 * 100 / 9_984
    assert problem.judge.set_size == {"cifar10": len(rows)}
    assert problem.judge.optimum == {"cifar10": means.max()}
    assert problem.mean_cost == pytest.approx(table.column("seconds/108")[rows].mean())
    assert problem.judge.stated_set == f"the {len(rows)} recorded of the 2,685 distinct cells of space 1"
    rng = random.Random(2)
    for _ in range(50):
        arch = problem.space.sample(rng)
        score = problem.judge.score(arch)["cifar10"]
        assert score["test"] == means[np.searchsorted(rows, distinct_cells().rows[1][problem.space.index(arch)])]
        assert score["rank"] == 1 + (means > score["test"]).sum()


def test_isomorphic_architectures_share_their_records(problem: NB1Shot1Problem) -> None:
    space = problem.space
    arch = next(
        arch for arch in map(space.at, range(space.topologies * 81)) if space.admits(arch) and len(space.used(arch)) < 6
    )
    bare = space.without_loose_ends(arch)
    assert problem.judge.score(arch) == problem.judge.score(bare)


def test_a_table_that_covers_no_topology_of_a_space_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    row = int(distinct_cells().rows[1][0])
    table = LIBRARY.import_path(record_file(tmp_path / "one.tfrecord", trainings([row])))
    with pytest.raises(UserError, match="covers no topology of space 1 with all its operations"):
        NB1Shot1Problem(table, 1, SEARCH, JUDGE)
    with pytest.raises(UserError, match="no trainings of 108 epochs to judge by"):
        NB1Shot1Problem(LIBRARY.import_path(record_file(tmp_path / "4", trainings([row], (4,)))), 1, SEARCH, JUDGE)


@pytest.mark.parametrize(
    ("search", "reason"),
    [({"recipe": 50}, "no trainings of 50 epochs; it has 4, 12, 36, 108"), ({"recipe": 108, "within": "x"}, "not 'x'")],
)
def test_a_wrong_protocol_is_refused(table: Table, search: dict[str, object], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        NB1Shot1Problem(table, 1, search, JUDGE)


def test_without_data_a_benchmark_names_the_data_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    monkeypatch.setenv("NAS_DATA", "")
    for offered in (offered for offered in benchmarks() if not offered.embedded):
        assert not offered.availability().ready
        with pytest.raises(UserError, match="needs a NAS-Bench-101 table; see"):
            offered.open(SEARCH, JUDGE)


def test_the_caption_says_that_costs_are_fitted_and_how_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    path = columns_table(tmp_path / "plain", trainings(rows_of(1, [0])))
    facts = NB1Shot1Problem(LIBRARY.import_path(path), 1, SEARCH, JUDGE).facts
    assert "training seconds fitted on parameters and operation counts (R2 1.000, median error 0 %)" in facts.source
