"""nb1shot1/1-digits as the harness opens it: the same numbers as its files, searched and judged, weight sharing too."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bundled.bundle import read
from benchmarks.digits_tables.assembly import assemble
from benchmarks.nb1shot1 import digits_bundle
from benchmarks.nb1shot1.benchmark import DigitsBenchmark, NB1Shot1Problem
from benchmarks.nb1shot1.digits_bundle import FILES
from harness.budget import Ledger
from harness.errors import UserError
from harness.view import SearchView
from tests import made_nb1shot1_digits, made_nb1shot1_search
from tests.made_nb1shot1_search import small

__all__ = ["small"]

SEARCH, JUDGE = {"recipe": 12}, {"recipe": 36}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the table of a finished build without any training, packed by the real code."""
    root = tmp_path_factory.mktemp("digits")
    assemble(made_nb1shot1_digits.RECIPE, made_nb1shot1_digits.build(root / "build"), root / "table")
    return root / "table"


@pytest.fixture
def problem(files: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> NB1Shot1Problem:
    monkeypatch.setenv("NAS_DATA", str(files))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path_factory.getbasetemp() / "bundle-cache"))
    return DigitsBenchmark().open(SEARCH, JUDGE)


def test_the_whole_space_is_covered_and_its_numbers_are_the_files(problem: NB1Shot1Problem, files: Path) -> None:
    assert problem.space.size == 14_580
    assert problem.judge.stated_set == "all 2,685 distinct cells of space 1"
    assert problem.fidelities == (12,)
    sums = json.loads((files / FILES.manifest).read_text())["files"]
    final, cells = read(files / FILES.final, sums[FILES.final]), read(files / FILES.cells, sums[FILES.cells])
    for row in (0, 1234, 2684):
        number = int(cells["cell"][row])
        arch = problem.space.at(number)
        right = final["long_test"][final["cell"] == number]
        score = problem.judge.score(arch)["digits"]
        assert score["test"] == pytest.approx(right.mean() * 100 / (389 * 8))
        accuracy, seconds, epochs, _ = problem.oracle(1).measure(arch, None, 0)
        drawn = final["short_valid"][final["cell"] == number].astype(float) * 100 / (384 * 8)
        assert np.isclose(drawn, accuracy).any()
        assert seconds == pytest.approx(12 * 1024 * float(cells["train_us"][row]) * 1e-6)
        assert epochs == 12


def test_it_is_available_and_its_facts_say_what_it_is(
    problem: NB1Shot1Problem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert DigitsBenchmark().availability().ready
    assert problem.facts.judge["digits"] == "nb1shot1/1-digits test, 36 epochs, mean of three repeats"
    assert {reference.split for reference in problem.judge.references} == {"test", "valid"}
    assert not any("original repository" in reference.name for reference in problem.judge.references)
    priced = "training seconds of an additive model (200 timed cells, R2 0.900, residual "
    assert f"; {priced}" in problem.facts.source and problem.facts.clock.startswith(priced)
    assert problem.facts.supernet_clock.endswith("says of the table's networks that the supernet executes")
    assert not problem.training.heavy
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setattr(digits_bundle, "BUNDLE", dataclasses.replace(digits_bundle.BUNDLE, place=tmp_path))
    assert not DigitsBenchmark().availability().ready
    with pytest.raises(UserError, match="not built yet"):
        DigitsBenchmark().open(SEARCH, JUDGE)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("row", ["pc_darts", "gaea_pc_darts"])
def test_weight_sharing_is_searched_and_judged(row: str, problem: NB1Shot1Problem) -> None:
    ledger = Ledger()
    view = SearchView(
        problem.space, ledger, problem.oracle(1), 0, "self", task=lambda charge: problem.training(7, "cpu", charge)
    )
    arch = made_nb1shot1_search.method(row).search(view)
    assert ledger.spent("seconds") > 0 and ledger.spent("epochs") >= 3
    score = problem.judge.score(arch)["digits"]
    assert 0 <= score["regret"] < 100 and score["rank"] >= 1
