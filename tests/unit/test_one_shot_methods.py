"""Each weight-sharing method does what its paper or script says, step by step."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness import registry
from harness.testing.toy import ToyProblem, ToySharingProblem
from methods.one_shot.parts import conas, unrolled
from methods.one_shot.parts.architecture import SoftmaxAdam
from methods.one_shot.parts.entropy import entropy
from methods.one_shot.parts.passes import Forward
from methods.one_shot.parts.search import Search
from methods.one_shot.parts.sgd import Sgd, cosine
from methods.one_shot.parts.switches import Switches
from methods.one_shot.parts.training import WeightTraining
from tests import made_search
from tests.made_search import small

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]

SKIP = 1


def started(row: str = "darts:bilevel", **changes: Any) -> Search:
    method = made_search.method(row, **changes)
    return Search(made_search.view(), method)


# -- the second-order gradient ---------------------------------------------------------------------------------------------


def test_the_unrolled_gradient_is_that_of_the_loss_after_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against central differences of ``L_valid(w - lr (momentum buffer + dL_train(w, a) + decay w), a)``, in float64.

    The method's own difference is made finer (D-56): at the published distance it crosses kinks of ReLU, many in a network as
    small as this.
    """
    assert unrolled.DISTANCE == 0.01
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    monkeypatch.setattr(unrolled, "DISTANCE", 1e-6)
    search = started(lr=0.05)
    search.net.module.double()
    search.sgd = Sgd(search.net.module, 0.9, 5e-4, False)
    logits = SoftmaxAdam(search, 3e-4, 1e-3)
    logits.values = [(300 * value.detach().double()).requires_grad_() for value in logits.values]
    (train, valid), *_ = [tuple((x.double(), y) for x, y in pair) for pair in search.task.pairs(16, 0)]
    search.sgd.buffer.normal_(0, 0.01, generator=torch.Generator().manual_seed(3))
    start = search.sgd.flat.clone()

    def after_a_step(values: list[Tensor]) -> float:
        forward = Forward([value.softmax(-1) for value in values])
        search.sgd.zero()
        search.loss(train, forward).backward()
        with torch.no_grad():
            search.sgd.flat.copy_(start - search.lr * (0.9 * search.sgd.buffer + search.sgd.direction()))
            loss = float(search.loss(valid, forward))
            search.sgd.flat.copy_(start)
        return loss

    (gradient,) = unrolled.unrolled_gradient(search, logits, train, valid)
    assert torch.equal(search.sgd.flat, start), "the weights are as they were"
    first_order = torch.autograd.grad(search.loss(valid, Forward(logits.probabilities())), logits.values)[0]
    (value,) = (leaf.detach() for leaf in logits.values)
    for edge, option in ((0, 3), (2, 1), (5, 2)):
        step = torch.zeros_like(value)
        step[edge, option] = 1e-6
        numeric = (after_a_step([value + step]) - after_a_step([value - step])) / 2e-6
        assert float(gradient[edge, option]) == pytest.approx(numeric, rel=1e-3, abs=1e-6)
    assert not torch.allclose(gradient, first_order, rtol=0.05), "second order differs from first order"


# -- DARTS -----------------------------------------------------------------------------------------------------------------


