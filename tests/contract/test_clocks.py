"""On every benchmark with recorded trainings and a supernet, both have one price."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bundled.bundle import read
from benchmarks.nb1shot1 import digits_bundle as nb1shot1_bundle
from benchmarks.nb1shot1.benchmark import NB1Shot1Problem
from benchmarks.nb1shot1.clock import Clock
from benchmarks.nb1shot1.digits_bundle import FILES
from benchmarks.nb1shot1.library import LIBRARY
from benchmarks.nb1shot1.size import network_size
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb201.benchmark import SEARCHED, NB201Problem
from benchmarks.nb201.table import Records
from harness import registry
from harness.cache import Table
from harness.problem import Problem
from harness.space import Arch
from harness.testing.suites.clocks import Bench, ClockContract, Kind
from tests import made_digits
from tests.contract.blank_images import blank_images
from tests.nb101_files import columns_table, record_file, rows_of, trainings

__all__ = ["blank_images"]

pytestmark = pytest.mark.usefixtures("blank_images")

OFFICIAL = {"recipe": 200, "records": {"cifar10": "ori-test", "cifar100": "x-test", "imagenet16-120": "x-test"}}
DIGITS = {"recipe": 36, "records": {"digits": "x-test"}}


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache for the tables that ship with the project."""
    return tmp_path_factory.mktemp("bundled")


