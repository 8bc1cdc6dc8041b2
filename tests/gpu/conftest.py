"""Tests that need a GPU. They import nothing but Python, PyTorch, NumPy and pytest.

``NAS_GPU_TESTS=cpu`` lets them run on a CPU: what needs CUDA is then skipped, with that reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from benchmarks.darts import task as darts
from benchmarks.darts.data import ResidentData
from benchmarks.images import task as images
from benchmarks.images.augment import Augmentation, Resident
from benchmarks.nb1shot1 import task as nb1shot1
from benchmarks.nb1shot1.supernet import SearchMacro
from benchmarks.nb201 import task as nb201
from harness.device import REDUCED, precision
from tests import made_darts, made_search

SIZES = {"train": 32, "valid": 16, "full": 48}


@pytest.fixture
def device() -> str:
    """Return the device to test."""
    kind = os.environ.get("NAS_GPU_TESTS", "cuda")
    if kind == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs CUDA")
    return kind


@pytest.fixture
def cuda(device: str) -> str:
    """Return the device to test, which is a GPU."""
    if device == "cpu":
        pytest.skip("needs CUDA")
    return device


def resident(count: int, device: str) -> Resident:
    """Return invented images of 8 x 8 pixels in three classes."""
    generator = torch.Generator().manual_seed(count)
    labels = torch.arange(count) % 3
    pixels = torch.randint(0, 8, (count, 8, 8, 1), generator=generator) + 4 * labels[:, None, None, None]
    parts = (pixels.to(torch.uint8), labels, torch.tensor([0.25]), torch.tensor([-1.0]))
    return Resident(*(part.to(device) for part in parts))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches of digits train narrow networks on a few invented images."""
    parts = {kind: {name: resident(count, kind) for name, count in SIZES.items()} for kind in _kinds()}
    monkeypatch.setattr(images, "residents", lambda dataset, split, device: parts[device])
    monkeypatch.setitem(nb201.MACROS, "digits", made_search.MACRO)
    monkeypatch.setitem(darts.MACROS, "digits", made_darts.MACRO)
    monkeypatch.setitem(nb1shot1.MACROS, "digits", (SearchMacro(width=4, channels=1, stacks=2, depth=1), 8))


def _kinds() -> list[str]:
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def data(device: str) -> ResidentData:
    """Return the data of a training from scratch, whose last batch of 16 is smaller."""
    augmentation = Augmentation(padding=1, flip=True)
    parts = resident(40, device), resident(20, device)
    return ResidentData("made", "test", "sum", 3, *parts, augmentation, None, precision(device))


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let all devices compute in float32, without TF32."""
    monkeypatch.delitem(REDUCED, "cuda")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)
