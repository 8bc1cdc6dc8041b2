"""The one place that decides threads, precision, compilation, recording and the optimiser's kernels of training code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

REDUCED: Final[dict[str, torch.dtype]] = {"cuda": torch.bfloat16}
"""By kind of device, the type of images and activations. Other devices compute in float32. Weights are always float32."""


RECORDED: Final[set[str]] = {"cuda"}
"""Kinds of device that record the steps of a training and replay them; see :mod:`harness.steps`."""


def prepare(device: str, threads: int = 1) -> None:
    """Set up this process for a training.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:1``.
        threads: threads on a CPU, unless ``OMP_NUM_THREADS`` is set.
    """
    if device == "cpu":
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", str(threads))))
        return
    torch.set_float32_matmul_precision("high")  # TF32
    torch.backends.cudnn.benchmark = True  # shapes repeat, so it pays to time the kernels of each


_exact = False
"""True inside :func:`exact`."""


def precision(device: torch.device | str) -> torch.dtype:
    """Return the type of images and activations on a device."""
    return torch.float32 if _exact else REDUCED.get(torch.device(device).type, torch.float32)


def autocast(device: torch.device | str) -> AbstractContextManager[Any]:
    """Return a context in which layers compute in :func:`precision`."""
    dtype = precision(device)
    return nullcontext() if dtype == torch.float32 else torch.autocast(torch.device(device).type, dtype)


def rounded(values: Tensor) -> Tensor:
    """Return values in :func:`precision` of their device, or as they are if it does not reduce precision."""
    dtype = precision(values.device)
    return values if dtype == torch.float32 else values.to(dtype)


@contextmanager
def exact() -> Iterator[None]:
    """Compute in float32, without TF32, in the body: for differences of nearly equal numbers."""
    global _exact
    before = _exact, torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    _exact, torch.backends.cudnn.allow_tf32 = True, False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        _exact, _, torch.backends.cudnn.allow_tf32 = before
        torch.set_float32_matmul_precision(before[1])


def upload(values: Tensor, device: torch.device) -> Tensor:
    """Copy values from the CPU to a device. A GPU copies them while the host goes on."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def recorded(device: torch.device | str) -> bool:
    """Return whether a device records the steps of a training."""
    return torch.device(device).type in RECORDED


def compiled(model: nn.Module, mode: str) -> Any:
    """Return the model, compiled by ``torch.compile`` if ``mode`` is not empty.

    No mode makes CUDA graphs, because the whole step is recorded in a single one.

    Shapes are static: there is a graph for each size of batch. A dynamic graph, which PyTorch would make for the smaller last
    batch of an epoch, would from then on serve all batches, and more slowly.
    """
    without_graphs = {"max-autotune": "max-autotune-no-cudagraphs"}.get(mode, mode)
    return torch.compile(model, mode=without_graphs, dynamic=False) if mode else model


def keep_compiled(folder: Path) -> None:
    """Let ``torch.compile`` keep its results in ``folder``, so that a training that resumes does not compile again.

    A folder that the user has named (``TORCHINDUCTOR_CACHE_DIR``) stays.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder.absolute()))


def fused(device: torch.device | str) -> bool | None:
    """Return whether PyTorch's optimisers use one kernel for all weights, whose rate may be a tensor.

    None: their default, so that CPU results stay.
    """
    return None if torch.device(device).type == "cpu" and not recorded(device) else True
