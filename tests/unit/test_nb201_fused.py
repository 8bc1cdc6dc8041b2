"""The cell with a backward pass written by hand equals the cell that PyTorch differentiates, for every set of operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.nb201 import fused
from benchmarks.nb201.macro import Macro
from benchmarks.nb201.space import EDGES, OPS
from benchmarks.nb201.supernet import Supernet
from methods.one_shot.parts.sgd import Sgd

Run = tuple[tuple[int, ...], ...]
MACRO = Macro(width=4, depth=1, channels=1, size=8, stem=1, reduction="pool", affine=False)
EVERY_OP = st.frozensets(st.sampled_from(range(len(OPS)))).map(lambda ops: tuple(sorted(ops)))
RUNS = st.tuples(*[EVERY_OP] * len(EDGES)) | st.tuples(*[st.sampled_from(range(len(OPS))).map(lambda op: (op,))] * len(EDGES))


def supernet(fuses: bool, bias: bool) -> Supernet:
    net = Supernet(MACRO, seed=2, bias=bias)
    net.module.double()
    for module in net.module.modules():
        if hasattr(module, "_fuses"):
            setattr(module, "_fuses", fuses)  # noqa: B010
    return net


def results(net: Supernet, run: Run, table: Tensor | None, through: bool) -> Sequence[Tensor]:
    """Return the logits with and without gradients, and all gradients, also those of a pass with fixed weights."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(3, 1, 8, 8, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 3, 9])
    tables = None if table is None else [table]

    def logits() -> Tensor:
        return net(x, tables, (run,), straight_through=through)

    def gradients(values: list[Tensor]) -> Sequence[Tensor]:
        loss = F.cross_entropy(logits(), labels)
        return torch.autograd.grad(loss, values, allow_unused=True, materialize_grads=True)

    with torch.no_grad():
        alone = logits()
    weights = list(net.module.parameters())
    both = gradients([*weights, *([] if table is None else [table])])
    with Sgd(net.module, 0.9, 0.0, True).fixed():
        fixed = [] if table is None else gradients([table])
    return [alone, logits().detach(), *both, *fixed]


@settings(deadline=None, max_examples=60)
@given(RUNS, st.sampled_from(["none", "mixture", "straight-through"]), st.booleans(), st.integers(0, 9))
@example(((0,), (0,), (3,), (0,), (0,), (1,)), "straight-through", False, 0)  # node 1 has no input, and a gradient
@example(((), (), (), (), (), ()), "mixture", False, 0)
def test_logits_and_gradients_are_those_of_the_other_cell(run: Run, kind: str, bias: bool, seed: int) -> None:
    table: Any = None
    if kind == "mixture":
        table = torch.rand(len(EDGES), len(OPS), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    elif kind == "straight-through":
        ones = [[float(op in ops) for op in range(len(OPS))] for ops in run]
        table = torch.tensor(ones, dtype=torch.float64)
    if table is not None:
        table.requires_grad_()
    ours, expected = (results(supernet(fuses, bias), run, table, kind == "straight-through") for fuses in (True, False))
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@given(RUNS)
def test_only_edges_that_reach_the_output_are_computed(run: Run) -> None:
    steps = fused.plan(run)
    for step in steps:
        for edge in (*step.skips, *step.pools, *(edge for group in step.groups for edge in group.edges)):
            target = EDGES[edge][0]
            leaves = target == fused.LAST or any((steps[target].skips, steps[target].pools, steps[target].groups))
            assert leaves, f"edge {edge} of {run} ends in a node that nothing leaves"
        for group in step.groups:
            assert all(group.op in run[edge] for edge in group.edges)


def test_an_affine_or_tracking_cell_is_not_computed_by_it() -> None:
    for net in (Supernet(MACRO, track=True), Supernet(MACRO, normed=True), Supernet(replace(MACRO, affine=True))):
        assert not any(getattr(module, "_fuses", False) for module in net.module.modules())