def test_darts_can_collapse_to_skip_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends in a cell without convolutions if its logits prefer skip connections."""
    from methods.one_shot.parts import architecture

    class Preferring(SoftmaxAdam):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            with torch.no_grad():
                self.values[0][:, -4] += 0.5  # the first but for 'none'

    monkeypatch.setattr(architecture, "SoftmaxAdam", Preferring)
    for row in ("darts:bilevel", "darts:second_order"):
        assert made_search.search(row)[0] == (SKIP,) * 6
        assert made_search.search(row, none=False)[0] == (SKIP,) * 6


def test_darts_may_end_with_none_on_an_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    from methods.one_shot.parts import architecture

    class Preferring(SoftmaxAdam):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            with torch.no_grad():
                self.values[0][2, 0] += 1.0  # 'none' if it is one of the operations

    monkeypatch.setattr(architecture, "SoftmaxAdam", Preferring)
    assert made_search.search("darts:bilevel")[0][2] == 0
    assert 0 not in made_search.search("darts:no_none")[0]


@pytest.mark.parametrize(
    ("row", "changes", "first"),
    [
        ("darts:bilevel", {}, "weights"),
        ("darts:second_order", {}, "architecture"),
        ("darts:second_order", {"order": "weights_first"}, "weights"),  # D-40: NATS-Bench's script
        ("gaea_darts:erm", {}, "architecture"),
    ],
)
def test_the_order_of_the_two_steps(row: str, changes: dict[str, Any], first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from methods.one_shot.parts.architecture import SimplexEG

    done: list[str] = []

    def noting(name: str, step: Callable[..., None]) -> Callable[..., None]:
        def noted(*arguments: object) -> None:
            done.append(name)
            step(*arguments)

        return noted

    monkeypatch.setattr(Sgd, "step", noting("weights", Sgd.step))
    for kind in (SoftmaxAdam, SimplexEG):
        monkeypatch.setattr(kind, "step", noting("architecture", kind.step))
    made_search.search(row, epochs=1, **changes)
    assert done[0] == first
    assert done == [first, "architecture" if first == "weights" else "weights"] * (len(done) // 2)


def test_the_clipped_norm_counts_the_gradient_of_the_last_architecture_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts clip all parameters and clear the weights' gradients alone."""
    norms: list[int] = []
    plain = Sgd.clip

    def clip(self: Sgd, norm: float, counted: Iterable[Tensor] = ()) -> None:
        norms.append(len(list(counted)))
        plain(self, norm, counted)

    monkeypatch.setattr(Sgd, "clip", clip)
    made_search.search("darts:bilevel", epochs=1)
    assert set(norms) == {1}
    norms.clear()
    made_search.search("gaea_darts:bilevel", epochs=1)
    assert set(norms) == {0}


# -- schedules -------------------------------------------------------------------------------------------------------------


def test_learning_rates() -> None:
    half = [cosine(epoch, 50, 0.025, 0.001) for epoch in range(25)]
    assert half[0] == 0.025 and half[-1] == pytest.approx(0.0137, abs=1e-3), "D-24: half the way down"
    assert cosine(0 + 1, 100, 0.025, 0.001) < 0.025, "the scheduler steps before the first epoch"
    assert cosine(20, 10, 0.05, 0.0005) == pytest.approx(0.05), "ENAS: down and up again"
    assert cosine(15, 10, 0.05, 0.0005) == pytest.approx(cosine(5, 10, 0.05, 0.0005))
    restarted = [cosine(epoch, 50, 0.025, 0.001, 0.5) for epoch in (0, 49, 50, 100)]
    assert restarted[0] == 0.025 and restarted[2] == 0.0125 and restarted[3] == 0.00625
    assert restarted[1] == pytest.approx(0.001, abs=1e-4)


# -- the floor -------------------------------------------------------------------------------------------------------------


def test_a_random_cell_costs_nothing_and_may_be_without_none() -> None:
    for row, first in (("random_cell", 0), ("random_cell:no_none", 1)):
        counts = Counter[int]()
        for seed in range(400):
            view = made_search.view(seed)
            arch, trace = made_search.search(row, view)
            counts.update(arch)
            assert arch in view.space and not any(trace["spent"].values())
        assert set(counts) == set(range(first, 5))
        assert all(abs(count / (6 * 400) - 1 / (5 - first)) < 0.04 for count in counts.values()), "uniform"


def test_a_random_cell_needs_something_that_knows_its_accuracy() -> None:
    assert made_search.skipped("random_cell") is None and made_search.skipped("random_cell:no_none") is None
    method = made_search.method
    assert method("random_cell").skip(ToyProblem()) is None
    assert "no cells with 'none'" in method("random_cell:no_none").skip(ToyProblem())
    assert "no table" in method("random_cell").skip(ToySharingProblem())


# -- the trace -------------------------------------------------------------------------------------------------------------


def test_entropy_is_one_for_any_number_of_equal_weights() -> None:
    assert entropy([torch.full((6, 5), 0.2)]) == pytest.approx(1.0)
    assert entropy([torch.full((6, 4), 0.25), torch.eye(4)]) == pytest.approx(0.6)
    assert entropy([torch.full((2, 4), 0.25), torch.ones(3, 1)]) == pytest.approx(1.0), "one option is no choice"


@pytest.mark.parametrize("row", ["rsps", "conas", "ista_nas:two_stage", "sparse_nas:hapg"])
def test_methods_without_a_distribution_log_no_entropy(row: str) -> None:
    assert "entropy" not in made_search.search(row)[1]["scalars"]


