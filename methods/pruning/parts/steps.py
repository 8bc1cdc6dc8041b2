"""Steps of the optimisers on many penalised networks at once: a group of weights is a row of a matrix."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from harness.steps import Number
from methods.one_shot.parts.proximal import AdamHapg, Hapg, soft_threshold

BETAS = (0.5, 0.999)
"""The paper's momentum of Adam."""


class Steps(ABC):
    """An optimiser of several networks, each under its own strength of the penalty.

    Args:
        weights: weights (networks, inputs, outputs) of each layer; a group is the outputs of an input. They change in place.
        biases: biases (networks, 1, outputs) of each layer, which have no penalty (D-122). They change in place.
        strengths: strength of the penalty for each network.
        mixture: share of the l1 term.
    """

    def __init__(self, weights: list[Tensor], biases: list[Tensor], strengths: Sequence[float], mixture: float) -> None:
        self.weights, self.biases, self.mixture = weights, biases, mixture
        each = weights[0].new_tensor(strengths)
        self.strengths = [each.repeat_interleave(layer.shape[1]) for layer in weights]
        """Strength of each group of each layer."""

    @abstractmethod
    def step(self, weights: list[Tensor], biases: list[Tensor], rate: float) -> None:
        """Take a step with these gradients of the loss without penalty."""

    @property
    def sparse(self) -> list[Tensor]:
        """Return the weights whose zeros are pruned."""
        return self.weights


class Gradient(Steps):
    """SGD with momentum 0.9, or Adam, along the gradient of loss and penalty."""

    def __init__(
        self, weights: list[Tensor], biases: list[Tensor], strengths: Sequence[float], mixture: float, *, adam: bool
    ) -> None:
        super().__init__(weights, biases, strengths, mixture)
        parameters = [*weights, *biases]
        self._optimizer: torch.optim.Optimizer = (
            torch.optim.Adam(parameters, betas=BETAS, fused=True) if adam else torch.optim.SGD(parameters, momentum=0.9)
        )

    def step(self, weights: list[Tensor], biases: list[Tensor], rate: float) -> None:
        for layer, gradient, strengths in zip(self.weights, weights, self.strengths, strict=True):
            layer.grad = gradient + slope(layer.flatten(0, 1), strengths, self.mixture).view_as(layer)
        for bias, gradient in zip(self.biases, biases, strict=True):
            bias.grad = gradient
        self._optimizer.param_groups[0]["lr"] = rate
        self._optimizer.step()


class Proximal(Steps):
    """HAPG or AdamHAPG. The biases of a layer are one more group of each network, without a penalty."""

    def __init__(
        self, weights: list[Tensor], biases: list[Tensor], strengths: Sequence[float], mixture: float, *, adam: bool
    ) -> None:
        super().__init__(weights, biases, strengths, mixture)
        kind = GroupedAdamHapg if adam else GroupedHapg
        self._layers = []
        for weight, bias, of_groups in zip(weights, biases, self.strengths, strict=True):
            penalised = torch.cat([of_groups.view(len(weight), -1), bias.new_zeros(len(bias), 1)], 1)
            self._layers.append(kind(_rows(weight, bias), penalised.flatten(), mixture))

    def step(self, weights: list[Tensor], biases: list[Tensor], rate: float) -> None:
        for layer, *gradients in zip(self._layers, weights, biases, strict=True):
            layer.step(_rows(*gradients), rate, 1.0)
        for layer, weight, bias in zip(self._layers, self.weights, self.biases, strict=True):
            values = layer.weights.view(len(weight), -1, weight.shape[2])
            weight.copy_(values[:, :-1])
            bias.copy_(values[:, -1:])

    @property
    def sparse(self) -> list[Tensor]:
        """Return the proximal points, whose zeros are exact (D-17)."""
        return [
            layer.sparse.view(len(weight), -1, weight.shape[2])[:, :-1]
            for layer, weight in zip(self._layers, self.weights, strict=True)
        ]


def _rows(weights: Tensor, biases: Tensor) -> Tensor:
    """Return the weights of each unit of a layer and then its biases, network by network: (groups, outputs)."""
    return torch.cat([weights, biases], 1).flatten(0, 1)


class GroupedHapg(Hapg):
    """:class:`Hapg` on groups of equal length, computed together, each under its own strength.

    Args:
        weights: (groups, length). They change in place.
        strengths: (groups,).
        mixture: share of the l1 term.
    """

    def __init__(self, weights: Tensor, strengths: Tensor, mixture: float) -> None:
        super().__init__(weights, [weights.shape[1]] * len(weights), mixture)
        self.strengths = strengths

    def step(self, gradient: Tensor, rate: Number, strength: Number, numbers: Sequence[Number] | None = None) -> None:
        """Take one step along the gradient of the loss. The strength of each group is multiplied by ``strength``."""
        momentum, *more = self.advance() if numbers is None else numbers
        rates, direction = self._direction(gradient, rate, more)
        point = grouped_prox(
            self.weights - rates * direction, rates, self._of_groups(rates), strength * self.strengths, self.mixture
        )
        self.weights.copy_(point + momentum * (point - self.sparse))
        self.sparse.copy_(point)

    def _of_groups(self, rates: Tensor) -> Tensor:
        """Return the step size of each group, (groups,): that of all its entries."""
        return rates[:, 0]


class GroupedAdamHapg(GroupedHapg, AdamHapg):
    """:class:`AdamHapg` on groups of equal length, computed together."""

    def _of_groups(self, rates: Tensor) -> Tensor:
        """Return the median step size of each group, (groups,): the mean of the middle two if their number is even."""
        length = rates.shape[1]
        middle: Tensor = rates.sort(1).values[:, (length - 1) // 2 : length // 2 + 1]
        return middle.mean(1)


def grouped_prox(z: Tensor, steps: Tensor, of_groups: Tensor, strengths: Tensor, mixture: float) -> Tensor:
    """Return :func:`methods.one_shot.parts.proximal.hierarchical_prox` of each row of ``z``, a group (groups, length).

    Args:
        steps: step size of each entry, (groups, length).
        of_groups: step size of each group.
        strengths: strength of the penalty for each group.
    """
    entries = soft_threshold(z, steps * (strengths * mixture).unsqueeze(1))
    bounds = math.sqrt(z.shape[1]) * (1 - mixture) * of_groups * strengths
    norms: Tensor = torch.linalg.vector_norm(entries, dim=1)
    remaining: Tensor = (1 - bounds / norms).clamp_min_(0.0).nan_to_num_()  # 0 / 0 for a group of zeros without a penalty
    return entries * remaining.unsqueeze(1)


def slope(weights: Tensor, strengths: Tensor, mixture: float) -> Tensor:
    """Return the gradient of the sparse group lasso; 0 where it has none, at a weight or a group of zeros.

    Args:
        weights: (groups, length).
        strengths: strength of the penalty for each group.
    """
    norms: Tensor = torch.linalg.vector_norm(weights, dim=1, keepdim=True)
    groups: Tensor = math.sqrt(weights.shape[1]) * weights / norms.clamp_min(torch.finfo(weights.dtype).tiny)
    return strengths.unsqueeze(1) * (mixture * weights.sign() + (1 - mixture) * groups)
