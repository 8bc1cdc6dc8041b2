"""The networks that DARTS' genotypes are trained in, against their definition: CIFAR's and ImageNet's, with auxiliary head."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.darts.cell import OPS, inputs
from benchmarks.darts.macro import Macro
from benchmarks.darts.network import Network
from benchmarks.darts.published import published
from benchmarks.darts.space import cells
from tests.originals.layers import cross_entropy
from tests.originals.plain_darts import GENOTYPES, PlainNetwork

MACROS = {
    "cifar": Macro(width=4, depth=5, classes=10, size=32),
    "imagenet": Macro(width=4, depth=4, classes=7, size=224, stem="imagenet"),
}


def network(name: str, macro: Macro) -> Network:
    torch.manual_seed(1)
    net = Network(published()[name], macro).double()
    with torch.no_grad():  # scales away from 1, shifts away from 0
        for value in net.parameters():
            if value.dim() == 1:
                value.add_(0.3 * torch.randn_like(value))
    return net


def plain(net: Network) -> PlainNetwork:
    """Return the plain network with the same weights. An operation of ours is numbered; here its edge names it."""
    kinds = cells(net.arch)
    weights: dict[str, Tensor] = {}
    for name, value in net.named_parameters():
        if ".ops." in name:
            _, number, _, operation, *rest = name.split(".")
            kind = kinds[int(number) in net.macro.reductions]
            edges = [(node, source, OPS[op]) for node in range(2, 6) for op, source in inputs(kind, node)]
            name = ".".join(["cells", number, *map(str, edges[int(operation)]), *rest])
        weights[name] = value
    return PlainNetwork(weights, net.macro.depth, net.macro.stem)


@pytest.mark.parametrize("stem", MACROS)
@pytest.mark.parametrize("name", GENOTYPES)
def test_forward_auxiliary_gradients_and_statistics(name: str, stem: str) -> None:
    macro = MACROS[stem]
    net, genotype = network(name, macro), GENOTYPES[name]
    expected = plain(net)
    generator = torch.Generator().manual_seed(2)
    labels = torch.tensor([3, 1])
    for _ in range(2):
        x = torch.randn(2, 3, macro.size, macro.size, generator=generator, dtype=torch.float64)
        ours, theirs = net(x), expected.logits(x, genotype)
        gradients = []
        for logits, auxiliary in (ours, theirs):
            assert auxiliary is not None
            loss = cross_entropy(logits, labels) + 0.4 * cross_entropy(auxiliary, labels)
            gradients.append(torch.autograd.grad(loss, list(net.parameters())))
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-10)
        for mine, other in zip(*gradients, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-9)
    statistics = {name for name, _ in net.named_buffers() if name.endswith("running_mean")}
    assert len(statistics) == len(expected.means), "each norm has its own"
    net.eval()
    expected.training = False
    with torch.no_grad():
        (mine, head), (other, _) = net(x), expected.logits(x, genotype)
    assert head is None
    torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-10)
