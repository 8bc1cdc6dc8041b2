"""A search may deliver the trained network of its proposal. The judge tests it; a wrong delivery costs one run."""

from __future__ import annotations

import hashlib
import io
import math
import random
import resource
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.darts import delivered, task
from benchmarks.darts.data import open_data
from benchmarks.darts.macro import Macro
from benchmarks.darts.network import Network
from benchmarks.darts.space import DartsSpace
from benchmarks.darts.stand_alone import StandAlone
from benchmarks.images.augment import STANDARD
from benchmarks.images.dataset import load
from harness import protocols
from harness.checkpoint import File
from harness.delivery import Delivery
from harness.engine import Job, local
from harness.execute import execute, open_problem
from harness.outcome import Result
from harness.packing import pack, unpack
from harness.plan import PlannedRow, make
from tests import made_darts
from tests.made_search import small
from tests.unit.test_engine import bad, results
from tests.unit.test_one_shot_resume import Counter, Killed

__all__ = ["small"]

MACRO = Macro(width=4, depth=3, channels=1, size=8, auxiliary=False)
FAULTS = {
    "nonsense": "no state that torch.save wrote",
    "half": "no state that torch.save wrote",
    "pickle": "no state that torch.save wrote",
    "compressed": "compressed",
    "for_another": "it is the network of",
    "late_proposal": "it is the network of",
    "of_another": "unlike the network of the architecture",
    "for_other_images": "for 10 classes and 3 x 8 x 8 pixels, the test images have 10 and 1 x 8 x 8",
    "wide": "its settings claim a network of",
    "deep": "1,000,000,000 cells",
    "strange_setting": "windows",
    "claims_10_GB": "its stem.0.weight is a part of a larger tensor",
    "other_numbers": "torch.float64",
    "too_many_bytes": "268,435,457 bytes; the limit is 268,435,456",
    "past_the_view": "must be bytes",
}


def planned(*hows: str) -> list[PlannedRow]:
    methods = [f"{bad('delivers')}:{how}" for how in hows]
    return make(protocols.protocol("digits"), methods=methods, benchmarks=["darts/digits"], seeds=1).rows


def test_the_judge_tests_the_delivered_network_and_keeps_its_size_and_digest() -> None:
    (row,) = planned("well")
    result, again = (execute(row.spec, row.runs[0]) for _ in range(2))
    assert result.status == "done", result.error
    score = result.scores["digits"]["single_run"]
    assert 0 < score < 40  # it is untrained
    assert math.isnan(result.scores["digits"]["test"])
    stored = unpack(pack(result.trace))
    assert stored["delivered/bytes"][0] > 4 * result.scores["digits"]["parameters"] / 10
    assert bytes(stored["delivered/sha256"].astype("u1")) == bytes(again.trace["delivered/sha256"])  # type: ignore[arg-type]
    assert len(stored["delivered/sha256"]) == 32
    assert sum(map(len, result.trace.values())) < 100, "the weights are not stored"


def test_the_tested_accuracy_is_that_of_the_images_counted_by_hand() -> None:
    arch = DartsSpace("single").sample(random.Random(3))
    network = StandAlone(Network(arch, MACRO))
    delivery = Delivery(arch, network.weights(), network.settings)
    data = open_data("digits", "test", "cpu")
    with torch.no_grad():
        right = [network(images).argmax(1) == labels for images, labels in data.evaluated(100)]
    expected = 100 * float(torch.cat(right).float().mean())
    assert delivered.accuracy(delivery, "digits", "cpu") == pytest.approx(expected, abs=1e-4)
    assert len(torch.cat(right)) % len(load("digits")[1]) == 0 and STANDARD["digits"].noise


@pytest.mark.parametrize("how", FAULTS)
def test_a_wrong_delivery_costs_its_run_a_line(how: str, tmp_path: Path) -> None:
    (row,) = planned(how)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = execute(row.spec, row.runs[0])
    assert result.status == "failed"
    assert FAULTS[how] in result.error
    assert result.error.startswith("the network that it delivered cannot be judged: ") or how == "too_many_bytes"
    assert "delivered/sha256" not in result.trace and "single_run" not in result.scores.get("digits", {})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 << 20, "KiB: less than 2 GiB more"
    assert not Path("/tmp/delivered-by-a-test").exists()
    if how != "too_many_bytes":
        assert result.arch, "the proposal is judged all the same"
        assert "\n" not in result.error


