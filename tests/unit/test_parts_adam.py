"""The Adam of architectures and controllers equals PyTorch's, and imports less."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from methods.one_shot.parts.adam import AdamSteps

SHAPES = ((6, 5), (3,), (2, 2, 2))


def leaves() -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in SHAPES]


def descend(values: list[Tensor], optimiser: AdamSteps | torch.optim.Adam, steps: range, absent: set[tuple[int, int]]) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for k, value in enumerate(values):
            gradient = torch.randn(value.shape, generator=generator)
            value.grad = None if (step, k) in absent else gradient
        optimiser.step()


@given(
    st.floats(1e-4, 1.0),
    st.floats(0.0, 0.95),
    st.sampled_from([1e-8, 1e-3]),
    st.sampled_from([0.0, 1e-3, 0.1]),
    st.sets(st.tuples(st.integers(0, 7), st.integers(0, 2))),
    st.integers(1, 7),
)
def test_every_step_is_that_of_pytorch(
    lr: float, beta: float, eps: float, decay: float, absent: set[tuple[int, int]], resumed: int
) -> None:
    expected, ours = leaves(), leaves()
    reference = torch.optim.Adam(expected, lr=lr, betas=(beta, 0.999), eps=eps, weight_decay=decay)
    descend(expected, reference, range(8), absent)
    first = AdamSteps(ours, lr, (beta, 0.999), eps, decay)
    descend(ours, first, range(resumed), absent)
    second = AdamSteps(ours, lr, (beta, 0.999), eps, decay)
    second.load_state_dict(first.state_dict())
    descend(ours, second, range(resumed, 8), absent)
    assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))


@pytest.mark.slow
def test_a_search_imports_neither_a_compiler_nor_a_reader_of_digits() -> None:
    """Each of the two takes every run about two seconds."""
    program = """
import sys, torch
from benchmarks.images.task import SearchImages
from methods.one_shot.parts.adam import AdamSteps
SearchImages("digits", "nb201", "partner", 0, "cpu").plain("valid", 8, 0)
AdamSteps([torch.zeros(2, requires_grad=True)], 0.1).step()
print([name for name in ("torch._dynamo", "sklearn") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
