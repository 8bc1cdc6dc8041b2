"""The 1Shot1 supernet: its mixtures, the networks of architectures in it, and their derivation."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.supernet import SearchMacro, Supernet, _CellModule, _Mixed
from harness.weight_sharing import Active, everything
from tests.plain_darts import ones

TINY = SearchMacro(width=4, channels=1)
SPACES = {number: NB1Shot1Space(number) for number in (1, 2, 3)}


def images(batch: int = 5) -> Tensor:
    return torch.randn(batch, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def double_supernet(number: int, macro: SearchMacro = TINY, seed: int = 1) -> Supernet:
    net = Supernet(SPACES[number], macro, seed=seed)
    net.module.double()
    return net


def plain(net: Supernet, x: Tensor, tables: list[Tensor]) -> Tensor:
    """Return the logits by the paper's sums, with every operation executed."""
    named = {decision.name: table for decision, table in zip(net.decisions, tables, strict=True)}
    network = net._network
    x = network.stem(x)
    for number, cell in enumerate(network.cells):
        assert isinstance(cell, _CellModule)
        if number in (3, 6):
            x = F.max_pool2d(x, 2, 2, 1)
        projected = cell.projection(x)
        c = cell.channels
        values: list[Tensor] = []
        for block in range(1, net.blocks + 1):
            nodes = [projected[:, (block - 1) * c : block * c], *values]
            w = named[f"inputs {block}"][0] if f"inputs {block}" in named else torch.ones(block)
            entering = torch.stack([w[k] * node for k, node in enumerate(nodes)]).sum(0)
            mixed = cell.mixed[block - 1]
            assert isinstance(mixed, _Mixed)
            convs = mixed.convs
            outputs = [convs["0"](entering), convs["1"](entering), F.max_pool2d(entering, 3, 1, 1)]
            values.append(torch.stack([named["operations"][block - 1, op] * y for op, y in enumerate(outputs)]).sum(0))
        w = named["output"][0]
        x = w[0] * projected[:, net.blocks * c :] + torch.cat([w[k] * value for k, value in enumerate(values, 1)], 1)
    x = network.norm(network.last(F.relu(x)))
    logits: Tensor = network.classifier(x.mean((2, 3)))
    return logits


@pytest.mark.parametrize("number", SPACES)
def test_decisions_are_those_of_the_paper(number: int) -> None:
    inputs = {
        1: {"inputs 3": 3, "inputs 4": 4},
        2: {f"inputs {j}": j for j in (2, 3, 4)},
        3: {f"inputs {j}": j for j in range(2, 6)},
    }
    net = double_supernet(number)
    sizes = {decision.name: len(decision.options) for decision in net.decisions}
    assert sizes == {"operations": 3, "output": net.blocks + 1, **inputs[number]}
    assert net.decisions[0].rows == net.blocks == SPACES[number].blocks
    assert [decision.kind for decision in net.decisions] == ["operation"] + ["edge"] * (len(net.decisions) - 1)


@pytest.mark.parametrize("number", SPACES)
def test_a_mixture_equals_the_plain_sums_gradients_too(number: int) -> None:
    net, x = double_supernet(number), images()
    generator = torch.Generator().manual_seed(3)
    start = [
        torch.rand(decision.rows, len(decision.options), generator=generator, dtype=torch.float64) for decision in net.decisions
    ]
    results = []
    forwards: list[Callable[[list[Tensor]], Tensor]] = [lambda w: net(x, w), lambda w: plain(net, x, w)]
    for forward in forwards:
        tables = [table.clone().requires_grad_() for table in start]
        y = forward(tables)
        results.append([y, *torch.autograd.grad(F.cross_entropy(y, torch.arange(len(x))), tables)])
    for ours, expected in zip(*results, strict=True):
        assert torch.allclose(ours, expected, atol=1e-10)


@pytest.mark.parametrize("number", SPACES)
def test_a_sampled_architecture_is_executed_alone(number: int) -> None:
    net, x, rng = double_supernet(number), images(), random.Random(number)
    for _ in range(5):
        arch = SPACES[number].sample(rng)
        assert torch.allclose(net(x, None, net.active_for(arch)), plain(net, x, ones(net, arch)), atol=1e-10)


@pytest.mark.parametrize("number", SPACES)
def test_deriving_from_its_own_weights_gives_the_architecture_back(number: int) -> None:
    net, rng = double_supernet(number), random.Random(5)
    for _ in range(50):
        arch = SPACES[number].sample(rng)
        assert net.derive(ones(net, arch), random.Random(0)) == arch


def test_each_image_may_have_its_own_weights() -> None:
    net, x = double_supernet(2), images()
    net.module.eval()
    generator = torch.Generator().manual_seed(3)
    own = [
        torch.rand(len(x), decision.rows, len(decision.options), generator=generator, dtype=torch.float64)
        for decision in net.decisions
    ]
    together = net(x, own)
    for k in range(len(x)):
        assert torch.allclose(together[k : k + 1], net(x[k : k + 1], [table[k] for table in own]), atol=1e-10)


def test_partial_channels_pass_by_and_are_shuffled() -> None:
    net, x = double_supernet(1, SearchMacro(width=8, channels=1, partial=4)), images()
    cell = net._network.cells[0]
    assert isinstance(cell, _CellModule)
    mixed = cell.mixed[0]
    inputs = torch.randn(2, 8, 4, 4, dtype=torch.float64)
    active = net.active_for(SPACES[1].sample(random.Random(1)))
    block = net._cell(active, None, False, x.device).blocks[0]
    y = mixed(inputs, block)
    bypassed = y.view(2, 2, 4, 4, 4)[:, :, 1:]  # after a shuffle by four, every fourth channel comes from the operation
    expected = inputs[:, 2:].view(2, 3, 2, 4, 4).transpose(1, 2)
    assert torch.equal(bypassed, expected)
    assert net(x).shape == (5, 10)


def test_straight_through_gives_idle_operations_a_gradient() -> None:
    net, x = double_supernet(1), images()
    arch = SPACES[1].sample(random.Random(2))
    tables = [table.requires_grad_() for table in ones(net, arch)]
    y = net(x, tables, net.active_for(arch), straight_through=True)
    assert torch.allclose(y, net(x, None, net.active_for(arch)), atol=1e-12)
    (gradient,) = torch.autograd.grad(F.cross_entropy(y, torch.arange(len(x))), tables[:1])
    reached = [block in SPACES[1].used(arch) for block in range(1, net.blocks + 1)]
    assert (gradient != 0).all(1).tolist() == reached
    assert any(reached)


def test_every_pass_is_charged() -> None:
    passes: list[tuple[Sequence[Active], int, bool]] = []
    net = Supernet(SPACES[3], TINY, charge=lambda *charge: passes.append(charge[:-1]))
    x = images().float()
    net(x)
    with torch.no_grad(), net.unmetered():
        net(x)
    assert passes == [([everything(net.decisions)], 5, True)]
