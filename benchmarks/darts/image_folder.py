"""Images in class folders, as ImageNet is published: ``train/n01440764/*.JPEG``, ``val/n01440764/*.JPEG``."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from benchmarks.darts.data import Batch, Data, Epoch, open_data
from benchmarks.darts.parts import Split
from benchmarks.images.library import imagenet
from harness.cache import printable
from harness.errors import UserError
from harness.look import is_folder, opened, reason
from harness.machine import cores
from harness.seeds import derive, mix

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SUFFIXES = (".jpeg", ".jpg", ".png")
FORMATS = ("JPEG", "PNG")
PIXELS = 89_000_000
"""Largest accepted number of pixels. ImageNet's largest image has fewer than 50 million."""
JITTER, HUE = 0.4, 0.2
"""Brightness, contrast and saturation are multiplied by 0.6 to 1.4. The hue turns by up to a fifth of the circle (DARTS)."""
VALID_SHARE = 50
"""The split ``valid`` holds out every 50th training image."""


@dataclass(frozen=True)
class Files:
    """The image files of a part, and their classes."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...]


class FolderData:
    """The data of a folder of images; see :class:`benchmarks.darts.data.Data`. Workers decode, and the device standardises.

    Args:
        folder: contains ``train`` and ``val``, each with one folder per class.
        split: ``test`` evaluates on ``val``, the papers' test set; ``valid`` evaluates on held-out training images.
        size: pixels on each side after the crop. Training crops at random; evaluation crops the centre at 8 / 7 of the size.
        workers: number of decoding processes; 0: decode in the calling process; None: this training's share of the cores.

    Raises:
        UserError: a folder is missing or has no images, or train and val have different classes.
    """

    channels = 3

    def __init__(self, folder: Path, split: Split, device: str, size: int = 224, workers: int | None = None) -> None:
        names, files = class_files(folder / "train")
        if split == "valid":
            held_out = [number % VALID_SHARE == VALID_SHARE - 1 for number in range(len(files.paths))]
            self._train, self._held_out = _where(files, [not out for out in held_out]), _where(files, held_out)
        else:
            classes, self._held_out = class_files(folder / "val")
            if classes != names:
                different = sorted(set(names) ^ set(classes))
                raise UserError(f"{folder}: train and val have different classes, such as {different[0]}")
            self._train = files
        if not self._held_out.paths:
            raise UserError(f"{folder} has no images to evaluate on")
        self.split: Split = split
        self.classes, self.size, self.train_images = len(names), size, len(self._train.paths)
        self.checksum = _digest(folder, self._train, self._held_out)
        self.name = f"images of {folder.name}, trained on {self.train_images:,}, {split} set of {len(self._held_out.paths):,}"
        self._device = torch.device(device)
        self._workers = decoders() if workers is None else workers

    def epoch(self, seed: int, batch: int, cutout: int, share: tuple[int, int] = (0, 1)) -> Epoch:
        if cutout:
            raise UserError("a folder of images has no cutout; use a recipe with cutout=0, such as imagenet_darts")
        return shuffled(self._train, seed, batch, self.size, self._device, self._workers, share)

    def evaluated(self, batch: int) -> Iterable[Batch]:
        rows = list(range(len(self._held_out.paths)))
        batches = [rows[at : at + batch] for at in range(0, len(rows), batch)]
        return _Loaded(self._held_out, batches, None, self.size, self._device, self._workers)


def shuffled(
    files: Files, seed: int, batch: int, size: int, device: torch.device, workers: int, share: tuple[int, int] = (0, 1)
) -> Epoch:
    """Return an epoch over image files, shuffled and augmented with ``seed``; see :class:`FolderData` for the arguments."""
    order = torch.randperm(len(files.paths), generator=torch.Generator().manual_seed(seed)).tolist()
    batches = [order[at : at + batch] for at in range(0, len(order), batch)]
    rank, processes = share
    parts = [rows[rank * (len(rows) // processes) :][: len(rows) // processes] for rows in batches]
    return _Loaded(files, [rows for rows in parts if rows], seed, size, device, workers)


def open_images(dataset: str, split: Split, device: str, statistics: str = "own") -> Data:
    """Open any data set of trainings from scratch on a device; see :func:`benchmarks.darts.data.open_data`."""
    if dataset == "imagenet":
        return FolderData(image_folder(), split, device)
    return open_data(dataset, split, device, statistics)


def standardised(images: Tensor) -> Tensor:
    """Convert pixels (n, height, width, 3) from 0 to 255 to float32 (n, 3, height, width), channels last in memory."""
    mean, std = _statistics(images.device)
    return (images.permute(0, 3, 1, 2).float() - mean) / std


@cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the pixels on a device, (1, 3, 1, 1): copied there once."""
    mean, std = (torch.tensor(value, device=device).mul(255).view(1, 3, 1, 1) for value in (MEAN, STD))
    return mean, std


def decoders() -> int:
    """Return the number of usable cores per training. ``LOCAL_WORLD_SIZE`` is the number of trainings, or of parts of one."""
    return max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def image_folder() -> Path:
    """Return the folder ``imagenet`` in NAS_DATA. Raises :class:`UserError` if it is missing."""
    folder = imagenet()
    if folder is None:
        raise UserError(
            "ImageNet is missing: put its folder imagenet, with train/CLASS and val/CLASS, into a folder of NAS_DATA"
        )
    return folder


