"""The sparse recovery of CoNAS at its paper's size, and the Lasso of ISTA-NAS that every recovery solves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from methods.one_shot.parts import fourier
from methods.one_shot.parts.sparse_coding import measurement_matrix, recover

pytestmark = pytest.mark.bench

MEASUREMENTS, BITS = 3000, 196
RECOVERY = f"sparse recovery, {MEASUREMENTS} measurements of {BITS} bits"


@pytest.mark.benchmark(group=RECOVERY)
def test_recovery(benchmark: Any) -> None:
    rng = np.random.default_rng(1)
    codes = rng.choice([-1, 1], (MEASUREMENTS, BITS))
    names = fourier.monomials(range(BITS))
    columns = rng.choice(np.arange(1, len(names)), 30, replace=False)
    truth = {(): 1.1, **{names[column]: float(rng.normal(0, 0.03)) for column in columns}}
    losses = sum(c * codes[:, list(m)].prod(axis=1) for m, c in truth.items()) + rng.normal(0, 0.05, MEASUREMENTS)

    def recover_and_minimise() -> dict[int, int]:
        coefficients = fourier.lasso(fourier.parities(codes), losses, penalty=10.0)
        return fourier.minimise(fourier.largest_terms(coefficients, names, 12))

    benchmark.pedantic(recover_and_minimise, rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="exact minimum over 2^22 patterns")
def test_minimum_over_four_million_patterns(benchmark: Any) -> None:
    rng = np.random.default_rng(2)
    chained: dict[tuple[int, ...], float] = {(int(rng.integers(i)), i): float(rng.normal()) for i in range(1, 22)}
    signs = benchmark(lambda: fourier.minimise(chained))
    assert len(signs) == 22


@pytest.mark.benchmark(group="exact Lasso of one ISTA-NAS node (7 x 35)")
def test_exact_lasso(benchmark: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = measurement_matrix(7, 35, generator)
    b = 1e-3 * torch.randn(7, generator=generator, dtype=torch.float64)
    benchmark(lambda: recover(matrix, b))
