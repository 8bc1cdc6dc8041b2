"""Steps and solvers of the methods, against loops that are written as the papers' equations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import Tensor

from benchmarks.nb201.macro import Macro
from benchmarks.nb201.supernet import Supernet
from harness.weight_sharing import Rules
from methods.multi_trial.bohb import CategoricalDensity
from methods.one_shot.parts.architecture import SimplexEG, SoftmaxAdam
from methods.one_shot.parts.experts import Experts
from methods.one_shot.parts.fourier import largest_terms, lasso, minimise, monomials, parities
from methods.one_shot.parts.passes import Forward
from methods.one_shot.parts.proximal import AdamHapg, Hapg
from methods.one_shot.parts.sgd import Sgd
from methods.one_shot.parts.unrolled import unrolled_gradient
from tests.originals.layers import cross_entropy, softmax

# -- CoNAS -----------------------------------------------------------------------------------------------------------------


def solved(features: np.ndarray, values: np.ndarray, penalty: float) -> np.ndarray:
    """Minimise ``1/2 |y - A u|^2 + a |u|_1`` over u = plus - minus, both nonnegative, by a bounded quasi-Newton method."""

    def objective(halves: np.ndarray) -> tuple[float, np.ndarray]:
        plus, minus = np.split(halves, 2)
        residual = values - features @ (plus - minus)
        slope = features.T @ residual
        return 0.5 * residual @ residual + penalty * halves.sum(), penalty + np.concatenate([-slope, slope])

    start = np.zeros(2 * features.shape[1])
    options = {"ftol": 1e-16, "gtol": 1e-9, "maxiter": 20_000, "maxfun": 100_000}
    plus, minus = np.split(
        optimize.minimize(objective, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start), options=options).x, 2
    )
    return np.asarray(plus - minus)


@pytest.mark.parametrize("seed", range(3))
def test_the_recovery_of_conas_on_random_sparse_functions(seed: int) -> None:
    """24 switches, 300 measurements: the same monomials, coefficients and minimiser as by a smooth solver and all patterns."""
    rng = np.random.default_rng(seed)
    names = [(), *((i,) for i in range(24)), *itertools.combinations(range(24), 2)]
    codes = rng.choice([-1, 1], (300, 24))
    columns = np.array([[math.prod(int(code[i]) for i in name) for name in names] for code in codes], dtype=float)
    truth = np.zeros(301)
    truth[0] = 1.3
    truth[rng.choice(np.arange(1, 301), 7, replace=False)] = rng.choice([-1, 1], 7) * rng.uniform(0.1, 0.3, 7)
    values = columns @ truth + rng.normal(0, 0.05, 300)
    expected = solved(columns, values, 5.0)
    order = sorted(range(301), key=lambda k: -abs(expected[k]))[:8]
    assert {names[k] for k in order} == {names[k] for k in np.flatnonzero(truth)}
    expansion = largest_terms(lasso(parities(codes), values, 5.0), monomials(range(24)), 8)
    assert expansion == pytest.approx({names[k]: expected[k] for k in order}, abs=1e-6)
    positions = sorted({i for k in order for i in names[k]})

    def value(signs: tuple[int, ...]) -> float:
        sign = dict(zip(positions, signs, strict=True))
        return float(sum(expected[k] * math.prod(sign[i] for i in names[k]) for k in order))

    patterns = list(itertools.product([1, -1], repeat=len(positions)))
    best = min(map(value, patterns))
    signs = minimise(expansion)
    assert sorted(signs) == positions
    assert value(tuple(signs[i] for i in positions)) == pytest.approx(best, abs=1e-6)


# -- SparseNAS -------------------------------------------------------------------------------------------------------------

GROUPS = [range(0, 14), range(14, 35)]
"""Weights that enter the first two nodes of a DARTS cell: 14 and 21."""


def printed_prox(z: list[float], steps: list[float], strength: float, mixture: float) -> list[float]:
    """Return the soft threshold of each entry, then of each group by the median of its steps."""
    q = [math.copysign(max(abs(value) - step * strength * mixture, 0.0), value) for value, step in zip(z, steps, strict=True)]
    point = [0.0] * len(z)
    for group in GROUPS:
        ordered = sorted(steps[i] for i in group)
        middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        norm = math.sqrt(sum(q[i] ** 2 for i in group))
        bound = math.sqrt(len(group)) * middle * strength * (1 - mixture)
        for i in group:
            point[i] = max(0.0, 1 - bound / norm) * q[i] if norm > 0 else 0.0
    return point


@pytest.mark.parametrize("adam", [False, True])
def test_hapg_and_adam_hapg_for_sixty_steps(adam: bool) -> None:
    """Equations 6 to 8 with their v; AdamHAPG replaces the gradient step by Adam's with decay rates .5 and .999."""
    generator = torch.Generator().manual_seed(1)
    slope, target = 0.5 + torch.rand(35, generator=generator).double(), torch.randn(35, generator=generator).double()
    target[::3] = 0
    weights = torch.full((5, 7), 1 / 7, dtype=torch.float64)
    rate, strength = (0.02, 0.3) if adam else (0.1, 0.2)
    optimiser = (AdamHapg if adam else Hapg)(weights, [14, 21], 0.5)
    printed, v, mean, square = [1 / 7] * 35, [0.0] * 35, [0.0] * 35, [0.0] * 35
    zeros = 0
    for t in range(1, 61):
        noise = 0.3 * torch.randn(35, generator=generator).double()
        optimiser.step((slope * (weights.flatten() - target) + noise).view(5, 7), rate, strength)
        g = [float(slope[i]) * (printed[i] - float(target[i])) + float(noise[i]) for i in range(35)]
        steps = [rate] * 35
        if adam:
            mean = [0.5 * m + 0.5 * gi for m, gi in zip(mean, g, strict=True)]
            square = [0.999 * s + 0.001 * gi**2 for s, gi in zip(square, g, strict=True)]
            steps = [rate / (math.sqrt(s / (1 - 0.999**t)) + 1e-8) for s in square]
            g = [m / (1 - 0.5**t) for m in mean]
        z = [a - step * gi for a, step, gi in zip(printed, steps, g, strict=True)]
        point = printed_prox(z, steps, strength, 0.5)
        before = (t - 3) / t  # u of the step before
        v = [p - a + before * vi for p, a, vi in zip(point, printed, v, strict=True)]
        printed = [p + (t - 2) / (t + 1) * vi for p, vi in zip(point, v, strict=True)]
        assert weights.flatten().tolist() == pytest.approx(printed, abs=1e-10)
        assert optimiser.sparse.flatten().tolist() == pytest.approx(point, abs=1e-10)
        zeros += point.count(0.0)
    assert 0 < zeros < 60 * 35


