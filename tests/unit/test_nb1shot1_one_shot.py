"""Weight sharing on the 1Shot1 spaces: every method of the papers proposes, pays, and goes on after a kill."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.nb1shot1.clock import PASSES
from benchmarks.nb1shot1.executed import executed
from benchmarks.nb1shot1.footprint import footprint
from benchmarks.nb1shot1.macro import DIGITS
from benchmarks.nb1shot1.size import network_size
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.supernet import SearchMacro, Supernet
from benchmarks.nb1shot1.training import NB1Shot1TrainingSide
from harness.budget import BudgetExhausted, Ledger
from harness.checkpoint import File
from harness.errors import UserError
from harness.space import Arch
from harness.testing.toy import ToyProblem
from harness.weight_sharing import Decision, everything
from methods.one_shot.parts import search as frame
from methods.one_shot.parts.architecture import HardGumbel
from methods.one_shot.parts.controller import Adam, Controller
from methods.one_shot.parts.passes import Forward
from methods.one_shot.parts.search import Search
from tests import made_nb1shot1_search, made_search
from tests.made_nb1shot1_search import ROWS, small
from tests.unit.test_one_shot_resume import Counter, Killed

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]


class NB1Shot1Toy(ToyProblem):
    space = NB1Shot1Space(1)
    training = NB1Shot1TrainingSide("digits", 1, None)


@pytest.mark.parametrize("row", ROWS)
def test_it_proposes_every_epoch_pays_and_resumes_to_the_same_end(
    row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame, "CHECKPOINT_SHARE", float("inf"))
    passes = Counter()
    view = made_nb1shot1_search.view(meter=passes)
    expected = made_nb1shot1_search.search(row, view)
    trace = view.trace
    epochs = [line for line in trace.scalars if "epoch" in line]
    assert [line["epoch"] for line in epochs] == [1, 2, 3]
    assert view.budget.spent("seconds") > 0 and view.budget.spent("epochs") >= 3
    ends = [line["seconds"] for line in epochs]
    assert trace.proposals[0].seconds <= ends[0], "a cell is proposed by the end of the first epoch"
    assert all(proposal.arch in view.space for proposal in trace.proposals)
    file = File(tmp_path / "search.ckpt", "a run")
    with pytest.raises(Killed):
        made_nb1shot1_search.search(row, made_nb1shot1_search.view(checkpoint=file, meter=Counter(int(0.8 * passes.count))))
    resumed = Counter()
    assert made_nb1shot1_search.search(row, made_nb1shot1_search.view(checkpoint=file, meter=resumed)) == expected
    assert resumed.count < passes.count


@pytest.mark.parametrize("row", ["pc_darts", "gaea_pc_darts"])
def test_the_architecture_stays_in_the_first_epochs_and_moves_after_them(row: str) -> None:
    view = made_nb1shot1_search.view()
    made_nb1shot1_search.search(row, view, epochs=4, warmup=0.5, arch_lr=0.5)
    epochs = [line for line in view.trace.scalars if "epoch" in line]
    entropies = [line["entropy"] for line in epochs]
    assert entropies[0] == entropies[1] == pytest.approx(1, abs=1e-5)
    assert entropies[3] < entropies[1]
    assert len({line["edge_entropy"] for line in epochs}) == 3, "edges stay and move with the operations"


def test_what_a_space_does_not_offer_is_skipped_with_the_reason() -> None:
    for row in ("pc_darts", "gaea_pc_darts"):
        assert "partial and edges" in (made_search.skipped(row) or "")
    problem = NB1Shot1Toy()
    for name in ("conas", "ista_nas", "setn", "sparse_nas", "xnas"):
        assert "they stand on nodes" in (made_nb1shot1_search.method(name).skip(problem) or "")
    with pytest.raises(UserError, match="have no bias"):
        made_nb1shot1_search.view().task.supernet(bias=True)
    with pytest.raises(UserError, match="4 channels do not fall into 3 equal parts"):
        made_nb1shot1_search.view().task.supernet(partial=3)


@pytest.mark.parametrize(("number", "partial"), [(1, 1), (2, 2), (3, 4)])
def test_the_footprint_counts_what_is_executed(number: int, partial: int) -> None:
    macro = SearchMacro(width=8, channels=3, partial=partial)
    net = Supernet(NB1Shot1Space(number), macro)
    prices = footprint(macro, net.blocks, 32)
    macs = prices.macs_of([everything(net.decisions)])
    counted: list[int] = []

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        pixels = output.shape[2] * output.shape[3] if output.dim() == 4 else 1
        assert isinstance(module, nn.Conv2d | nn.Linear)
        counted.append(pixels * module.weight.numel())

    for module in net.module.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        net(torch.zeros(1, 3, 32, 32))
    assert macs == sum(counted)
    counted.clear()
    arch = NB1Shot1Space(number).at(5)
    with torch.no_grad():
        net(torch.zeros(1, 3, 32, 32), None, net.active_for(arch))
    assert prices.macs_of([net.active_for(arch)]) == sum(counted)
    counted.clear()
    cells = [net.active_for(NB1Shot1Space(number).at(11 * k)) for k in range(net.cells)]
    with torch.no_grad():
        net(torch.zeros(1, 3, 32, 32), None, cells)
    assert prices.macs_of(cells) == sum(counted)


def test_a_pass_costs_its_images_and_operations_and_a_third_without_gradients() -> None:
    charged: list[dict[str, float]] = []

    def record(queries: int = 0, seconds: float = 0.0, epochs: float = 0.0, macs: float = 0.0, **extra: float) -> None:
        charged.append({"seconds": seconds, "epochs": epochs, "macs": macs})

    task = made_nb1shot1_search.view(meter=lambda charge: record).task
    net = task.supernet()
    images = task.plain("valid", 8, 0)[0]
    net(images)
    net(images[:4])
    with torch.no_grad():
        net(images)
    net(images, None, net.active_for(NB1Shot1Space(1).at(0)))
    mixture, half, forward, single = charged
    assert half["seconds"] == pytest.approx(mixture["seconds"] / 2)
    assert forward["seconds"] == pytest.approx(mixture["seconds"] / 3)
    assert single["seconds"] < mixture["seconds"] and single["macs"] < mixture["macs"]
    assert (mixture["epochs"], forward["epochs"]) == (8 / 32, 0)
    assert single["seconds"] == pytest.approx(8 * complete_training(NB1Shot1Space(1).at(0)) / PASSES)


def complete_training(arch: Arch) -> float:
    """Return the seconds of 108 epochs of the cell's own network, by the invented clock."""
    cell = NB1Shot1Space(1).cell(arch)
    parameters = network_size(cell, DIGITS)[0]
    return (
        made_nb1shot1_search.CLOCK.base
        + made_nb1shot1_search.CLOCK.per_parameter * parameters
        + sum(made_nb1shot1_search.CLOCK.per_op[op] for op in cell.ops)
    )


