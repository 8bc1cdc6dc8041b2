"""The retrainer of the DARTS space. This module imports torch only when it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmarks.darts.recipe import recipe
from benchmarks.darts.size import network_size
from harness.errors import UserError
from harness.space import Arch
from harness.training import Metric, Trained


@dataclass(frozen=True)
class Retrainer:
    """The training of cells from scratch; see :class:`harness.training.Retrainer`."""

    metric: ClassVar[Metric] = "error"

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
        from benchmarks.darts.image_folder import open_images
        from benchmarks.darts.retraining import HISTORY, Retraining
        from harness.device import prepare

        prepare(device)
        how, dataset, split = recipe(settings["recipe"]), settings["data"], settings["split"]
        images = open_images(dataset, split, device, how.statistics(dataset))
        training = Retraining(arch, how, images, seed, device)
        if state is not None:
            training.load(state)
        curve = training.run(save, watch=report)
        size = network_size(arch, training.network.macro)
        return Trained(
            curve.final,
            curve.best,
            curve.loss,
            {name: [line[name] for line in curve.lines] for name in HISTORY},
            {
                "epochs": how.epochs,
                "macs": 3.0 * size.macs * images.train_images * how.epochs,
                "seconds": sum(line["seconds"] for line in curve.lines),
            },
            size.parameters,
            size.macs,
            curve.top5,
        )


def _images(dataset: str, split: str) -> tuple[str, int, int, int]:
    """Return a description of the images of a training, the number of classes, the channels and the size (pixels)."""
    if dataset == "imagenet":
        from benchmarks.darts.image_folder import FolderData, image_folder

        folder = FolderData(image_folder(), "test" if split == "test" else "valid", "cpu", workers=0)
        return f"{folder.name}, {folder.checksum[:12]}", folder.classes, folder.channels, folder.size
    from benchmarks.darts.parts import parts

    train, held_out = parts(dataset, "test" if split == "test" else "valid")
    words = f"{train.name}, {len(train):,} + {len(held_out):,} images, {train.checksum[:12]}"
    return words, train.classes, train.images.shape[1], train.images.shape[2]
