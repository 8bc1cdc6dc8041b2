"""The second-order architecture gradient: through one virtual step of the weights (DARTS, eq. 7 and 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.device import exact
from harness.steps import Number
from methods.one_shot.parts.architecture import Mixed, Relaxation, mixture

if TYPE_CHECKING:
    from harness.weight_sharing import Batch
    from methods.one_shot.parts.search import Search

DISTANCE = 0.01
"""Distance of the two points of the finite difference, over the norm of the gradient between them (D-56)."""


def unrolled_gradient(
    search: Search,
    architecture: Mixed,
    train: Batch,
    valid: Batch,
    relaxation: Relaxation = mixture,
    rate: Number | None = None,
) -> list[Tensor]:
    """Return ``dL_val(w')/da - lr (dL_train(w+)/da - dL_train(w-)/da) / 2e`` (DARTS, eq. 7 and 8).

    ``w' = w - lr (momentum buffer + dL_train + decay w)``, ``w+- = w +- e dL_val(w')/dw'``, ``e = 0.01 / |dL_val(w')/dw'|``.
    The virtual step has the optimiser's momentum and decay, as in DARTS' code (D-18). Weights, momentum and the statistics of
    norms do not change. All passes are in float32. If the task says so, the gradients by the weights are clipped: that of the
    virtual step, whose factor then also scales the finite difference, and that of the validation loss (D-93).

    Args:
        rate: learning rate of the virtual step (lr); None: that of the search.
    """
    with exact():  # the displaced weights differ by less than the steps of bfloat16, and so do their gradients
        return _unrolled(search, architecture, train, valid, relaxation, search.step_size if rate is None else rate)


def _unrolled(
    search: Search, architecture: Mixed, train: Batch, valid: Batch, relaxation: Relaxation, rate: Number
) -> list[Tensor]:
    sgd, values = search.sgd, architecture.values
    statistics = [buffer.clone() for buffer in search.net.module.buffers()]
    weights = sgd.flat.clone()

    def by_weights(batch: Batch, also: Sequence[Tensor] = ()) -> list[Tensor]:
        """Store the gradients by the weights in the optimiser. Return those by ``also``."""
        sgd.zero()
        before = [value.grad for value in values]
        for value in values:
            value.grad = None
            value.requires_grad_(bool(also))
        search.loss(batch, relaxation(architecture)).backward()
        gradients = [value.grad if value.grad is not None else torch.zeros_like(value) for value in also]
        for value, gradient in zip(values, before, strict=True):
            value.grad = gradient
            value.requires_grad_()
        return gradients

    norm = search.settings.clip if search.task.rules.unrolled_clipped else 0.0
    by_weights(train)
    factor = sgd.clip(norm) if norm else 1.0
    with torch.no_grad():
        sgd.flat.sub_(rate * (sgd.momentum * sgd.buffer + sgd.direction()))
    by_valid = by_weights(valid, values)
    if norm:
        sgd.clip(norm)
    towards = sgd.gradient.clone()
    distance = DISTANCE / torch.linalg.vector_norm(towards).clamp_min(1e-12)
    sides = []
    for sign in (1.0, -1.0):
        with torch.no_grad():
            sgd.flat.copy_(weights + sign * distance * towards)
        with sgd.fixed():  # gradients by the weights would take a third of the pass
            sides.append(torch.autograd.grad(search.loss(train, relaxation(architecture)), values))
    with torch.no_grad():
        sgd.flat.copy_(weights)
        for buffer, before in zip(search.net.module.buffers(), statistics, strict=True):
            buffer.copy_(before)
        return [
            direct - rate * factor * (plus - minus) / (2 * distance)
            for direct, plus, minus in zip(by_valid, *sides, strict=True)
        ]


def architecture_gradient(
    search: Search,
    architecture: Mixed,
    train: Batch,
    valid: Batch,
    second_order: bool,
    relaxation: Relaxation = mixture,
    rate: Number | None = None,
) -> list[Tensor]:
    """Return the gradient of the validation loss by the architecture: first order, or through one step of the weights."""
    if second_order:
        return unrolled_gradient(search, architecture, train, valid, relaxation, rate)
    with search.sgd.fixed():
        return list(torch.autograd.grad(search.loss(valid, relaxation(architecture)), architecture.values))
