"""Recurrent cells keep the contract of a benchmark that tabulates nothing, and no search reaches the test text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.darts_rnn.corpus import corpus
from harness import registry
from harness.problem import Problem
from harness.testing.suites.benchmarks import UntabulatedContract
from harness.testing.suites.training import Points, WeightSharingContract
from tests import made_ptb

WINDOW = 16
"""Tokens of a point."""


class TestPtb(UntabulatedContract, WeightSharingContract):
    """An invented text in the place of Penn Treebank."""

    benchmarks = ("darts_rnn/ptb",)
    currencies = ("epochs", "macs")

    @pytest.fixture
    def problem(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Problem]:
        made_ptb.show(tmp_path, monkeypatch)
        yield registry.benchmark("darts_rnn/ptb").open({}, {})
        made_ptb.forget()

    def points(self, problem: Problem) -> Points:
        """Return the bytes of windows of the texts, as a task stores them."""
        data = corpus(self.benchmarks[0].partition("/")[2])
        windows = {part: self.windows(data.part(part)) for part in ("train", "valid", "test")}
        return Points(windows["train"] + windows["valid"], windows["test"])

    @staticmethod
    def windows(ids: np.ndarray) -> list[bytes]:
        return [ids[start : start + WINDOW].tobytes() for start in range(0, len(ids) - WINDOW, WINDOW)]


class TestPride(TestPtb):
    """The bundled text."""

    benchmarks = ("darts_rnn/pride",)

    @pytest.fixture
    def problem(self) -> Problem:
        return registry.benchmark("darts_rnn/pride").open({}, {})


def test_both_texts_are_benchmarks_that_need_their_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    for id in ("darts_rnn/ptb", "darts_rnn/ptb-small"):
        assert not registry.benchmark(id).availability().ready
    made_ptb.show(tmp_path, monkeypatch)
    assert registry.benchmark("darts_rnn/ptb").availability().text == "found: folder, found, imported on first use; needs a GPU"
    problem = registry.benchmark("darts_rnn/ptb").open({}, {})
    assert problem.facts.source.startswith("Penn Treebank, ") and problem.training is not None and problem.training.heavy
    arch = problem.space.from_str(
        "Genotype(recurrent=[('relu', 0), ('relu', 1), ('tanh', 2), ('relu', 3), ('relu', 4), ('identity', 1), ('relu', 5), "
        "('relu', 1)], concat=range(1, 9))"
    )
    assert problem.judge.score(arch, 0)["ptb"]["parameters"] == 20 * 850**2 + 851 * made_ptb.WORDS
    made_ptb.forget()