# -- DARTS, second order ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [0.0, 0.3])
def test_the_second_order_gradient_is_the_released_formula(clip: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a momentum buffer and weight decay: w' = w - lr (.9 buffer + gradient + decay w), and R = .01 / |dL_valid(w')|.

    The code for recurrent cells clips the first gradient, whose factor also scales the finite difference, and the second
    (D-93). The rate of a block of text is in proportion to its length; it is .05 here.
    """
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    net = Supernet(Macro(width=2, depth=1, channels=1, size=4, stem=1, reduction="pool", affine=False), seed=1)
    net.module.double()
    generator = torch.Generator().manual_seed(2)
    sgd = Sgd(net.module, 0.9, 0.1, False)
    sgd.buffer.copy_(torch.randn(sgd.buffer.shape, generator=generator))
    batches = [(torch.randn(6, 1, 4, 4, generator=generator, dtype=torch.float64), torch.arange(6) + start) for start in (0, 3)]
    logits = torch.randn(6, 5, generator=generator, dtype=torch.float64).requires_grad_()

    def loss(batch: tuple[Tensor, Tensor], forward: Forward) -> Tensor:
        return cross_entropy(net(batch[0], forward.weights), batch[1])

    search: Any = SimpleNamespace(net=net, sgd=sgd, step_size=0.05, loss=loss, device=torch.device("cpu"))
    search.task, search.settings = SimpleNamespace(rules=Rules(unrolled_clipped=clip > 0)), SimpleNamespace(clip=clip or 9.0)
    search.new_generator = lambda name: torch.Generator().manual_seed(0)
    architecture = SoftmaxAdam(search, 1e-3, 1e-3)
    architecture.values = [logits]
    (ours,) = unrolled_gradient(search, architecture, batches[0], batches[1])

    parameters = list(net.module.parameters())
    start = [p.detach().clone() for p in parameters]
    buffers = [sgd.buffer.as_strided(p.shape, p.stride(), p.storage_offset()) for p in parameters]  # weights are views

    def put(values: list[Tensor]) -> None:
        with torch.no_grad():
            for p, value in zip(parameters, values, strict=True):
                p.copy_(value)

    def by(batch: int, wanted: Sequence[Tensor]) -> list[Tensor]:
        value = cross_entropy(net(batches[batch][0], [softmax(logits)]), batches[batch][1])
        return list(torch.autograd.grad(value, wanted, allow_unused=True, materialize_grads=True))

    def clipped(values: list[Tensor]) -> tuple[list[Tensor], float]:
        norm = math.sqrt(sum(float(value.square().sum()) for value in values))
        factor = min(1.0, clip / (norm + 1e-6)) if clip else 1.0
        return [factor * value for value in values], factor

    of_train, factor = clipped(by(0, parameters))
    put([w - 0.05 * (0.9 * m + g + 0.1 * w) for w, m, g in zip(start, buffers, of_train, strict=True)])
    direct, *of_valid = by(1, [logits, *parameters])
    of_valid, again = clipped(of_valid)
    assert (factor < 0.9 and again < 0.9) if clip else factor == again == 1
    r = 0.01 / math.sqrt(sum(float(g.square().sum()) for g in of_valid))
    put([w + r * g for w, g in zip(start, of_valid, strict=True)])
    (plus,) = by(0, [logits])
    put([w - r * g for w, g in zip(start, of_valid, strict=True)])
    (minus,) = by(0, [logits])
    put(start)
    implicit = 0.05 * factor * (plus - minus) / (2 * r)
    torch.testing.assert_close(ours, direct - implicit, rtol=1e-8, atol=1e-12)
    assert implicit.norm() > 1e-3 * direct.norm()


# -- GAEA ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clamps_last", [False, True])
def test_a_hundred_steps_of_exponentiated_gradient(clamps_last: bool) -> None:
    """theta exp(-rate g), clamped at 1e-5 before the rows are normalised (DARTS, PC-DARTS) or after it (GDAS)."""
    net = Supernet(Macro(width=2, depth=1, channels=1, size=4, stem=1, reduction="pool", affine=False), none=False)
    search: Any = SimpleNamespace(net=net, device=torch.device("cpu"))
    simplex = SimplexEG(search, 0.1, "normalise_clamp" if clamps_last else "clamp_normalise")
    simplex.values = [value.detach().double().requires_grad_() for value in simplex.values]
    theta = [[0.25] * 4 for _ in range(6)]
    generator = torch.Generator().manual_seed(3)
    worth = 3 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
    for _ in range(100):
        gradient = worth + torch.randn(6, 4, generator=generator, dtype=torch.float64)
        simplex.step([gradient])
        for row in range(6):
            product = [p * math.exp(-0.1 * float(g)) for p, g in zip(theta[row], gradient[row], strict=True)]
            if clamps_last:
                total = sum(product)
                theta[row] = [max(p / total, 1e-5) for p in product]
            else:
                raised = [max(p, 1e-5) for p in product]
                theta[row] = [p / sum(raised) for p in raised]
        torch.testing.assert_close(simplex.values[0].detach(), torch.tensor(theta, dtype=torch.float64), rtol=1e-9, atol=0)
    assert min(map(min, theta)) < 1.1e-5, "the floor is reached"


# -- XNAS ------------------------------------------------------------------------------------------------------------------


def test_wipe_out_round_by_round() -> None:
    """v exp(rate r) with r clipped to [-L, L]; then all below max v exp(-2 rate L (T - t)) are removed for good."""
    rounds, bound = 200, 0.5
    rate = math.sqrt(2 * math.log(4) / (rounds * bound**2))
    experts = Experts(3, 4, rounds, bound)
    v = [[1.0] * 4 for _ in range(3)]
    generator = torch.Generator().manual_seed(1)
    worth = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    removed: list[int] = []
    for t in range(1, rounds + 1):
        rewards = 0.3 * worth + 0.4 * torch.randn(3, 4, generator=generator, dtype=torch.float64)
        experts.step(rewards[None])
        for edge in range(3):
            clipped = [max(-bound, min(bound, float(r))) for r in rewards[edge]]
            v[edge] = [weight * math.exp(rate * r) for weight, r in zip(v[edge], clipped, strict=True)]
            threshold = max(v[edge]) * math.exp(-2 * rate * bound * (rounds - t))
            v[edge] = [weight if weight >= threshold else 0.0 for weight in v[edge]]
        expected = [[weight / sum(row) for weight in row] for row in v]
        torch.testing.assert_close(experts.mixture, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=0)
        removed.append(sum(row.count(0.0) for row in v))
    assert removed[rounds // 4] < removed[-1] == 9, "at the end each edge has a single expert"


# -- BOHB ------------------------------------------------------------------------------------------------------------------


def density(data: np.ndarray, point: list[int], least: float) -> float:
    """Return the kernel density of statsmodels for unordered variables, kernel by kernel.

    The bandwidth is the normal reference rule, 1.06 sd n^(-1/(4+d)), raised to ``least``. The number of levels is that in the
    data, so that a variable with a single level divides by zero: its kernel is infinite at another value.
    """
    n, d = data.shape
    widths = [max(1.06 * float(np.std(data[:, j])) * n ** (-1 / (4 + d)), least) for j in range(d)]
    total = np.float64(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(n):
            product = np.float64(1)
            for j in range(d):
                levels = len(set(data[:, j].tolist()))
                same = data[i, j] == point[j]
                product *= np.float64(1 - widths[j]) if same else np.float64(widths[j]) / np.float64(levels - 1)
            total += product
    return float(total / n)


def test_three_thousand_densities_of_bohb() -> None:
    """Also those that are infinite, negative or not a number; the positions have five categories, or two."""
    rng = np.random.default_rng(1)
    kinds = {"finite": 0, "negative": 0, "infinite": 0, "nan": 0}
    for trial in range(100):
        sizes = [5, 5, 2, 5, 3, 2]
        n = int(rng.integers(7, 15))
        data = np.stack([rng.integers(0, size, n) for size in sizes], axis=1)
        if trial % 2:
            data[:, 0] = 3  # a single category
        if trial % 3 == 0:
            data[:, 1] = np.where(rng.random(n) < 0.5, 0, 4)  # a bandwidth above 1
        points = [[int(rng.integers(0, size)) for size in sizes] for _ in range(30)]
        ours = CategoricalDensity(data, 0.3, sizes).at([tuple(point) for point in points])
        expected = [density(data, point, 0.3) for point in points]
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-300)
        for value in expected:
            kind = "nan" if math.isnan(value) else "infinite" if math.isinf(value) else "negative" if value < 0 else "finite"
            kinds[kind] += 1
    assert sum(kinds.values()) == 3000
    assert min(kinds.values()) >= 5, kinds