@pytest.mark.parametrize("row", ["gaea_darts:erm", "gdas", "xnas", "setn"])
def test_a_cell_is_proposed_at_every_epoch_at_its_price(row: str) -> None:
    view = made_search.view()
    made_search.search(row, view)
    epochs = [line for line in view.trace.scalars if "epoch" in line]
    assert [line["epoch"] for line in epochs] == [1, 2]
    assert [proposal.seconds for proposal in view.trace.proposals[:2]] == [line["seconds"] for line in epochs]


# -- validation ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [0, 100, 600, 1100])
def test_every_validation_image_counts_once_in_the_supernets_accuracy(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A last batch that is not full counts by its size: 1 203 images are two batches of 512 and one of 179."""
    search = started("rsps")
    data = torch.randn(1203, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(1203) % 10

    def plain(part: str, batch: int, number: int) -> tuple[Tensor, Tensor]:
        rows = torch.arange(number * batch, (number + 1) * batch) % 1203
        return data[0][rows], data[1][rows]

    monkeypatch.setattr(search.task, "plain", plain)
    monkeypatch.setattr(search.task, "images", {**search.task.images, "plain": 1203})
    monkeypatch.setattr(search, "logits", lambda batch, forward, training: batch.flatten(1)[:, :10])  # each image by itself
    accuracy, loss = search.validate(images=images)
    count = images or 1203
    logits, labels = data[0].flatten(1)[:count, :10], data[1][:count]
    assert accuracy == pytest.approx(100 * float((logits.argmax(-1) == labels).float().mean()), abs=1e-4)
    assert loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    assert sum(len(labels) for _, labels in search.plain(images)) == count


# -- the other methods -----------------------------------------------------------------------------------------------------


def test_one_stage_ista_ends_once_every_node_has_settled() -> None:
    view = made_search.view()
    made_search.search("ista_nas:one_stage", view, epochs=9, settled=1.0, settled_steps=0)
    epochs = [line["epoch"] for line in view.trace.scalars if "epoch" in line]
    assert epochs == [1, 2], "all moved by less than that in the second epoch, the first that is looked at"


def test_ista_deploys_only_what_a_space_can_deploy() -> None:
    assert made_search.skipped("ista_nas:one_stage") is None
    assert "can be deployed" in (made_search.skipped("ista_nas:one_stage", target_cells=20) or "")
    assert made_search.skipped("ista_nas:two_stage", target_cells=20) is None


def test_the_best_epoch_can_be_reported_instead_of_the_last() -> None:
    """D-25. The evaluation of the supernet serves a decision, so it is charged."""
    last, best = (made_search.search("gaea_darts:bilevel", reported=reported)[1] for reported in ("last", "best"))
    assert best["spent"]["seconds"] > last["spent"]["seconds"]


def test_nats_benchs_candidates_are_distinct() -> None:
    method = made_search.method("rsps:nats_2021", candidates=500)
    candidates = method._candidates(started("rsps:nats_2021"))
    assert len(set(candidates)) == 500
    assert len({made_search.method("rsps").sampling, method.sampling}) == 2


def test_conas_measures_on_all_plain_images_if_requested() -> None:
    """D-03. Without the noise of batches, repeated measurements of a cell are equal."""
    method = made_search.method("conas", measured_batches=0, measurements=2)
    search = Search(made_search.view(), method, none=False)
    switches, frozen = Switches(search.net.decisions), dict.fromkeys(range(24), -1)
    _, losses = conas.measured(search, switches, method, frozen, 0)
    assert losses[0] == losses[1]
    _, noisy = conas.measured(search, switches, dataclasses.replace(method, measured_batches=1), frozen, 0)
    assert noisy[0] != noisy[1]


def test_conas_stops_once_every_node_has_inputs() -> None:
    switches = Switches(Search(made_search.view(), made_search.method("conas"), none=False).net.decisions)
    assert not conas.enough(switches, {}, inputs=1)
    first_edges = {0: 1, 4: 1, 12: 1}  # 1<-0, 2<-0, 3<-0
    assert conas.enough(switches, first_edges, inputs=1)
    assert not conas.enough(switches, first_edges, inputs=2)
    assert conas.enough(switches, {**first_edges, 8: 1, 16: 1}, inputs=2), "node 1 has a single edge"


def test_an_edge_is_none_on_purpose_only_if_every_switch_is_off() -> None:
    """D-09. ``none`` is no input in a space that takes several operations on an edge."""
    single = Switches(Search(made_search.view(), made_search.method("conas"), none=False).net.decisions)
    several = Switches([decision._replace(several=True) for decision in single.decisions])
    off = dict.fromkeys(range(24), -1)
    assert conas.enough(single, off, inputs=3) and not conas.enough(several, off, inputs=3)
    assert not conas.enough(single, {**off, 5: 0}, inputs=3), "a switch of edge 2<-0 is undetermined"
    assert conas.enough(single, {**off, 5: 1}, inputs=3) and conas.enough(single, {**off, 5: 1, 6: 0}, inputs=3)


@pytest.mark.parametrize("seed", range(3))
def test_conas_repeats_until_every_edge_is_named(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-09. The losses of half of the edges are so small that the first 13 monomials do not name them."""
    generator = np.random.default_rng(3)
    scales = np.array([1.0, 1.0, 1.0, 0.3, 0.2, 0.1])
    losses = np.concatenate([generator.uniform(0, 1, (6, 4)), np.full((6, 1), 1.1)], 1) * scales[:, None]
    rounds: list[dict[int, int]] = []

    def measured(search: Search, switches: Switches, settings: Any, frozen: dict[int, int], number: int) -> Any:
        rounds.append(dict(frozen))
        codes = np.array([switches.drawn(search.rng, frozen) for _ in range(300)], dtype=float)
        option = np.where((codes > 0).reshape(-1, 6, 4).any(-1), codes.reshape(-1, 6, 4).argmax(-1), 4)
        return codes, 0.3 + losses[np.arange(6), option].sum(1)

    monkeypatch.setattr(conas, "measured", measured)

    def minimiser(row: str) -> tuple[Switches, conas.Minimiser]:
        settings = made_search.method(row, penalty=5.0)
        search = Search(made_search.view(seed), settings, none=False)
        search.rng.seed(seed)
        switches = Switches(search.net.decisions)
        rounds.clear()
        return switches, conas.recovered(search, switches, settings)

    switches, once = minimiser("conas")
    assert len(rounds) == 1 and not conas.enough(switches, once.signs, inputs=3)
    switches, repeated = minimiser("conas:repeated")
    assert 1 < len(rounds) <= 4
    assert len(rounds) == 4 or conas.enough(switches, repeated.signs, inputs=3)
    assert len(repeated.signs) > len(once.signs)
    for frozen, later in zip(rounds, [*rounds[1:], repeated.signs], strict=True):
        assert frozen.items() <= later.items(), "a frozen sign does not change"
    untouched = {edge for edge in range(6) if not any(4 * edge + k in repeated.signs for k in range(4))}
    assert not untouched, "every edge was looked at"


def test_the_released_gaea_gdas_is_a_row() -> None:
    released = made_search.method("gaea_gdas:released")
    paper = made_search.method("gaea_gdas")
    assert (released.arch_lr, released.entropic, released.cooling, released.lr_period) == (0.01, 0.01, "released", 50 / 150)
    assert (paper.arch_lr, paper.entropic, paper.cooling, paper.warmup) == (0.1, 0.0, "linear", 0)
    assert released.track_stats and not paper.track_stats, "D-55"


def test_running_statistics_change_what_gaea_records_and_not_what_it_finds() -> None:
    """D-55: the released configuration keeps them. They matter for ``reported = "best"`` (D-25) alone."""
    without, released = (made_search.search("gaea_darts:bilevel", track_stats=track)[1] for track in (False, True))
    assert released["proposals"] == without["proposals"]
    assert released["scalars"] != without["scalars"]


@pytest.mark.parametrize("name", ["pc_darts", "gaea_pc_darts", "gaea_gdas"])
@pytest.mark.parametrize("warmup", [-0.1, 1.1])
def test_a_warm_up_is_a_share_of_the_schedule(name: str, warmup: float) -> None:
    with pytest.raises(ValueError, match="must be a share of the schedule, from 0 to 1"):
        registry.method(name).cls(warmup=warmup)


def test_a_warm_up_of_another_method_may_be_a_number_of_epochs() -> None:
    @dataclasses.dataclass(frozen=True)
    class Other(WeightTraining):
        warmup: int = 5

    assert Other().warmup == 5
