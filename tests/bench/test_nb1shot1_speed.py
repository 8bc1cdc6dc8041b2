"""Speed of NAS-Bench-1Shot1: hashing cells, loading the table, a query. ``tox -e bench``; nothing here asserts a time."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.nb1shot1.benchmark import NB1Shot1Problem
from benchmarks.nb1shot1.cell import Cell
from benchmarks.nb1shot1.cells import distinct_cells
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.library import LIBRARY
from benchmarks.nb1shot1.size import network_size
from benchmarks.nb1shot1.space import NB1Shot1Space
from harness.budget import Ledger
from harness.cache import Table
from harness.view import SearchView
from tests.nb101_files import record_file, rows_of, trainings
from tests.plain_nb101 import plain_fingerprint

pytestmark = pytest.mark.bench

CELLS = 20_000


def cells() -> list[Cell]:
    """Random cells of space 3, loose ends pruned: many topologies, few cells of each."""
    space, rng = NB1Shot1Space(3), random.Random(0)
    return [space.cell(space.sample(rng)) for _ in range(CELLS)]


def test_cells_hashed_per_second(capsys: pytest.CaptureFixture[str]) -> None:
    """Three rounds of each form in turn; the fastest round counts."""
    sample = cells()
    forms = {"by definition": plain_fingerprint, "cached": fingerprint}
    seconds: dict[str, list[float]] = {form: [] for form in forms}
    hashes: dict[str, set[str]] = {}
    for _ in range(3):
        for form, hashed in forms.items():
            start = time.process_time()
            hashes[form] = {hashed(cell) for cell in sample}
            seconds[form].append(time.process_time() - start)
    topologies = len({cell.matrix for cell in sample})
    with capsys.disabled():
        speeds = ", ".join(f"{CELLS / min(times):,.0f} {form}" for form, times in seconds.items())
        print(f"\n{CELLS:,} cells of {topologies} topologies, {len(hashes['cached']):,} hashes, cells a second: {speeds}")
    assert hashes["by definition"] == hashes["cached"]


def test_sizes_of_distinct_cells(benchmark: Any) -> None:
    """Every import of NAS-Bench-101 computes these sizes."""
    distinct = distinct_cells().cells
    assert len(benchmark(lambda: [network_size(cell) for cell in distinct])) == 66_111


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    folder = tmp_path_factory.mktemp("nb101")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE", str(folder / "cache"))
        yield LIBRARY.import_path(record_file(folder / "made.tfrecord", trainings(rows_of(1, range(180)))))


def test_open_problem(benchmark: Any, table: Table) -> None:
    path: Path = table.path
    problem = benchmark(lambda: NB1Shot1Problem(Table(path), 1, {"recipe": 108}, {"recipe": 108}))
    assert problem.judge.set_size == {"cifar10": 2_685}


def test_query_through_the_view(benchmark: Any, table: Table) -> None:
    problem = NB1Shot1Problem(table, 1, {"recipe": 108}, {"recipe": 108})
    space = problem.space
    assert isinstance(space, NB1Shot1Space)
    archs = [space.at(index) for index in range(space.size)]

    def queries() -> int:
        view = SearchView(space, Ledger(), problem.oracle(1), seed=0)
        for arch in archs:
            view.query(arch)
        number: int = view.budget.queries
        return number

    assert benchmark(queries) == len(archs)
