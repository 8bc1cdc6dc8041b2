"""The images of a search on ImageNet: a tenth of every class for the weights, a fortieth for the architecture (PC-DARTS).

The files of a class, sorted by name, are shuffled with a fixed seed. The first tenth trains the weights and the next fortieth
the architecture, both rounded down, and at least one image each (D-141). All searches see the same images.

They are decoded once, into a table in the cache: whole images, scaled to a square without regard to their shape. The table has
the shapes, so that a crop has the distribution that it has on the files (D-142).
"""

from __future__ import annotations

import fcntl
import hashlib
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.darts.image_folder import Files, class_files, decoded, image_folder
from harness.cache import Table, TableWriter, cache_root, explain
from harness.errors import UserError
from harness.machine import cores
from harness.seeds import derive

WEIGHTS, ARCHITECTURE = 10, 40
"""The parts of a class: a tenth and a fortieth."""
SIDE: Final = 256
"""Height and width of a decoded image, pixels: the size that evaluations scale the shorter side to."""


@dataclass(frozen=True, eq=False)
class Subsample:
    """The images of a search."""

    images: npt.NDArray[np.uint8]
    """(N, SIDE, SIDE, 3), mapped from the cache: first the images for the weights, then those for the architecture."""
    shapes: npt.NDArray[np.float32]
    """(N,), width divided by height of each file's image."""
    labels: npt.NDArray[np.int64]
    weights: int
    """Number of images for the weights."""
    classes: int
    everything: Files
    """All training images, for methods that train the network to deploy."""
    checksum: str

    def describe(self) -> str:
        """Return name, sizes and checksum, for captions and identities."""
        first, second = self.weights, len(self.labels) - self.weights
        total = len(self.everything.paths)
        return f"ImageNet, {first:,} + {second:,} of {total:,} training images, {self.checksum[:12]}"


def parts(names: Sequence[str], files: Files) -> tuple[list[int], list[int]]:
    """Return the numbers of the files for the weights, and of those for the architecture, class by class.

    Args:
        names: names of the classes, by label.

    Raises:
        UserError: a class has fewer than two images.
    """
    first: list[int] = []
    second: list[int] = []
    of_class: list[list[int]] = [[] for _ in names]
    for number, label in enumerate(files.labels):
        of_class[label].append(number)
    for name, numbers in zip(names, of_class, strict=True):
        if len(numbers) < 2:
            raise UserError(f"the training folder of class {name} has {len(numbers)} images; a search needs at least 2")
        random.Random(derive("subsample of ImageNet", name)).shuffle(numbers)
        cut = max(len(numbers) // WEIGHTS, 1)
        first += numbers[:cut]
        second += numbers[cut : cut + max(len(numbers) // ARCHITECTURE, 1)]
    return first, second


def subsample() -> Subsample:
    """Return the images of a search from the folder ``imagenet`` in NAS_DATA. Decode them if the cache does not have them.

    Raises:
        UserError: ImageNet is missing, an image is damaged, or the cache cannot be written.
    """
    return _opened(image_folder(), cache_root())


@lru_cache(maxsize=1)
def _opened(folder: Path, cache: Path) -> Subsample:
    names, files = class_files(folder / "train")
    first, second = parts(names, files)
    rows = [*first, *second]
    lines = [f"{SIDE} {len(first)}", *(f"{files.paths[row].relative_to(folder)} {files.labels[row]}" for row in rows)]
    checksum = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    home = cache / "imagenet" / f"search-{checksum[:16]}"
    try:
        table = _table(home, [files.paths[row] for row in rows])
    except OSError as error:
        raise explain(error, f"write {home}") from None
    labels = np.array([files.labels[row] for row in rows], dtype=np.int64)
    images, shapes = table.column("images"), table.column("shapes")
    return Subsample(images, shapes, labels, len(first), len(names), files, checksum)


def _table(home: Path, paths: Sequence[Path]) -> Table:
    """Return the decoded images. Of several processes one decodes, and the others wait for it."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / "decoding.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (home / "meta.json").exists():
            return Table(home)
        started, gigabytes = time.perf_counter(), len(paths) * SIDE * SIDE * 3 / 1e9
        line = f"decoding {len(paths):,} images of ImageNet into {home}, {gigabytes:.1f} GB"
        print(line, file=sys.stderr, flush=True)
        with TableWriter(home) as writer, ThreadPoolExecutor(cores()) as pool:
            images = writer.create("images", (len(paths), SIDE, SIDE, 3), np.uint8)
            shapes = writer.create("shapes", (len(paths),), np.float32)

            def decode(row: int) -> None:
                image = decoded(paths[row])
                shapes[row] = image.width / image.height
                images[row] = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))

            for _ in pool.map(decode, range(len(paths))):
                pass  # the first error of a decoder is raised here, and ends the others
            images.flush()
            shapes.flush()
            table = writer.commit({})
        print(f"decoded in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        return table
