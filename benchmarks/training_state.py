"""The state of a training from scratch as bytes: the same training resumes from it, and no other."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch

from harness.errors import UserError


def packed(content: Mapping[str, Any]) -> bytes:
    """Return the state of a training, serialised by torch. Its entry ``identity`` says of which training it is."""
    stream = io.BytesIO()
    torch.save(dict(content), stream)
    return stream.getvalue()


def unpacked(state: bytes, identity: str, device: torch.device | str) -> dict[str, Any]:
    """Return the content of a state.

    Raises:
        UserError: the state has another identity.
    """
    content: dict[str, Any] = torch.load(io.BytesIO(state), map_location=device, weights_only=True)
    if content["identity"] != identity:
        raise UserError("the checkpoint is of another cell, recipe, data set or seed; use another folder, or delete it")
    return content
