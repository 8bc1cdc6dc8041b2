"""Speed next to that of the official packages, in one run: ``tox -e bench``. Nothing here asserts a time.

pytest-benchmark prints, within each group, how many times slower the slower one is.
"""

from __future__ import annotations

import pickle
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.space import NB201Space
from benchmarks.nb201.table import Records
from harness import protocols, registry
from harness.budget import Ledger
from harness.cache import Table, TableWriter
from harness.execute import execute
from harness.outcome import Result
from harness.plan import PlannedRow, make
from harness.spec import RowSpec
from harness.store import Store
from harness.view import SearchView
from tests import official_files

pytestmark = [pytest.mark.bench, pytest.mark.usefixtures("made")]

OFFICIAL_ARCHS = 60
"""Enough to time the official packages per architecture; all 15 625 would take them minutes."""


@pytest.fixture(scope="module")
def official_dict(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return official_files.nas_bench_201(tmp_path_factory.mktemp("official") / "made.pth", OFFICIAL_ARCHS)


@pytest.fixture(scope="module")
def full_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 15 625 architectures with every final-epoch column of the official records: 4 data sets, 2 recipes, 2-3 seeds."""
    rng = np.random.default_rng(0)
    with TableWriter(tmp_path_factory.mktemp("full") / "table") as writer:
        for dataset in ("cifar10-valid", "cifar10", "cifar100", "imagenet16-120"):
            for recipe, seeds in (("12", (777, 888)), ("200", (777, 888, 999))):
                for seed in seeds:
                    for split in ("train", "x-valid", "x-test", "ori-test"):
                        for metric in ("accuracy", "loss", "total_seconds" if split == "train" else "pass_seconds"):
                            writer.add(f"{dataset}/{recipe}/{seed}/{split}/{metric}", rng.uniform(10, 90, 15_625))
                    for metric in ("params", "flops", "latency"):
                        writer.add(f"{dataset}/{recipe}/{seed}/{metric}", rng.uniform(0.1, 1.0, 15_625))
        return writer.commit({"kind": "made"}).path


# -- loading ---------------------------------------------------------------------------------------------------------------


@pytest.mark.benchmark(group="load: official, 60 architectures / ours, all 15 625 (every final-epoch record)")
def test_load_official(benchmark: Any, official_dict: dict[str, Any], tmp_path: Path) -> None:
    from nas_201_api import NASBench201API

    file = tmp_path / "made.pickle"
    file.write_bytes(pickle.dumps(official_dict))
    api = benchmark.pedantic(lambda: NASBench201API(pickle.loads(file.read_bytes()), verbose=False), rounds=3)
    benchmark.extra_info["architectures"] = len(api.arch2infos_dict)


@pytest.mark.benchmark(group="load: official, 60 architectures / ours, all 15 625 (every final-epoch record)")
def test_load_ours(benchmark: Any, full_table: Path) -> None:
    def load() -> float:
        table = Table(full_table)
        return sum(float(table.column(name)[0]) for name in table.columns)

    benchmark(load)


@pytest.mark.benchmark(group="load: what one search and its judge need, all 15 625")
def test_open_problem(benchmark: Any) -> None:
    judge = protocols.protocol("nb201-2020").judge
    benchmark(lambda: registry.benchmark("nb201/cifar10").open({"recipe": 12}, judge))


@pytest.mark.benchmark(group="load: what one search and its judge need, all 15 625")
def test_open_digits(benchmark: Any) -> None:
    rules = protocols.protocol("digits")
    benchmark(lambda: registry.benchmark("nb201/digits").open(rules.parts[0].search, rules.judge))


def test_memory_of_a_loaded_table(full_table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import re, sys, numpy; from pathlib import Path; from harness.cache import Table\n"
        "def rss(): return int(re.search(r'VmRSS:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "before = rss(); table = Table(Path(sys.argv[1]))\n"
        "total = sum(float(table.column(n).sum()) for n in table.columns); print(rss() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(full_table)], capture_output=True, text=True, check=True)
    with capsys.disabled():
        print(f"\nmemory of a table, every final-epoch record of all cells touched: {int(done.stdout) / 1024:.0f} MB")


# -- one query -------------------------------------------------------------------------------------------------------------


@pytest.mark.benchmark(group="one query")
def test_query_official(benchmark: Any, official_dict: dict[str, Any]) -> None:
    from nas_201_api import NASBench201API

    api = NASBench201API(official_dict, verbose=False)
    index = random.Random(0)
    benchmark(lambda: api.get_more_info(index.randrange(3), "cifar10-valid", None, "12", True))


@pytest.fixture(params=["mean record", "drawn records"])
def view(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> SearchView:
    judge = protocols.protocol("nb201-2020").judge
    if request.param == "mean record":
        problem = registry.benchmark("nb201/cifar10").open({"recipe": 12}, judge)
    else:
        from benchmarks.nb201.benchmark import NB201Problem

        folder = tmp_path_factory.mktemp("nats")
        monkeypatch.setenv("NAS_CACHE", str(folder / "cache"))
        table = LIBRARY.import_path(official_files.nats_folder(folder / "nats", 40))
        problem = NB201Problem(Records(table), "cifar10", 12, judge)
    return SearchView(problem.space, Ledger("seconds", 1e18), problem.oracle(1), 0)


@pytest.mark.benchmark(group="one query")
def test_query_through_the_view(benchmark: Any, view: SearchView) -> None:
    arch = NB201Space().at(1)
    benchmark.pedantic(view.query, args=(arch,), rounds=200, iterations=1000)


# -- searches --------------------------------------------------------------------------------------------------------------


def rows(*methods: str, seeds: int) -> list[PlannedRow]:
    return make(protocols.protocol("nb201-2020"), methods=methods, seeds=seeds).rows


@pytest.mark.parametrize(
    "row", ["random_search", "regularized_evolution", "reinforce:lr_0.01", "bohb:nb201_2020", "local_search"]
)
@pytest.mark.benchmark(group="500 searches, judged, on one core")
def test_500_searches(benchmark: Any, row: str) -> None:
    (planned,) = rows(row, seeds=500)
    benchmark.pedantic(lambda: [execute(planned.spec, run) for run in planned.runs], rounds=1, warmup_rounds=0)


@pytest.mark.benchmark(group="500 seeds of evolution, from the command to the table, imports included")
def test_whole_command(benchmark: Any, tmp_path: Path) -> None:
    outs: Iterator[Path] = (tmp_path / str(i) for i in range(100))

    def command() -> None:
        call = ["--methods", "regularized_evolution", "--protocol", "nb201-2020", "--seeds", "500", "--out", str(next(outs))]
        subprocess.run([sys.executable, "-m", "harness.run", *call], check=True, capture_output=True)

    benchmark.pedantic(command, rounds=3)


# -- the store -------------------------------------------------------------------------------------------------------------


def test_a_store_of_100_000_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = RowSpec("p", "nb201/cifar10", "m", "m", "multi-trial", {}, {}, {}, {}, "c", "mean", "v", 1.0)
    rng = np.random.default_rng(0)
    seconds = np.cumsum(rng.uniform(50, 150, (64, 100)), axis=1)
    accuracy = rng.integers(2_000, 23_000, (64, 100)) / 250
    best = np.maximum.accumulate(accuracy, axis=1)
    with Store(tmp_path, {}) as store:
        start = time.perf_counter()
        for at in range(0, 100_000, 100):
            batch = []
            for world in range(at, at + 100):
                k = world % 64
                changes = [0, *np.flatnonzero(np.diff(best[k])) + 1]
                trace = {
                    "seconds": seconds[k],
                    "accuracy": accuracy[k].astype(np.float32),
                    "proposal_queries": np.array(changes) + 1,
                    "proposal_seconds": seconds[k][changes],
                    **{f"{target}/test": best[k][changes] for target in ("cifar10", "cifar100", "imagenet16-120")},
                }
                scores = {
                    t: {"valid": 90.1, "test": 93.2, "regret": 1.17, "rank": 400.0} for t in ("cifar10", "cifar100", "in16")
                }
                run = spec.run(world)
                result = Result(run.run_id, "done", "|none~0|" * 6, scores, trace, {"queries": 100, "seconds": 1e4}, 0.001)
                batch.append((run, result))
            store.claim(spec, [run for run, _ in batch])
            store.save(spec, batch)
        wrote = time.perf_counter() - start
    size = sum(file.stat().st_size for file in tmp_path.iterdir()) / 1e6
    with Store(tmp_path) as store:
        start = time.perf_counter()
        n = sum(1 for _ in store.rows(spec.identity, trace=False))
        read = time.perf_counter() - start
        start = time.perf_counter()
        assert n == sum(1 for _ in store.rows(spec.identity)) == 100_000
        read_traces = time.perf_counter() - start
    with capsys.disabled():
        print(
            f"\nstore, 100 000 runs with 100-point traces: {size:.0f} MB, written in {wrote:.1f} s,"
            f" read {read:.2f} s, with traces {read_traces:.2f} s; peak memory of this process"
            f" {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
        )