def test_a_pass_of_several_cells_costs_what_the_dearest_topology_costs_with_all_operations() -> None:
    space, works = NB1Shot1Space(1), []
    net = Supernet(space, SearchMacro(width=4, channels=1))
    for topology in range(space.topologies):
        arch = space.at(topology * space.assignments)
        blocks = len(space.used(arch)) - 2
        cells = [space.cell((*arch[:-4], *(op,) * 4)) for op in range(3)]
        sizes = [network_size(cell, DIGITS)[0] for cell in cells]
        pooled = sizes[2]  # pooling has no weights
        parameters = pooled + sum(size - pooled for size in sizes[:2])
        works.append([parameters, sum(cells[0].matrix[0]), blocks, blocks, blocks])
    prices = executed(space, everything(net.decisions), DIGITS)
    np.testing.assert_allclose(prices[:, [0, 2, 3, 4, 5]], works)


def test_loose_ends_are_not_charged() -> None:
    space = NB1Shot1Space(2)
    net = Supernet(space, SearchMacro(width=4, channels=1))
    arch = next(arch for arch in map(space.at, range(10_000)) if len(space.used(arch)) < 6)
    a, b = (executed(space, net.active_for(cell), DIGITS) for cell in (arch, space.without_loose_ends(arch)))
    np.testing.assert_array_equal(a, b)


def test_operations_on_part_of_the_channels_have_the_square_of_that_share() -> None:
    space = NB1Shot1Space(1)
    active = Supernet(space, SearchMacro(width=4, channels=1)).active_for(space.at(0))
    full, part, none = (executed(space, active, DIGITS, partial)[0] for partial in (1, 2, 10**9))
    assert full[0] > part[0] > none[0] and full[1] > part[1] > none[1]
    np.testing.assert_allclose((part - none)[:2] * 4, (full - none)[:2], rtol=1e-6)
    assert (full[2:] == part[2:]).all()


@pytest.mark.parametrize("partial", [1, 2])
def test_gradients_of_the_weights_are_those_of_finite_differences(partial: int) -> None:
    net = Supernet(NB1Shot1Space(2), SearchMacro(width=2, channels=1, stacks=1, depth=1, partial=partial), seed=3)
    net.module.double()
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.randn(4, 1, 4, 4, generator=generator, dtype=torch.float64), torch.arange(4)
    weights = [
        torch.rand(decision.rows, len(decision.options), generator=generator, dtype=torch.float64).requires_grad_()
        for decision in net.decisions
    ]
    assert torch.autograd.gradcheck(lambda *w: F.cross_entropy(net(x, w), labels), weights, eps=1e-6, atol=1e-6)