@pytest.mark.slow
@pytest.mark.parametrize("hows", [("claims_10_GB", "well"), (*FAULTS, "well")])
def test_a_worker_survives_wrong_deliveries(hows: tuple[str, ...]) -> None:
    rows = planned(*hows)
    by_run = results(local, [Job(row.spec, tuple(row.runs)) for row in rows], workers=1)
    ended: Mapping[str, Result] = {row.spec.row: by_run[row.runs[0].run_id] for row in rows}
    assert {name: result.status for name, result in ended.items()} == {
        f"delivers:{how}": "done" if how == "well" else "failed" for how in hows
    }
    assert ended["delivers:well"].scores["digits"]["single_run"] > 0


@pytest.mark.usefixtures("made")
def test_a_judge_that_tests_no_networks_ignores_them() -> None:
    (row,) = make(protocols.protocol("smoke"), methods=["random_search"], seeds=1).rows
    assert open_problem(row.spec).judge.score_network(Delivery((0,) * 6, b"", {}), "cpu") == {}


def test_what_is_no_delivery_is_refused_at_once() -> None:
    view = made_darts.view()
    arch = view.space.sample(random.Random(0))
    for weights, settings in ((bytearray(b"x"), {}), (b"x", {"width": [1]}), ("x", {})):
        with pytest.raises(ValueError, match="deliver: it must be bytes"):
            view.deliver(arch, weights, **settings)  # type: ignore[arg-type]
    assert view.trace.delivery is None


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(task.MACROS, "digits", made_darts.MACRO)


@pytest.mark.usefixtures("small", "narrow")
def test_one_stage_ista_nas_delivers_the_network_that_it_absorbed() -> None:
    """D-15: one run ends in an architecture and all its parameters."""
    view = made_darts.view()
    arch, _ = made_darts.search("ista_nas:one_stage", view)
    delivery = view.trace.delivery
    assert delivery is not None and delivery.arch == arch
    network = delivered.received(delivery, 10, 1, 8).eval()
    (line,) = [line for line in view.trace.scalars if "accuracy_after_absorption" in line]
    images = view.task.images["valid"]
    with torch.no_grad():
        right = [
            (network(batch)[0].argmax(-1) == labels).float().mean()
            for batch, labels in (view.task.plain("valid", images, number) for number in range(1))
        ]
    assert 100 * float(torch.stack(right).mean()) == pytest.approx(line["accuracy_after_absorption"])
    assert delivery.settings["width"] == 4 and delivery.settings["depth"] == 3


@pytest.mark.usefixtures("small", "narrow")
@pytest.mark.parametrize("moment", ["in the last epochs", "after absorption"])
def test_a_search_killed_before_it_was_judged_delivers_the_same_again(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = Counter()
    complete = made_darts.view(meter=passes)
    made_darts.search("ista_nas:one_stage", complete)
    file = File(tmp_path / "search.ckpt", "a run")
    killed = made_darts.view(checkpoint=file, meter=Counter(passes.count - 2 if moment == "in the last epochs" else math.inf))

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with pytest.raises(Killed), monkeypatch.context() as patch:
        if moment == "after absorption":
            patch.setattr(type(killed), "deliver", die)
        made_darts.search("ista_nas:one_stage", killed)
    resumed = made_darts.view(checkpoint=file)
    made_darts.search("ista_nas:one_stage", resumed)
    assert complete.trace.delivery is not None and resumed.trace.delivery == complete.trace.delivery
    assert hashlib.sha256(resumed.trace.delivery.weights).digest() == hashlib.sha256(complete.trace.delivery.weights).digest()


def test_an_auxiliary_head_is_not_delivered() -> None:
    arch = DartsSpace("single").sample(random.Random(0))
    macro = replace(Macro(width=4, depth=3), size=32)
    with_head, without = (StandAlone(Network(arch, replace(macro, auxiliary=auxiliary))) for auxiliary in (True, False))
    names = [set(torch.load(io.BytesIO(network.weights()), weights_only=True)) for network in (with_head, without)]
    assert names[0] == names[1] and with_head.settings == without.settings
    assert delivered.received(Delivery(arch, with_head.weights(), with_head.settings), 10, 3, 32).auxiliary is None
