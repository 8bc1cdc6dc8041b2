"""What opens the training side of the DARTS space, for a search and for a cell from scratch. Imports no PyTorch by itself."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.darts.recipe import recipe
from benchmarks.darts.size import network_size
from harness.problem import Arch, Meter, Trained, UserError

TRAINED_BY = ("cell", "macro", "network", "data", "recipe", "retraining")
"""The files that decide what a training comes to."""


@dataclass(frozen=True)
class TrainingData:
    """Opens :class:`benchmarks.darts.task.DartsTask` in a world."""

    dataset: str
    choices = ("partial", "edges", "affine")
    """Of the supernet, beyond those that every space has; see :class:`harness.weight_sharing.Task`."""

    @property
    def heavy(self) -> bool:
        """Whether a supernet on these images takes a GPU."""
        return self.dataset != "digits"

    def __call__(self, world: int, device: str, charge: Meter) -> Any:
        return importlib.import_module("benchmarks.darts.task").DartsTask(self.dataset, world, device, charge)

    def describe(self) -> str:
        """Which images a search trains on, for captions and identities. Raises :class:`UserError` where they are missing."""
        from benchmarks.images.parts import describe

        return describe(self.dataset, "halves")


@dataclass(frozen=True)
class Retrainer:
    """Trains cells from scratch; see :class:`harness.problem.Retrainer`."""

    dataset: str

    def describe(self, recipe_name: str, split: str, data: str = "") -> dict[str, Any]:
        dataset, how = data or self.dataset, recipe(recipe_name)
        if split not in ("test", "valid"):
            raise UserError(f"split {split!r} is not test or valid")
        images, classes, channels, size = _images(dataset, split)
        how.macro(classes, channels, size)
        return {
            "recipe": how.name,
            "digest": how.digest,
            "epochs": how.epochs,
            "split": split,
            "data": dataset,
            "images": images,
            "code": _code(),
        }

    def train(
        self,
        arch: Arch,
        settings: Mapping[str, Any],
        seed: int,
        device: str,
        state: bytes | None,
        save: Callable[[bytes], None],
        report: Callable[[float], None],
    ) -> Trained:
        import os

        import torch

        from benchmarks.darts.data import Data, open_data
        from benchmarks.darts.image_folder import FolderData, image_folder
        from benchmarks.darts.retraining import HISTORY, Retraining

        if device == "cpu":
            torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))  # workers share the cores
        else:
            torch.set_float32_matmul_precision("high")
            torch.backends.cudnn.benchmark = True
        how, dataset, split = recipe(settings["recipe"]), settings["data"], settings["split"]
        images: Data = FolderData(image_folder(), split, device) if dataset == "imagenet" else open_data(dataset, split, device)
        training = Retraining(arch, how, images, seed, device)
        if state is not None:
            training.load(state)
        curve = training.run(save, watch=report)
        size = network_size(arch, training.network.macro)
        return Trained(
            curve.final,
            curve.best,
            {name: [line[name] for line in curve.lines] for name in HISTORY},
            {
                "epochs": how.epochs,
                "macs": 3.0 * size.macs * images.train_images * how.epochs,
                "seconds": sum(line["seconds"] for line in curve.lines),
            },
            size.parameters,
            size.macs,
        )


def _images(dataset: str, split: str) -> tuple[str, int, int, int]:
    """Which images are trained on and held out, in words; classes, channels and size."""
    if dataset == "imagenet":
        from benchmarks.darts.image_folder import FolderData, image_folder

        folder = FolderData(image_folder(), "test" if split == "test" else "valid", "cpu", workers=0)
        return f"{folder.name}, {folder.checksum[:12]}", folder.classes, folder.channels, folder.size
    from benchmarks.darts.data import parts

    train, held_out = parts(dataset, "test" if split == "test" else "valid")
    words = f"{train.name}, {len(train):,} + {len(held_out):,} images, {train.checksum[:12]}"
    return words, train.classes, train.images.shape[1], train.images.shape[2]


@cache
def _code() -> str:
    """SHA-256 of the files that train: another code, other runs."""
    texts = [(Path(__file__).parent / f"{name}.py").read_bytes() for name in TRAINED_BY]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]