def test_gdas_draws_one_operation_and_keeps_edges_soft() -> None:
    search = Search(made_nb1shot1_search.view(), made_nb1shot1_search.method("gdas"))
    tables = [
        torch.full((decision.rows, len(decision.options)), 1 / len(decision.options)) for decision in search.net.decisions
    ]
    mixed = type("Mixed", (), {"probabilities": lambda self: tables})()
    forward = HardGumbel(search)(mixed)
    assert isinstance(forward, Forward)
    for decision, table, active in zip(search.net.decisions, forward.weights or (), forward.active or (), strict=True):
        assert torch.allclose(table.sum(-1), torch.ones(decision.rows))
        hard = decision.kind == "operation"
        assert bool(((table == 0) | (table == 1)).all()) == hard
        assert all(len(options) == (1 if hard else len(decision.options)) for options in active)


def test_the_controller_takes_as_many_different_inputs_as_a_node_has() -> None:
    decisions = (
        Decision("operations", 2, ("a", "b", "c")),
        Decision("inputs", 1, ("0", "1", "2", "3"), "edge", picks=3),
    )
    generator = torch.Generator().manual_seed(1)
    controller = Controller(decisions, generator, Adam(0.01), op_bound=0.5)
    drawn = controller.sample(200, generator)
    for operations, inputs in drawn.tables():
        assert operations.sum(1).tolist() == [1, 1]
        assert inputs.tolist() != [[1, 1, 1, 1]] and inputs.sum() == 3 and inputs.max() == 1
    assert drawn.log_probabilities.isfinite().all()
    assert 0.9 < controller.mean_entropy <= 1 + 1e-6
    # near uniform at first: each of the 9 * 24 sequences is about equally likely
    assert drawn.log_probabilities.mean().item() == pytest.approx(-math.log(9 * 24), abs=0.3)
    controller.reinforce(drawn, [1.0] * 200, 5.0)
    assert all(p.isfinite().all() for p in controller.parameters)


def test_finalists_are_ranked_again_on_all_validation_images(monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search(made_nb1shot1_search.view(), made_nb1shot1_search.method("rsps"))
    archs = [NB1Shot1Space(1).at(k) for k in range(4)]
    first = {arch: float(score) for arch, score in zip(archs, (10, 30, 40, 20), strict=True)}
    last = {arch: float(score) for arch, score in zip(archs, (99, 50, 40, 60), strict=True)}
    arch_of = {search.net.active_for(arch): arch for arch in archs}
    numbers: list[int] = []

    def plain(part: str, batch: int, number: int) -> tuple[int, int]:
        numbers.append(number)
        return number, batch

    def score(batch: object, forward: Forward) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(first[arch_of[forward.active]]), torch.tensor(0.0)  # type: ignore[index]

    monkeypatch.setattr(search.task, "plain", plain)
    monkeypatch.setattr(search, "score", score)
    monkeypatch.setattr(search, "validate", lambda forward: (last[arch_of[forward.active]], 0.0))
    assert search.best_of(archs, 16, batches=2) == archs[2]
    assert numbers == list(range(8)), "each on its own batches"
    assert search.best_of(archs, 16, finalists=2) == archs[1]
    assert search.best_of(archs, 16, finalists=3) == archs[3]


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 1.2, 1.6, 3.3])
@pytest.mark.parametrize("row", ["rsps", pytest.param("enas", marks=pytest.mark.slow)])
def test_a_fitted_search_that_selects_at_every_epoch_has_a_proposal_or_is_too_small(row: str, share: float) -> None:
    """The price of the first selection is unknown before it. Later ones are kept, with a margin."""
    own = made_nb1shot1_search.view()
    made_nb1shot1_search.search(row, own, epochs=1)
    limit = share * own.ledger.seconds
    view = made_nb1shot1_search.view(ledger=Ledger("seconds", limit, "fit"))
    with contextlib.suppress(BudgetExhausted):  # includes a budget that is too small
        made_nb1shot1_search.search(row, view)
    assert view.ledger.seconds <= limit
    epochs = [line for line in view.trace.scalars if "epoch" in line]
    assert bool(epochs) == (share >= 1)
    assert view.trace.proposals or share < 1
    if epochs:
        assert "final_supernet_accuracy" in view.trace.scalars[-1], "it ended by itself"
        assert view.ledger.seconds > limit - 1.5 * own.ledger.seconds
