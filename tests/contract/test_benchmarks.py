"""NAS-Bench-201 keeps the contract, on each of the tables that it can be looked up in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.images import dataset
from benchmarks.nb201.benchmark import NB201Problem, benchmarks
from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.table import Records
from harness import registry
from harness.budget import Ledger
from harness.cache import Table
from harness.problem import MissingRecord, Problem
from harness.space import Arch
from harness.testing.suites.benchmarks import BenchmarkContract
from harness.testing.suites.training import Points, WeightSharingContract
from harness.view import SearchView
from tests import official_files

RECIPE = 12
OFFICIAL = {"recipe": 200, "records": {"cifar10": "ori-test", "cifar100": "x-test", "imagenet16-120": "x-test"}}
DIGITS = {"recipe": 36, "records": {"digits": "x-test"}}


OFFICIAL_IDS = [bench.id for bench in benchmarks() if not bench.embedded]


class NB201Contract(BenchmarkContract):
    judged: Mapping[str, Any] = OFFICIAL

    def records(self, problem: Any) -> Records:
        return Records(Table(problem.training.table))

    def secrets(self, problem: Any) -> set[float]:
        """Return the final test accuracies of all cells, without those that equal a validation accuracy."""
        records, searched = self.records(problem), problem.training.searched
        test = [
            column.tolist()
            for target, split in self.judged["records"].items()
            if (column := records.mean(target, self.judged["recipe"], split, "accuracy")) is not None
        ]
        valid = [
            values.ravel().tolist()
            for seed in records.seeds(searched, RECIPE)
            for read in (records.get, records.curve)
            if (values := read(searched, RECIPE, seed, "x-valid", "accuracy")) is not None
        ]
        return {value for column in test for value in column} - {value for column in valid for value in column}


class TestPlainColumns(NB201Contract):
    """Means over seeds, of all 15 625 cells."""

    benchmarks = OFFICIAL_IDS

    @pytest.fixture(params=OFFICIAL_IDS)
    def problem(self, request: pytest.FixtureRequest, made: Path) -> Problem:
        return registry.benchmark(request.param).open({"recipe": RECIPE}, OFFICIAL)


class TestDigits(NB201Contract):
    """Three seeds of all cells, five of the best, and every epoch."""

    benchmarks = ("nb201/digits",)
    judged = DIGITS

    @pytest.fixture
    def problem(self, made: Path) -> Problem:
        return registry.benchmark("nb201/digits").open({"recipe": RECIPE}, DIGITS)


@pytest.mark.slow
class TestDigitsTraining(WeightSharingContract):
    benchmarks = ("nb201/digits",)

    @pytest.fixture
    def problem(self, made: Path) -> Problem:
        return registry.benchmark("nb201/digits").open({"recipe": RECIPE}, DIGITS)

    def points(self, problem: Problem) -> Points:
        train, test = dataset.load("digits")
        return Points([image.tobytes() for image in train.images], [image.tobytes() for image in test.images])


N = 40


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("official")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE", str(folder / "cache"))
        return Records(LIBRARY.import_path(official_files.nats_folder(folder / "nats", N)))


class TestOfficialRecords(NB201Contract):
    """Several recorded seeds and every epoch, of the first cells in the official order."""

    @pytest.fixture
    def problem(self, records: Records) -> Problem:
        return NB201Problem(records, "cifar10", RECIPE, OFFICIAL)

    def archs(self, problem: Any, n: int = 50) -> list[Arch]:
        archs: list[Arch] = []
        for arch in map(problem.space.at, range(N)):
            with suppress(MissingRecord):
                problem.oracle(1).measure(arch, None, 0)
                archs.append(arch)
        return archs[:n]

    def test_records_are_drawn_evenly_and_by_count(self, problem: Any) -> None:
        arch = problem.space.at(0)
        oracle = problem.oracle(3)
        drawn = [oracle.measure(arch, None, asked)[0] for asked in range(600)]
        recorded = set(drawn)
        assert len(recorded) > 1
        for value in recorded:
            assert drawn.count(value) == pytest.approx(600 / len(recorded), rel=0.3)

    def test_true_fidelities_are_offered(self, problem: Problem) -> None:
        assert problem.fidelities == tuple(range(1, 13))

    def test_a_cell_without_records_is_missing_and_costs_nothing(self, problem: Any) -> None:
        view = SearchView(problem.space, Ledger("seconds", 1e6), problem.oracle(1), seed=0)
        with pytest.raises(MissingRecord):
            view.query(problem.space.at(N + 1))
        assert view.budget.queries == view.budget.seconds == 0

    def test_an_unrecorded_epoch_is_missing(self, problem: Any) -> None:
        with pytest.raises(MissingRecord, match="no validation accuracy after epoch 13"):
            problem.oracle(1).measure(problem.space.at(0), 13, 0)
