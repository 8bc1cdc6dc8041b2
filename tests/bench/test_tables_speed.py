"""Speed of plain queries next to the package ``nas-bench-201``, on the same made records, in pairs: ``tox -e bench``.

Each pair times a question to the official package and then to the library, in processor time. Nothing here asserts a time.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.nb201 import queries, records
from harness import tables
from tests import official_files

pytestmark = pytest.mark.bench

CELLS = 60
"""Rows of both tables. The published benchmark has 15 625, and the official package's loops grow with them."""
PAIRS = 7


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("official") / "made.pth"
    return path, official_files.nas_bench_201(path, CELLS)


def seconds(ask: Callable[[], object], least: float = 0.02) -> float:
    """Return the processor seconds of a call, repeated until it takes measurable time."""
    number, start = 0, time.process_time()
    while (spent := time.process_time() - start) < least:
        ask()
        number += 1
    return spent / number


def test_queries_in_pairs(
    content: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from nas_201_api import NASBench201API

    path, entries = content
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    monkeypatch.setattr(records, "SIZE", CELLS)
    monkeypatch.setattr(queries, "SIZE", CELLS)
    tables.open("nb201", path)
    api = NASBench201API(entries, verbose=False)
    api.meta_archs = api.meta_archs[:CELLS]
    table = tables.open("nb201", path)
    cells = itertools.cycle(range(CELLS))  # their records have different forms: with times or without, of two or three seeds
    epochs = itertools.cycle(range(200))
    text = table[8]
    questions: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "open the table": (lambda: NASBench201API(entries, verbose=False), lambda: tables.open("nb201", path)),
        "index of a text": (lambda: api.query_index_by_arch(text), lambda: table.index(text)),
        "an accuracy, mean over seeds": (
            lambda: api.get_more_info(next(cells), "cifar100", None, "200", False)["test-accuracy"],
            lambda: table.accuracy(next(cells), "cifar100", "test", 200),
        ),
        "all values, mean over seeds": (
            lambda: api.get_more_info(next(cells), "cifar100", None, "200", False),
            lambda: table.info(next(cells), "cifar100", 200),
        ),
        "all values of a seed": (
            lambda: api.get_more_info(next(cells), "cifar100", None, "200", 777),
            lambda: table.info(next(cells), "cifar100", 200, 777),
        ),
        "all values of a seed, cells in turn, epoch 99": (
            lambda: api.get_more_info(next(cells), "cifar100", 99, "200", 777),
            lambda: table.info(next(cells), "cifar100", 200, 777, 99),
        ),
        "all values of a seed, epochs in turn": (
            lambda: api.get_more_info(8, "cifar100", next(epochs), "200", 777),
            lambda: table.info(8, "cifar100", 200, 777, next(epochs)),
        ),
        f"an accuracy of all {CELLS} cells": (
            lambda: [api.get_more_info(i, "cifar100", None, "200", False)["test-accuracy"] for i in range(CELLS)],
            lambda: table.values("cifar100", "test", 200),
        ),
        "costs": (lambda: api.get_cost_info(next(cells), "cifar100", "200"), lambda: table.costs(next(cells), "cifar100", 200)),
        f"the best of {CELLS} cells": (
            lambda: api.find_best("cifar100", "valid", None, None, "200"),
            lambda: table.best("cifar100", "valid", 200),
        ),
        f"the best of {CELLS} cells under limits": (
            lambda: api.find_best("cifar100", "valid", 50, 0.3, "200"),
            lambda: table.best("cifar100", "valid", 200, flops=50, params=0.3),
        ),
        "numbers of trials": (lambda: api.statistics("cifar100", "200"), lambda: table.trials("cifar100", 200)),
    }
    lines = []
    for name, (official, ours) in questions.items():
        ours()  # reads and checks the columns, once
        pairs = [(seconds(official), seconds(ours)) for _ in range(PAIRS)]
        ratios = [theirs / own for theirs, own in pairs]
        own = min(own for _, own in pairs)
        spread = f"({min(ratios):,.0f} to {max(ratios):,.0f})"
        lines.append(f"{name:<46} {statistics.median(ratios):>8,.0f} times {spread}; ours {own * 1e6:,.1f} us")
    with capsys.disabled():
        print("\nnas-bench-201 / harness.tables, median of pairs\n" + "\n".join(lines))