class _Loaded:
    """The batches of one pass. Worker processes decode them in advance."""

    def __init__(
        self, files: Files, batches: list[list[int]], seed: int | None, size: int, device: torch.device, workers: int
    ) -> None:
        self._device, self._batches = device, batches
        self._loader = DataLoader(
            _Decoded(files, size, seed),
            batch_sampler=_Fixed(batches),
            num_workers=workers,
            pin_memory=device.type == "cuda",
        )

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        batches = iter(self._loader)
        while True:
            try:
                images, labels = next(batches)
            except StopIteration:
                return
            except UserError as error:  # PyTorch puts the traceback of a worker into the message of its error
                raise UserError(str(error).strip().splitlines()[-1].rpartition("UserError: ")[2]) from None
            moved, classes = (part.to(self._device, non_blocking=True) for part in (images, labels))
            yield standardised(moved), classes


class _Fixed(Sampler[list[int]]):
    def __init__(self, batches: list[list[int]]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)


class _Decoded(Dataset[tuple[Tensor, int]]):
    """Single images, uint8 (size, size, 3).

    Args:
        seed: seed of the augmentation, together with the image's number; None: crop the centre.
    """

    def __init__(self, files: Files, size: int, seed: int | None) -> None:
        self._files, self._size, self._seed = files, size, seed

    def __len__(self) -> int:
        return len(self._files.paths)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        path = self._files.paths[number]
        image = decoded(path)
        if self._seed is None:
            image = central(image, self._size)
        else:
            image = augmented(image, self._size, random.Random(mix(derive("image", self._seed, number))))
        return torch.from_numpy(np.array(image)), self._files.labels[number]


def decoded(path: Path) -> Image.Image:
    """Decode an image as RGB.

    Raises:
        UserError: the file is not an image, is damaged, or has more than :data:`PIXELS` pixels. The message is one line.
    """
    try:
        with opened(path) as file, Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > PIXELS:
                raise ValueError(f"{width:,} x {height:,} pixels are more than {PIXELS:,}")
            return image.convert("RGB")
    except Exception as error:  # decoders raise many types: for damaged, short, foreign or too large files and for pipes
        raise UserError(f"{printable(path)} is damaged or not an image: {reason(error)}") from None


def central(image: Image.Image, size: int) -> Image.Image:
    """Scale the shorter side to 8 / 7 of ``size``, then crop the central square of this size (pixels)."""
    scale = round(size * 8 / 7) / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))


def augmented(image: Image.Image, size: int, rng: random.Random) -> Image.Image:
    """Crop 8 to 100 % of the area with an aspect ratio of 3/4 to 4/3, mirror with probability 1/2, and jitter the colours."""
    width, height = image.size
    for _ in range(10):
        area, shape = rng.uniform(0.08, 1.0) * width * height, np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        wide, high = round((area * shape) ** 0.5), round((area / shape) ** 0.5)
        if 0 < wide <= width and 0 < high <= height:
            left, top = rng.randint(0, width - wide), rng.randint(0, height - high)
            break
    else:
        wide = high = min(width, height)
        left, top = (width - wide) // 2, (height - high) // 2
    box = (left, top, left + wide, top + high)
    image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changes = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color, None]
    rng.shuffle(changes)
    for change in changes:
        if change is None:
            image = _turned(image, rng.uniform(-HUE, HUE))
        else:
            image = change(image).enhance(rng.uniform(1 - JITTER, 1 + JITTER))
    return image


def _turned(image: Image.Image, share: float) -> Image.Image:
    """Turn the hue by ``share`` of the circle."""
    hue, saturation, value = image.convert("HSV").split()
    turned = np.asarray(hue).astype(np.int16) + round(share * 255)
    return Image.merge("HSV", (Image.fromarray((turned % 256).astype(np.uint8)), saturation, value)).convert("RGB")


def class_files(folder: Path) -> tuple[list[str], Files]:
    """Return the names of the class folders, sorted, and their image files, class by class and sorted by name.

    Raises:
        UserError: there is no such folder, or it has no images.
    """
    if not is_folder(folder):
        raise UserError(f"{folder} is no folder; put images into DIR/train/CLASS/*.JPEG and DIR/val/CLASS/*.JPEG")
    names = sorted(name for name in os.listdir(folder) if is_folder(folder / name))
    files = [
        (folder / name / file, label)
        for label, name in enumerate(names)
        for file in sorted(os.listdir(folder / name))
        if file.lower().endswith(SUFFIXES)
    ]
    if not files:
        raise UserError(f"{folder} has no class folders with {', '.join(SUFFIXES)} files")
    return names, Files(tuple(path for path, _ in files), tuple(label for _, label in files))


def _where(files: Files, chosen: list[bool]) -> Files:
    rows = [number for number, included in enumerate(chosen) if included]
    return Files(tuple(files.paths[row] for row in rows), tuple(files.labels[row] for row in rows))


def _digest(folder: Path, *parts: Files) -> str:
    """Return the SHA-256 of file names and classes. A digest of the contents would read 140 GB at every start."""
    lines = (
        f"{path.relative_to(folder)} {label}" for part in parts for path, label in zip(part.paths, part.labels, strict=True)
    )
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
