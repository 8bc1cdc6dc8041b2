"""The real tables have one price for trainings and for weight sharing. Needs their files in NAS_DATA; no images."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import registry
from harness.problem import Problem
from tests.contract.blank_images import blank_images
from tests.contract.test_clocks import OFFICIAL, FittedNB201Clock, NB1Shot1Clock

__all__ = ["blank_images"]

pytestmark = pytest.mark.usefixtures("blank_images")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def opened(name: str, search: dict[str, object], judge: dict[str, object]) -> Problem:
    benchmark = registry.benchmark(name)
    if not benchmark.availability().ready:
        pytest.skip(f"no table of {name} in NAS_DATA")
    return benchmark.open(search, judge)


class TestNB201(FittedNB201Clock):
    @pytest.fixture(params=FittedNB201Clock.benchmarks)
    def problem(self, request: pytest.FixtureRequest, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Problem:
        monkeypatch.setenv("NAS_CACHE", str(cache))
        return opened(request.param, {"recipe": 12}, OFFICIAL)


class TestNB1Shot1(NB1Shot1Clock):
    """The shared columns have no times: those of the table are the clock's."""

    benchmarks = ("nb1shot1/1", "nb1shot1/2", "nb1shot1/3")

    @pytest.fixture(params=benchmarks)
    def problem(self, request: pytest.FixtureRequest, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Problem:
        monkeypatch.setenv("NAS_CACHE", str(cache))
        problem = opened(request.param, {"recipe": 108}, {"recipe": 108})
        if "fitted" not in problem.facts.source:
            pytest.skip("this table has recorded seconds")
        return problem
