"""The supernet of recurrent cells equals its cells, carries its state, and has DARTS' second-order gradient."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.darts_rnn.cell import ACTIVATIONS, EDGES, activations, cell_of, inputs, pruned
from benchmarks.darts_rnn.dropout import Dropout
from benchmarks.darts_rnn.evaluation import evaluate
from benchmarks.darts_rnn.memory import Memory
from benchmarks.darts_rnn.model import CellStep, slowness
from benchmarks.darts_rnn.published import published
from benchmarks.darts_rnn.size import model_size
from benchmarks.darts_rnn.space import RnnSpace
from benchmarks.darts_rnn.supernet import Supernet, by_row
from benchmarks.darts_rnn.task import Settings
from harness.space import Arch
from harness.training import Meter
from methods.one_shot.parts import unrolled
from methods.one_shot.parts.architecture import SoftmaxAdam, mixture
from methods.one_shot.parts.search import Search
from methods.one_shot.parts.sgd import Sgd
from tests import made_darts_rnn
from tests.made_darts_rnn import short

__all__ = ["short"]
pytestmark = pytest.mark.usefixtures("short")

NO_DROPOUT = Dropout(0.0, 0.0, 0.0, 0.0, 0.0)
TYPES, WIDTH = 30, 6
MIXED = cell_of([[(0, 0), (3, 0)], [], [(3, 2), (1, 0)], *[[(0, 1), (1, 1), (2, 3)]] * 5])


def supernet(dropout: Dropout = NO_DROPOUT, scale: float = 10.0, **choices: bool) -> Supernet:
    """Return a small supernet in double precision with large weights, so that nothing is nearly linear."""
    text = torch.randint(TYPES, (900,), generator=torch.Generator().manual_seed(1))
    net = Supernet(text, TYPES, WIDTH, dropout=dropout, seed=2, **choices)  # type: ignore[arg-type]
    net.module.double()
    with torch.no_grad():
        for value in net.module.parameters():
            value.mul_(scale)
    return net


def places(start: int = 0, length: int = 9, streams: int = 3, rows: int = 300) -> Tensor:
    return (torch.arange(streams)[:, None] * rows + torch.arange(start, start + length)).flatten()


def one_hot(net: Supernet, arch: Arch) -> list[Tensor]:
    first = int(len(net.decisions[0].options) > len(ACTIVATIONS))
    table = torch.zeros(len(EDGES), len(net.decisions[0].options)).double()
    for row, edge in enumerate(arch):
        table[row, [first + number for number in activations(edge)]] = 1.0
    return [table]


def discrete(net: Supernet, arch: Arch, block: Tensor) -> Tensor:
    """Return the logits of the cell as a training from scratch computes them."""
    words = net._text[by_row(block)]
    outputs = net.module.outputs(words, torch.zeros(words.shape[1], WIDTH).double(), CellStep(net.module, arch))
    return net.module.decode(outputs.transpose(0, 1)).flatten(0, 1)


@pytest.mark.parametrize("name", published())
@pytest.mark.parametrize("none", [False, True])
def test_a_one_hot_mixture_without_the_norm_is_the_published_cell(name: str, none: bool) -> None:
    net, arch = supernet(none=none), published()[name]
    net.module.norm = nn.Identity()  # type: ignore[assignment]
    torch.testing.assert_close(net(places(), one_hot(net, arch)), discrete(net, arch, places()))


@pytest.mark.parametrize("arch", [*published().values(), MIXED], ids=[*published(), "mixed"])
def test_a_pass_without_weights_is_the_cell_as_it_is_evaluated(arch: Arch) -> None:
    net = supernet()
    torch.testing.assert_close(net(places(), active=net.active_for(arch)), discrete(net, arch, places()))
    assert net.arch_of(net.active_for(arch)) == arch


def test_the_mixture_is_the_sum_of_its_terms_and_has_one_norm() -> None:
    """Every term apart, as in DARTS' code, with batch statistics at state 0 and at every node."""
    net = supernet()
    model, generator = net.module, torch.Generator().manual_seed(4)
    table = torch.rand(36, 5, generator=generator).double().softmax(-1)
    functions: tuple[Callable[[Tensor], Tensor], ...] = (torch.tanh, torch.relu, torch.sigmoid, lambda x: x)

    def normed(x: Tensor) -> Tensor:
        return (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()

    hidden, states = torch.zeros(3, WIDTH).double(), []
    for row in net._text[by_row(places())]:
        gate, values = (torch.cat([model.embedding[row], hidden], 1) @ model.first).chunk(2, 1)
        nodes = [normed(hidden + gate.sigmoid() * (values.tanh() - hidden))]
        for node in range(1, 9):
            total = torch.zeros(3, WIDTH).double()
            for source in range(node):
                gate, values = (nodes[source] @ model.matrix(node)).chunk(2, 1)
                for number, function in enumerate(functions):
                    term = nodes[source] + gate.sigmoid() * (function(values) - nodes[source])
                    total = total + table[EDGES.index((node, source)), 1 + number] * term
            nodes.append(normed(total))
        hidden = torch.stack(nodes[1:]).mean(0)
        states.append(hidden)
    expected = model.decode(torch.stack(states).transpose(0, 1)).flatten(0, 1)
    torch.testing.assert_close(net(places(), [table]), expected)
    means = [buffer.clone() for name, buffer in model.named_buffers() if name.endswith("running_mean")]
    assert len(means) == 1 and means[0].any()
    assert int(dict(model.named_buffers())["norm.num_batches_tracked"]) == 9 * 9  # state 0 and 8 nodes of 9 tokens


def test_options_that_are_not_executed_count_as_weight_zero_and_add_a_number_straight_through() -> None:
    net, generator = supernet(), torch.Generator().manual_seed(4)
    table = torch.rand(36, 5, generator=generator).double().requires_grad_()
    rows = tuple((random.Random(row).randrange(1, 5),) for row in range(36))
    chosen = torch.zeros_like(table)
    for row, (option,) in enumerate(rows):
        chosen[row, option] = 1.0
    net.module.eval()
    torch.testing.assert_close(net(places(), [table], (rows,)), net(places(), [table * chosen]))
    plain = table * chosen + (1 - chosen) * (table - table.detach())
    numbers = net(places(), [plain], (rows,), straight_through=True)
    torch.testing.assert_close(numbers, net(places(), [table * chosen]))
    (gradient,) = torch.autograd.grad(numbers.sum(), table)
    assert (gradient != 0).sum() > 36


def test_the_state_is_carried_from_block_to_block_and_evaluations_do_not_mix_cells() -> None:
    net, arch = supernet(), published()["DARTS_V1"]
    net.module.eval()
    active, other = net.active_for(arch), net.active_for(published()["DARTS_V2"])
    long = net(places(length=20), active=active).view(3, 20, TYPES)
    parts = [net(places(start, 5), active=active).view(3, 5, TYPES) for start in (0, 5, 10, 15)]
    torch.testing.assert_close(torch.cat(parts, 1), long)
    again = net(places(5, 5), active=active).view(3, 5, TYPES)
    torch.testing.assert_close(again, parts[1])  # a second pass over a block begins with the same state
    fresh = supernet()
    fresh.module.eval()
    torch.testing.assert_close(net(places(5, 5), active=other), fresh(places(5, 5), active=other))
    assert not torch.allclose(again, fresh(places(5, 5), active=active).view(3, 5, TYPES))


def test_evaluating_in_pieces_gives_the_loss_of_the_model() -> None:
    net, arch = supernet(), published()["DARTS_V2"]
    net.module.eval()
    rows = net._text[by_row(places(length=299))]
    score = evaluate(net.module, CellStep(net.module, arch), rows)
    for length in (7, 35):
        losses = 0.0
        for start in range(0, 298, length):
            block = places(start, min(length, 298 - start))
            losses += F.cross_entropy(net(block, active=net.active_for(arch)), net._text[block + 1], reduction="sum").item()
        assert losses / (298 * 3) == pytest.approx(score.loss, abs=1e-12)


def test_the_memory_forgets_the_oldest_state() -> None:
    memory = Memory(2)
    for place in range(3):
        memory.keep(place, torch.tensor(place))
    assert memory.state(0) is None and memory.state(2) is not None


def test_the_penalty_of_slowness_has_its_gradient_and_not_its_value() -> None:
    net, arch = supernet(), published()["DARTS_V1"]
    net._penalised, net._slow = 900, 0.5
    active, parameters = net.active_for(arch), list(net.module.parameters())
    logits = net(places(), active=active)
    torch.testing.assert_close(logits, discrete(net, arch, places()))
    targets = net._text[places() + 1]
    gradients = torch.autograd.grad(F.cross_entropy(logits, targets), parameters)
    words = net._text[by_row(places())]
    outputs = net.module.outputs(words, torch.zeros(3, WIDTH).double(), CellStep(net.module, arch))
    loss = F.cross_entropy(net.module.decode(outputs.transpose(0, 1)).flatten(0, 1), targets) + 0.5 * slowness(outputs)
    for gradient, expected in zip(gradients, torch.autograd.grad(loss, parameters), strict=True):
        torch.testing.assert_close(gradient, expected)
    net._penalised = 0  # a validation text has none
    bare = torch.autograd.grad(F.cross_entropy(net(places(), active=active), targets), parameters)
    assert not torch.allclose(bare[0], gradients[0])


def test_dropouts_are_drawn_in_training_alone_and_follow_the_generator() -> None:
    net = supernet(Dropout())
    active = net.active_for(published()["DARTS_V1"])
    net._noise.manual_seed(1)
    first, second = (net(places(), active=active) for _ in range(2))
    assert not torch.allclose(first, second)
    net._noise.manual_seed(1)
    torch.testing.assert_close(net(places(), active=active), first)
    net.module.eval()
    torch.testing.assert_close(net(places(), active=active), discrete(net, published()["DARTS_V1"], places()))


def test_a_pass_costs_the_multiply_adds_of_its_cell() -> None:
    net = supernet()
    charged: list[tuple[float, int, bool]] = []

    def charge(macs: float, tokens: int, training: bool, meter: Meter) -> None:
        charged.append((macs, tokens, training))

    net._charge = charge
    for arch in (published()["DARTS_V1"], MIXED):
        net(places(), active=net.active_for(arch))
        assert charged == [(model_size(pruned(arch), WIDTH, TYPES).macs, 27, True)]
        charged.clear()
    with torch.no_grad():
        net(places(), one_hot(net, published()["DARTS_V1"]))
    assert charged == [((4 + 2 * 36) * WIDTH**2 + TYPES * WIDTH, 27, False)]


def test_darts_choice_is_the_best_predecessor_of_each_node_with_its_best_activation() -> None:
    net, scores = supernet(), torch.rand(36, 5, generator=torch.Generator().manual_seed(0))
    scores[:, 0] = 2.0  # none takes no part
    arch = net.derive([scores], random.Random(0))
    assert arch in RnnSpace()
    for node in range(1, 9):
        ((number, source),) = inputs(arch, node)
        best = max(scores[EDGES.index((node, before)), 1 + f].item() for before in range(node) for f in range(4))
        assert scores[EDGES.index((node, source)), 1 + number].item() == best


def test_tokens_cannot_have_weights_each() -> None:
    net = supernet()
    with pytest.raises(ValueError, match="cannot have weights each"):
        net(places(), [torch.ones(27, 36, 5).double()])


def test_the_second_order_gradient_is_that_of_the_loss_after_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finite differences of ``L_val(w - lr (dL_train + decay w))`` (DARTS, eq. 7), with a smooth function in ReLU's place.

    No norm is above the largest here: clipping is no part of the equation. Half a block has half the rate.
    """
    lr, decay, step = 0.5, 1e-2, 1e-6
    smooth = (torch.tanh, F.softplus, torch.sigmoid, lambda x: x)
    monkeypatch.setattr("benchmarks.darts_rnn.mixture.FUNCTIONS", smooth)
    method = made_darts_rnn.method("darts:second_order", clip=1e9)
    search = Search(made_darts_rnn.view(settings=Settings(4, 3, NO_DROPOUT, slowness=0.0)), method, none=True)
    net = search.net
    net.module.double()
    search.sgd, search.lr = Sgd(net.module, 0.0, decay, False), lr
    flat = search.sgd.flat
    with torch.no_grad():
        flat.mul_(5.0)
    logits = SoftmaxAdam(search, 3e-3, 1e-3)
    logits.values = [logits.values[0].detach().double().requires_grad_()]
    monkeypatch.setattr(search, "logits", lambda images, forward: net(images, forward.weights))
    monkeypatch.setattr(unrolled, "DISTANCE", 1e-6)
    ((train, valid), *_) = search.task.pairs(24, 0)
    search.task.rate_factor = 0.5
    before = flat.clone()
    (gradient,) = unrolled.unrolled_gradient(search, logits, train, valid)
    assert torch.equal(flat, before)
    (first_order,) = torch.autograd.grad(search.loss(valid, mixture(logits)), logits.values)
    parameters = list(net.module.parameters())

    def after_a_step(values: Tensor) -> float:
        weights = [values.softmax(-1)]
        gradients = torch.autograd.grad(F.cross_entropy(net(train[0], weights), train[1]), parameters)
        with torch.no_grad():
            flat.sub_(0.5 * lr * (torch.cat([part.flatten() for part in gradients]) + decay * flat))
            loss = F.cross_entropy(net(valid[0], weights), valid[1]).item()
            flat.copy_(before)
        return loss

    for row, option in ((0, 1), (3, 2), (20, 3), (35, 4), (10, 0)):
        ends = []
        for sign in (1, -1):
            moved = logits.values[0].detach().clone()
            moved[row, option] += sign * step
            ends.append(after_a_step(moved))
        assert gradient[row, option].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-3, abs=1e-9)
    assert (gradient - first_order).norm() > 0.01 * first_order.norm(), "the second order matters here"
