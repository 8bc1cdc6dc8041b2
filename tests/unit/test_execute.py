from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness import protocols
from harness.execute import _interpolate, execute, open_problem, probed
from harness.outcome import Proposal, Trace
from harness.plan import PlannedRow, make
from harness.problem import Judge
from harness.space import Arch

pytestmark = pytest.mark.usefixtures("made")


class LinearJudge(Judge):
    """The test accuracy of an architecture is its only number."""

    optimum = {"t": 100.0}
    stated_set = "101 architectures"
    set_size = {"t": 101}

    def score(self, arch: Arch, world: int = 0) -> dict[str, dict[str, float]]:
        return {"t": {"valid": arch[0] - 1.0, "test": float(arch[0]), "regret": 100.0 - arch[0], "rank": 1.0}}


def interpolated(seconds: list[float], proposals: list[tuple[int, int]], limit: float) -> float:
    trace = Trace(seconds=seconds, proposals=[Proposal(query, seconds[query - 1], (arch,)) for query, arch in proposals])
    judge = LinearJudge()
    scores = _interpolate(trace, [judge.score((arch,)) for _, arch in proposals], limit, judge)["t"]
    assert math.isnan(scores["rank"])
    assert scores["valid"] == pytest.approx(scores["test"] - 1.0)
    assert scores["regret"] == pytest.approx(100.0 - scores["test"])
    return scores["test"]


def test_the_result_at_the_limit_lies_on_the_line_between_the_nearest_incumbents() -> None:
    # after 90 s the incumbent is 50, after 130 s it is 70: at 100 s, a quarter of the way
    assert interpolated([40.0, 90.0, 130.0], [(1, 40), (2, 50), (3, 70)], 100.0) == pytest.approx(55.0)
    # the same incumbent at both ends
    assert interpolated([40.0, 90.0, 130.0], [(1, 40)], 100.0) == pytest.approx(40.0)
    # both nearest queries before the limit: the line is continued, as in the published evaluation
    assert interpolated([80.0, 90.0, 200.0], [(1, 40), (2, 50)], 100.0) == pytest.approx(60.0)


def test_a_search_that_ends_early_is_not_continued_beyond_its_end(tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass M:\n    '''Three queries.'''\n"
        "    reference = ''\n    def search(self, view):\n"
        "        for _ in range(3):\n            view.query(view.space.sample(view.rng))\n"
    )
    for row in rows("nats-2021", str(tmp_path / "short.py"), benchmarks=["nb201/cifar10"], seeds=20):
        for run in row.runs:
            result = execute(row.spec, run)
            assert result.scores["cifar10"]["test"] == result.trace["cifar10/test"][-1]


def test_a_limit_in_another_currency_is_not_interpolated() -> None:
    rules = protocols.protocol("nats-2021").with_budget("queries=20")
    (row,) = make(rules, methods=["random_search"], benchmarks=["nb201/cifar10"], seeds=1).rows
    result = execute(row.spec, row.runs[0])
    assert result.spent["queries"] == 20
    assert result.scores["cifar10"]["test"] == result.trace["cifar10/test"][-1]


def rows(protocol: str, *methods: str, benchmarks: Sequence[str] = (), seeds: int) -> list[PlannedRow]:
    return make(protocols.protocol(protocol), methods=methods, benchmarks=benchmarks, seeds=seeds).rows


def test_nats_keeps_the_crossing_query_and_nb201_does_not_make_it() -> None:
    (nats,) = rows("nats-2021", "random_search", benchmarks=["nb201/cifar10"], seeds=1)
    (nb201,) = rows("nb201-2020", "random_search", seeds=1)
    crossing, refused = execute(nats.spec, nats.runs[0]), execute(nb201.spec, nb201.runs[0])
    assert crossing.trace["seconds"][-1] > 20_000 > crossing.trace["seconds"][-2]
    assert set(crossing.scores) == {"cifar10"}
    assert refused.trace["seconds"][-1] <= 12_000
    assert set(refused.scores) == {"cifar10", "cifar100", "imagenet16-120"}


def test_a_result_accounts_for_every_query() -> None:
    (row,) = rows("smoke", "regularized_evolution", seeds=1)
    result = execute(row.spec, row.runs[0])
    assert result.spent["queries"] == len(result.trace["seconds"]) == len(result.trace["accuracy"])
    assert result.spent["epochs"] == 12 * result.spent["queries"]
    assert result.spent["seconds"] == pytest.approx(result.trace["seconds"][-1])
    assert result.trace["proposal_queries"] == sorted(result.trace["proposal_queries"])
    best = max(range(len(result.trace["accuracy"])), key=lambda i: result.trace["accuracy"][i])
    assert result.trace["proposal_queries"][-1] == best + 1
    assert result.scores["digits"]["test"] == result.trace["digits/test"][-1]


def test_logged_scalars_are_kept_as_columns(tmp_path: Path) -> None:
    (tmp_path / "logs.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass M:\n    '''Logs.'''\n    reference = ''\n"
        "    def search(self, view):\n        view.query(view.space.sample(view.rng))\n"
        "        view.log(entropy=0.5)\n        view.log(loss=2.0, entropy=0.25)\n"
    )
    (row,) = rows("smoke", str(tmp_path / "logs.py"), seeds=1)
    trace = execute(row.spec, row.runs[0]).trace
    assert trace["log/entropy"] == [0.5, 0.25]
    assert math.isnan(trace["log/loss"][0])


def test_probed_architectures_are_judged_and_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "probes.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass M:\n    '''Probes.'''\n    reference = ''\n"
        "    proposes = 'self'\n"
        "    def search(self, view):\n        view.propose((0,) * 6)\n"
        "        view.probe((3,) * 6, 60.0)\n        view.probe((1, 2, 3, 1, 2, 3), 50.0, 1.5)\n"
    )
    (row,) = rows("smoke", str(tmp_path / "probes.py"), seeds=1)
    result = execute(row.spec, row.runs[0])
    assert probed(result.trace) == [(3,) * 6, (1, 2, 3, 1, 2, 3)]
    assert result.trace["probe/shared"] == [60.0, 50.0]
    assert math.isnan(result.trace["probe/shared_loss"][0]) and result.trace["probe/shared_loss"][1] == 1.5
    judge = open_problem(row.spec).judge
    assert result.trace["probe/digits"] == [judge.score(arch, 0)["digits"]["test"] for arch in probed(result.trace)]
    assert len(result.trace["proposal_queries"]) == 1 and "none" in result.arch


def test_the_wall_limit_ends_a_search_and_keeps_what_it_had(tmp_path: Path) -> None:
    (tmp_path / "sleepy.py").write_text(
        "import time\nfrom dataclasses import dataclass\n@dataclass(frozen=True)\nclass M:\n    '''Sleeps.'''\n"
        "    reference = ''\n    def search(self, view):\n"
        "        view.query(view.space.sample(view.rng))\n        time.sleep(30)\n"
    )
    (row,) = rows("smoke", str(tmp_path / "sleepy.py"), seeds=1)
    spec = dataclasses.replace(row.spec, wall_limit_s=0.2)
    result = execute(spec, spec.run(0))
    assert result.status == "timeout"
    assert result.arch
    assert result.wall_seconds < 10
