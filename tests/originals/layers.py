"""The layers of the papers' networks, written as their definitions: no module, no sharing of work, float64."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = Mapping[str, Tensor]
"""Parameters by name."""

EPS = 1e-5


class Layers:
    """Weights by name, and the running statistics of the norms, which start at mean 0 and variance 1.

    Args:
        weights: parameters by name.
        momentum: share of a batch in the running statistics.
    """

    def __init__(self, weights: Weights, momentum: float = 0.1) -> None:
        self.weights, self.momentum = weights, momentum
        self.training = True
        self.means: dict[str, Tensor] = {}
        self.variances: dict[str, Tensor] = {}

    def norm(self, x: Tensor, name: str, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """Return batch norm: over batch, rows and columns; the running variance is the unbiased one."""
        count = x.shape[0] * x.shape[2] * x.shape[3]
        if self.training:
            mean = x.sum((0, 2, 3)) / count
            variance = (x - mean[None, :, None, None]).pow(2).sum((0, 2, 3)) / count
            unbiased = variance.detach() * count / (count - 1)
            old_mean, old_variance = self.means.get(name, 0.0), self.variances.get(name, 1.0)
            self.means[name] = (1 - self.momentum) * old_mean + self.momentum * mean.detach()
            self.variances[name] = (1 - self.momentum) * old_variance + self.momentum * unbiased
        else:
            mean = self.means.get(name, torch.zeros(x.shape[1], dtype=x.dtype))
            variance = self.variances.get(name, torch.ones(x.shape[1], dtype=x.dtype))
        y = (x - mean[None, :, None, None]) / (variance[None, :, None, None] + EPS).sqrt()
        if scale is not None and shift is not None:
            y = y * scale[None, :, None, None] + shift[None, :, None, None]
        return y

    def affine(self, x: Tensor, name: str) -> Tensor:
        """Return batch norm with the weights ``name.weight`` and ``name.bias``."""
        return self.norm(x, name, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def conv(self, x: Tensor, name: str, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> Tensor:
        """Return the convolution with the kernel ``name.weight``, without bias."""
        return F.conv2d(x, self.weights[f"{name}.weight"], None, stride, padding, dilation, groups)

    def linear(self, x: Tensor, name: str) -> Tensor:
        """Return ``x W^T + b``."""
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]


def average3(x: Tensor, stride: int = 1) -> Tensor:
    """Return 3x3 average pooling, in which pixels outside the image do not count."""
    ones = torch.ones_like(x)
    return F.avg_pool2d(x, 3, stride, 1) / F.avg_pool2d(ones, 3, stride, 1)


def softmax(logits: Tensor) -> Tensor:
    """Return ``exp(a) / sum exp(a)`` over the last dimension."""
    powers = logits.exp()
    return powers / powers.sum(-1, keepdim=True)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of ``-log p(label)``."""
    return -softmax(logits)[range(len(labels)), labels].log().mean()


def perturb(module: torch.nn.Module) -> None:
    """Move the scales of norms away from 1 and their shifts away from 0, always by the same amounts."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in module.named_parameters():
            if "norm" in name:
                value.add_(0.3 * torch.randn(value.shape, generator=generator, dtype=torch.float64))
