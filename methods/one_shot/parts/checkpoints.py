"""The checkpoint of a weight-sharing search: everything that its remaining epochs depend on."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def packed(epoch: int, trained: float, parts: Mapping[str, Any], network: nn.Module) -> bytes:
    """Return a checkpoint.

    Args:
        epoch: number of the next epoch.
        trained: epochs of the steps that have trained the weights.
        parts: by name, objects with a state dictionary; the optimiser has the weights of the network.
        network: the supernet, for its running statistics.
    """
    buffers = dict(network.named_buffers())
    state = {name: part.state_dict() for name, part in parts.items()}
    content = io.BytesIO()
    torch.save({"epoch": epoch, "buffers": buffers, "state": state, "trained": trained}, content)
    return content.getvalue()


def unpack(content: bytes, parts: Mapping[str, Any], network: nn.Module, device: torch.device) -> tuple[int, float]:
    """Load a checkpoint into ``parts`` and ``network``. Return the number of the next epoch, and the epochs of training.

    The arguments are those of :func:`packed`.
    """
    saved: Mapping[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(saved["state"][name])
    for name, buffer in network.named_buffers():
        buffer.copy_(saved["buffers"][name])
    return int(saved["epoch"]), float(saved["trained"])
