"""Augmentation of a batch at once and image by image, and whole epochs of CIFAR-10's size: ``tox -e bench``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.images.augment import STANDARD, Augmentation, Resident, augment, draw
from benchmarks.images.batches import epoch, search_epoch
from benchmarks.images.dataset import STATISTICS, ImageSet

pytestmark = pytest.mark.bench

BATCH = 64
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="module")
def part() -> ImageSet:
    rng = np.random.default_rng(0)
    mean, std = STATISTICS["cifar10"]
    images = rng.integers(0, 256, (25_000, 3, 32, 32), dtype=np.uint8)
    return ImageSet("made", images, rng.integers(0, 10, 25_000), 10, mean, std, "made", "")


def waited(result: object) -> object:
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return result


@pytest.mark.benchmark(group=f"augment {BATCH} images (crop, flip, cutout 16): one by one on the host / at once on {DEVICE}")
def test_one_by_one(benchmark: Any, part: ImageSet) -> None:
    rng = np.random.default_rng(0)
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (part.mean, part.std))

    def batch() -> torch.Tensor:
        images = []
        for row in rng.integers(0, len(part), BATCH):
            top, left, y, x = (*rng.integers(0, 9, 2), *rng.integers(0, 32, 2))
            image = np.pad(part.images[row], ((0, 0), (4, 4), (4, 4)))[:, top : top + 32, left : left + 32]
            image = ((image[:, :, ::-1] if rng.random() < 0.5 else image) / np.float32(255) - mean) / std
            image[:, max(0, y - 8) : y + 8, max(0, x - 8) : x + 8] = 0
            images.append(torch.from_numpy(image))
        return torch.stack(images).contiguous(memory_format=torch.channels_last)

    benchmark(batch)


@pytest.mark.benchmark(group=f"augment {BATCH} images (crop, flip, cutout 16): one by one on the host / at once on {DEVICE}")
def test_at_once(benchmark: Any, part: ImageSet) -> None:
    data, augmentation = Resident.of(part, DEVICE), Augmentation(padding=4, flip=True, cutout=16)
    generator = torch.Generator(DEVICE).manual_seed(0)

    def batch() -> object:
        rows = torch.randint(len(data), (BATCH,), generator=generator, device=DEVICE)
        return waited(augment(data, rows, augmentation, draw(augmentation, BATCH, data, generator)))

    benchmark(batch)


@pytest.mark.benchmark(group=f"epochs of 25 000 images 3x32x32 in batches of {BATCH} on {DEVICE}, crop and flip")
@pytest.mark.parametrize("kind", ["epoch", "search epoch (pairs)"])
def test_epochs(benchmark: Any, part: ImageSet, kind: str) -> None:
    data, generator = Resident.of(part, DEVICE), torch.Generator(DEVICE).manual_seed(0)

    def run() -> None:
        if kind == "epoch":
            epochs = (epoch(data, BATCH, generator, STANDARD["cifar10"]),)
        else:
            epochs = search_epoch(data, data, BATCH, generator, STANDARD["cifar10"])  # type: ignore[assignment]
        for batches in epochs:
            for images, _ in batches:
                waited(images)

    benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    benchmark.extra_info["images_per_second"] = (1 if kind == "epoch" else 2) * len(part) / benchmark.stats.stats.median