@pytest.fixture
def shipped(bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide all data except the tables that ship with the project."""
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(bundled))


class NB201Clock(ClockContract):
    """A query to the last epoch pays for one pass over the validation images."""

    passes = 1

    def records(self, problem: NB201Problem) -> Records:
        return Records(Table(problem.training.table))

    def pass_seconds(self, problem: NB201Problem, arch: Arch) -> float:
        column = self.records(problem).mean(problem.training.searched, problem.training.recipe, "x-valid", "pass_seconds")
        assert column is not None
        return float(column[problem.space.index(arch)])

    def epoch_images(self, problem: NB201Problem) -> int:
        return {"cifar10": 25_000, "cifar100": 50_000, "imagenet16-120": 151_700, "digits": 1_024}[problem.training.dataset]


class FittedNB201Clock(NB201Clock):
    """The clock was fitted to recorded times; prices differ by its residual."""

    benchmarks = [f"nb201/{name}" for name in SEARCHED if name != "digits"]

    def agree(self, problem: NB201Problem, kind: Kind, charged: np.ndarray, recorded: np.ndarray) -> None:
        fit = getattr(problem.training.clock, kind)
        assert np.sqrt(((charged - recorded) ** 2).mean()) < 1.5 * fit.residual


class TestNB201Digits(NB201Clock):
    """The bundled table."""

    benchmarks = ["nb201/digits"]

    @pytest.fixture
    def problem(self, shipped: None) -> Problem:
        return registry.benchmark("nb201/digits").open({"recipe": 12}, DIGITS)

    def test_the_clock_states_its_fit_to_the_timed_cells(self, problem: NB201Problem) -> None:
        clock = problem.training.clock
        fits = [(round(fit.r2, 3), round(fit.residual * 1e6, 2), fit.cells) for fit in (clock.training, clock.evaluation)]
        assert fits == [(0.954, 7.24, 200), (0.954, 2.19, 200)]
        facts = clock.facts
        assert facts["clock:training"].endswith("R2 0.954, residual 7.24 us over 200 timed cells")
        assert facts["clock:evaluation"].startswith("9.0 us an image skip_connect +0.3, nor_conv_1x1 +5.8")
        assert "an additive model (200 timed cells, R2 0.954 and 0.954" in problem.facts.clock


class TestMadeNB201Digits(NB201Clock):
    """A table that the user built, with another clock."""

    benchmarks = ["nb201/digits"]

    @pytest.fixture
    def problem(self, made: Path) -> Problem:
        return registry.benchmark("nb201/digits").open({"recipe": 12}, DIGITS)

    def test_the_clock_is_that_of_the_build(self, problem: NB201Problem) -> None:
        line = made_digits.CLOCK.evaluate
        assert problem.training.clock.evaluation.base == pytest.approx(line.base * 1e-6)
        assert problem.training.clock.evaluation.r2 == line.r2


class TestMadeNB201(FittedNB201Clock):
    @pytest.fixture(params=FittedNB201Clock.benchmarks)
    def problem(self, request: pytest.FixtureRequest, made: Path) -> Problem:
        return registry.benchmark(request.param).open({"recipe": 12}, OFFICIAL)


class NB1Shot1Clock(ClockContract):
    """A query pays for its training alone. No pass without gradients was timed; it costs a third of one with gradients."""

    passes = 0

    def epoch_images(self, problem: Any) -> int:
        return 40_000

    def pass_seconds(self, problem: NB1Shot1Problem, arch: Arch) -> float:
        _, seconds, epochs, _ = problem.oracle(1).measure(arch, None, 0)
        return seconds / epochs / self.epoch_images(problem) / 3 * 25_000

    def test_a_pass_that_executes_more_costs_no_less(self, bench: Bench) -> None:
        rng, sizes = random.Random(0), [[len(decision.options)] * decision.rows for decision in bench.net.decisions]
        for _ in range(20):
            arch = bench.problem.space.sample(rng)
            less = bench.net.active_for(arch)
            more = tuple(
                tuple(tuple(sorted({*row, rng.randrange(size)})) for row, size in zip(rows, of_rows, strict=True))
                for rows, of_rows in zip(less, sizes, strict=True)
            )
            for kind in ("training", "evaluation"):
                alone, several, everything = bench.charge([less, more, None], kind, [1])
                assert 0 < alone <= several * (1 + 1e-9) <= everything * (1 + 1e-8)


class RecordedNB1Shot1Clock(NB1Shot1Clock):
    """The table has the seconds of complete trainings. The clock was fitted to them; prices differ by its median error."""

    benchmarks = ["nb1shot1/1", "nb1shot1/2", "nb1shot1/3"]

    def agree(self, problem: NB1Shot1Problem, kind: Kind, charged: np.ndarray, recorded: np.ndarray) -> None:
        # a query draws one repeat, which differs more than the mean of three that was fitted
        clock = problem.training.clock
        assert isinstance(clock, Clock)
        assert np.median(abs(charged / recorded - 1)) < 2.5 * clock.median_error


@functools.cache
def evaluate_us() -> dict[str, float]:
    """Return the bundled microseconds per image of an evaluation pass, by the canonical name of a cell."""
    folder, space = nb1shot1_bundle.BUNDLE.place, NB1Shot1Space(1)
    cells = read(folder / FILES.cells, json.loads((folder / FILES.manifest).read_text())["files"][FILES.cells])
    names = (space.canonical(space.at(number)) for number in cells["cell"].tolist())
    return dict(zip(names, cells["evaluate_us"].tolist(), strict=True))


class TestNB1Shot1Digits(NB1Shot1Clock):
    """The bundled table, in which passes without gradients were timed too."""

    benchmarks = ["nb1shot1/1-digits"]

    @pytest.fixture
    def problem(self, shipped: None) -> Problem:
        return registry.benchmark("nb1shot1/1-digits").open({"recipe": 12}, {"recipe": 36})

    def epoch_images(self, problem: Any) -> int:
        return 1_024

    def pass_seconds(self, problem: NB1Shot1Problem, arch: Arch) -> float:
        return 384 * 8 * evaluate_us()[problem.space.canonical(arch)] * 1e-6

    def test_the_clock_states_its_fit_to_the_timed_cells(self, problem: NB1Shot1Problem) -> None:
        clock = problem.training.clock
        assert clock is not None
        facts = clock.facts
        assert facts["clock:training"].endswith("R2 0.751, residual 17.87 us over 200 timed cells")
        assert facts["clock:evaluation"].endswith("R2 0.701, residual 9.22 us over 200 timed cells")
        assert "an additive model (200 timed cells, R2 0.751" in problem.facts.source


class TestMadeNB1Shot1(RecordedNB1Shot1Clock):
    """A table with recorded seconds, of a part of each space."""

    @pytest.fixture(params=[1, 2, 3])
    def problem(self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Problem:
        monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
        rows = rows_of(request.param, [0, 3, 17])
        noise = np.random.default_rng(4)
        timed = [
            training._replace(seconds=700 + 1e-4 * network_size(training.cell)[0] + noise.normal(0, 20))
            for training in trainings(rows)
        ]
        table = LIBRARY.import_path(record_file(tmp_path / "made.tfrecord", timed))
        return NB1Shot1Problem(table, request.param, {"recipe": 108}, {"recipe": 108})


class TestMadeNB1Shot1Columns(NB1Shot1Clock):
    """A table without recorded seconds: its seconds are the clock's."""

    benchmarks = ["nb1shot1/1"]

    @pytest.fixture
    def problem(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Problem:
        monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
        path = columns_table(tmp_path / "plain", trainings(rows_of(1, [0, 3, 17])))
        return NB1Shot1Problem(LIBRARY.import_path(path), 1, {"recipe": 108}, {"recipe": 108})


def test_every_benchmark_with_an_oracle_and_a_supernet_is_compared() -> None:
    compared = {name for cls in _all(ClockContract) for name in getattr(cls, "benchmarks", ())}
    both = {id for id, bench in registry.benchmarks().items() if {"multi-trial", "one-shot"} <= set(bench.kinds)}
    assert both - compared == set(), "inherit ClockContract"


def _all(cls: type[ClockContract]) -> list[type[ClockContract]]:
    return [cls, *(test for child in cls.__subclasses__() for test in _all(child) if test.__name__.startswith("Test"))]
