"""A folder of images in the place of ImageNet: few small images in a few classes, of different shapes and kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = {"n01440764": 21, "n01443537": 45, "n01484850": 9, "n01491361": 80, "n01494475": 12, "n01496331": 20}
"""By class, the number of training images."""
EVALUATED = 2
"""Images of a class in ``val``."""
SHAPES = ((60, 40), (40, 60), (48, 48), (70, 35))
"""Widths and heights, pixels."""


def write(folder: Path) -> Path:
    """Write ``imagenet`` into a folder, and return it. A class has a colour, so that there is something to learn."""
    rng = np.random.default_rng(1)
    for label, (name, count) in enumerate(CLASSES.items()):
        for part, images in (("train", count), ("val", EVALUATED)):
            home = folder / "imagenet" / part / name
            home.mkdir(parents=True)
            for number in range(images):
                width, height = SHAPES[number % len(SHAPES)]
                colour = np.array([40 * label, 255 - 40 * label, 128])
                pixels = np.clip(colour + rng.normal(0, 40, (height, width, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(home / f"{name}_{number}.JPEG")
    return folder / "imagenet"
