from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.nb201.benchmark import NB201Problem, benchmarks
from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.table import Records
from harness import registry
from harness.budget import Budget
from harness.problem import MissingRecord, Problem
from harness.view import SearchView
from tests import official_files
from tests.contract.benchmarks import BenchmarkContract

JUDGE = {"recipe": 200, "records": {"cifar10": "ori-test", "cifar100": "x-test", "imagenet16-120": "x-test"}}


def secrets_of(problem: Problem) -> set[float]:
    """Every final test accuracy, less what validation happens to share with it."""
    trainings = (trial for epoch in problem.fidelities for trial in problem._signal.load(epoch)[0])
    valid = {value for trial in trainings for value in trial}
    return {value for columns in problem.judge._columns.values() for value in columns[1]} - valid


class TestPlainColumns(BenchmarkContract):
    """Means over seeds, of all 15 625 cells."""

    @pytest.fixture(params=[one.id for one in benchmarks() if not one.embedded])
    def problem(self, request: pytest.FixtureRequest, made: Path) -> Problem:
        return registry.benchmark(request.param).open({"recipe": 12}, JUDGE)

    @pytest.fixture
    def secrets(self, problem: Problem) -> set[float]:
        return secrets_of(problem)


class TestDigits(BenchmarkContract):
    """Three seeds of all cells, five of the best, and every epoch."""

    @pytest.fixture
    def problem(self, made: Path) -> Problem:
        return registry.benchmark("nb201/digits").open({"recipe": 12}, {"recipe": 36, "records": {"digits": "x-test"}})

    @pytest.fixture
    def secrets(self, problem: Problem) -> set[float]:
        return secrets_of(problem)


N = 40


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("official")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE", str(folder / "cache"))
        return Records(LIBRARY.import_path(official_files.nats_folder(folder / "nats", N)))


class TestOfficialRecords(BenchmarkContract):
    """Several recorded seeds and every epoch, of the first cells in the official order."""

    @pytest.fixture
    def problem(self, records: Records) -> Problem:
        return NB201Problem(records, "cifar10", 12, JUDGE)

    @pytest.fixture
    def secrets(self, problem: Problem) -> set[float]:
        return secrets_of(problem)

    def archs(self, problem: Problem, n: int = 50) -> list[tuple[int, ...]]:
        recorded = problem._signal.load(12)[0]  # NaN where nothing, or no time, is recorded
        cells = [i for i in range(N) if any(trial[i] == trial[i] for trial in recorded)]
        return [problem.space.at(i) for i in cells[:n]]

    def test_records_are_drawn_evenly_and_by_count(self, problem: Problem) -> None:
        arch = problem.space.at(0)
        oracle = problem.oracle(3)
        drawn = [oracle.measure(arch, None, asked)[0] for asked in range(600)]
        recorded = set(drawn)
        assert len(recorded) > 1
        for value in recorded:
            assert drawn.count(value) == pytest.approx(600 / len(recorded), rel=0.3)

    def test_true_fidelities_are_offered(self, problem: Problem) -> None:
        assert problem.fidelities == tuple(range(1, 13))

    def test_a_cell_without_records_is_missing_and_costs_nothing(self, problem: Problem) -> None:
        view = SearchView(problem.space, Budget("seconds", 1e6), problem.oracle(1), seed=0)
        with pytest.raises(MissingRecord):
            view.query(problem.space.at(N + 1))
        assert view.budget.queries == view.budget.seconds == 0

    def test_an_unrecorded_epoch_is_missing(self, problem: Problem) -> None:
        with pytest.raises(MissingRecord, match="no validation accuracy after epoch 13"):
            problem.oracle(1).measure(problem.space.at(0), 13, 0)
