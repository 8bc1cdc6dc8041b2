"""A training step of the NAS-Bench-201 supernet, compared with a plain network of the same mathematics, operation by operation.

Processor seconds of one thread, so that other work on the machine counts little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.nb201.macro import Macro
from benchmarks.nb201.network import CONV1, CONV3, KERNEL, ConvNorm, Reduction, pool3
from benchmarks.nb201.space import EDGES, OPS
from benchmarks.nb201.supernet import Supernet
from benchmarks.networks import channels_last as store_channels_last

PAPER = Macro(affine=False)
BATCH = 64
GROUP = f"supernet forward and backward, batch {BATCH}, 32x32, C=16, N=5, one thread (processor time)"


class PlainEdge(nn.Module):
    """The weighted sum of five operations, each by itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.by_op = {op: ConvNorm(channels, channels, KERNEL[op], affine=False) for op in KERNEL}
        self.convs = nn.ModuleDict({str(op): conv for op, conv in self.by_op.items()})
        for conv in self.by_op.values():
            conv.norm = nn.BatchNorm2d(channels, affine=False, track_running_stats=False)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        values = [torch.zeros_like(x), x, self.by_op[CONV1](x), self.by_op[CONV3](x), pool3(x)]
        return sum((w * value for w, value in zip(weights, values, strict=True)), torch.zeros_like(x))


class Plain(nn.Module):
    """The network around them."""

    def __init__(self, macro: Macro) -> None:
        super().__init__()
        widths = [macro.stage(number)[0] for number in range(3)]
        self.stem = ConvNorm(macro.channels, macro.width, macro.stem, relu=False)
        self.stages = [[[PlainEdge(width) for _ in EDGES] for _ in range(macro.depth)] for width in widths]
        self.edges = nn.ModuleList(edge for cells in self.stages for cell in cells for edge in cell)
        self.reductions = nn.ModuleList(Reduction(width, macro.reduction == "residual") for width in widths[:-1])
        self.norm = nn.BatchNorm2d(widths[-1])
        self.classifier = nn.Linear(widths[-1], macro.classes)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        x = self.stem(x)
        for stage, cells in enumerate(self.stages):
            x = self.reductions[stage - 1](x) if stage else x
            for cell in cells:
                nodes = [x]
                for target in (1, 2, 3):
                    into = [edge for edge, (to, _) in enumerate(EDGES) if to == target]
                    nodes.append(sum((cell[edge](nodes[EDGES[edge][1]], weights[edge]) for edge in into), torch.zeros_like(x)))
                x = nodes[-1]
        logits: Tensor = self.classifier(F.relu(self.norm(x)).mean((2, 3)))
        return logits

    def load(self, supernet: Supernet) -> None:
        """Take the supernet's weights."""
        for op in KERNEL:
            named = {name: value.detach() for name, value in supernet.shared_with((op,) * len(EDGES)).items()}
            for stage, cells in enumerate(self.stages):
                for depth, cell in enumerate(cells):
                    for edge, module in enumerate(cell):
                        module.by_op[op].conv.weight.data.copy_(named[f"stages.{stage}.{depth}.{edge}.conv.weight"])
        self.load_state_dict({name: value for name, value in named.items() if not name.startswith("stages.")}, strict=False)


def inputs(macro: Macro, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images, labels, and weights of the operations."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, macro.channels, macro.size, macro.size, generator=generator)
    weights = torch.rand(len(EDGES), len(OPS), generator=generator).softmax(-1)
    return images, torch.arange(batch) % macro.classes, weights.requires_grad_()


def test_both_compute_the_same() -> None:
    macro = Macro(width=4, depth=1, size=8, affine=False)
    supernet, plain = Supernet(macro, seed=1), Plain(macro)
    plain.load(supernet)
    supernet.module.double()
    plain.double()
    images, labels, weights = (x.double() if x.is_floating_point() else x for x in inputs(macro, 6))
    ours, expected = supernet(images, [weights]), plain(images, weights)
    assert torch.allclose(ours, expected, atol=1e-12)
    gradient, expected_gradient = (torch.autograd.grad(F.cross_entropy(y, labels), weights)[0] for y in (ours, expected))
    assert torch.allclose(gradient, expected_gradient, atol=1e-12)


Step = Callable[[], None]


def plain_step(channels_last: bool) -> Step:
    network, (images, labels, weights) = Plain(PAPER), inputs(PAPER, BATCH)
    if channels_last:
        store_channels_last(network)
        images = images.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        F.cross_entropy(network(images, weights), labels).backward()

    return step


def our_step(bf16: bool) -> Step:
    supernet, (images, labels, weights) = Supernet(PAPER, seed=0), inputs(PAPER, BATCH)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = supernet(images, [weights])
        F.cross_entropy(logits.float(), labels).backward()

    return step


STEPS: dict[str, Callable[[], Step]] = {
    "plain": lambda: plain_step(False),
    "plain, channels last": lambda: plain_step(True),
    "ours": lambda: our_step(False),
    "ours, bfloat16": lambda: our_step(True),
}


@pytest.mark.bench
@pytest.mark.benchmark(group=GROUP, timer=time.process_time)
@pytest.mark.parametrize("name", STEPS)
def test_step(benchmark: Any, name: str) -> None:
    torch.set_num_threads(1)
    benchmark.pedantic(STEPS[name](), rounds=5, warmup_rounds=1)
