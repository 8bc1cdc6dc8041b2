"""Decode the bytes of one published file into images uint8 (n, channels, height, width) and labels int64 (n,)."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from benchmarks.images.pickled import PickledArray, load_batch
from benchmarks.sources.npz import read_columns
from harness.errors import UserError
from harness.library import Progress
from harness.look import peek, reason

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
_COLUMN = 1 << 30
"""Largest size of a column in bytes."""
JPEG_COLUMNS = {"header", "payload", "offsets", "labels", "n_train"}


def python_batch(file: IO[bytes], labels: str, side: int, classes: int | None = None) -> Batch:
    """Decode a pickled batch: ``data`` (n, 3 * side * side), channel by channel, and a list under the name ``labels``.

    Args:
        classes: number of classes to keep, of labels that count from 1 (ImageNet16-120 is the first 120 of ImageNet16);
            None keeps all images and labels that count from 0.

    Raises:
        UserError: the file has different content.
    """
    batch = load_batch(file)
    data, numbers = batch.get("data"), batch.get(labels)
    if not isinstance(data, PickledArray) or not isinstance(numbers, list):
        raise UserError(f"it has no array 'data' with a list {labels!r}")
    if not all(type(number) is int and 0 <= number < 1 << 31 for number in numbers):
        raise UserError(f"its list {labels!r} has an entry that is not a label")
    images, targets = data.array(), np.array(numbers, dtype=np.int64)
    if images.dtype != np.uint8 or images.shape != (len(targets), 3 * side * side):
        raise UserError(f"its images are {images.dtype} {images.shape}, not uint8 ({len(targets)}, {3 * side * side})")
    if classes is not None:
        included = (targets >= 1) & (targets <= classes)
        images, targets = images[included], targets[included] - 1
    return images.reshape(-1, 3, side, side), targets


def binary_batch(file: IO[bytes], label_bytes: int) -> Batch:
    """Decode records of ``label_bytes`` labels (the last one is the fine label) and 3 x 32 x 32 bytes of image."""
    raw = np.frombuffer(file.read(), dtype=np.uint8)
    record = label_bytes + 3 * 32 * 32
    if len(raw) % record:
        raise UserError(f"its {len(raw):,} bytes are no whole number of records of {record} bytes")
    records = raw.reshape(-1, record)
    return records[:, label_bytes:].reshape(-1, 3, 32, 32), records[:, label_bytes - 1].astype(np.int64)


def is_jpeg_columns(path: Path) -> bool:
    """Return whether an NPZ has JPEG images as columns: one ``header`` for all, ``payload`` cut at ``offsets``.

    The reader of zip archives raises various errors on other files.
    """
    with peek(path) as file, zipfile.ZipFile(file) as archive:
        return {f"{name}.npy" for name in JPEG_COLUMNS} <= set(archive.namelist())


def jpeg_columns(path: Path, progress: Progress) -> tuple[Batch, Batch]:
    """Decode the training and test images of such an NPZ. Image i is ``header + payload[offsets[i]:offsets[i + 1]]``.

    Raises:
        UserError: a column or an image is damaged.
    """
    from PIL import Image

    try:
        columns = read_columns(path, JPEG_COLUMNS, _COLUMN)
    except Exception as error:  # of the readers: not an archive, encrypted, corrupt, too large, pickled
        raise UserError(f"its columns cannot be read ({reason(error)})") from None
    header, payload, offsets, labels, n_train = (
        columns[name] for name in ("header", "payload", "offsets", "labels", "n_train")
    )
    numbers = offsets.dtype.kind in "iu" and labels.dtype.kind in "iu" and n_train.dtype.kind in "iu"
    if not (numbers and labels.ndim == 1 and n_train.size == 1 and header.dtype == payload.dtype == np.uint8):
        raise UserError("its columns have unexpected types")
    start, body, total, bounds = header.tobytes(), payload.tobytes(), len(labels), offsets.tolist()
    if offsets.shape != (total + 1,) or bounds[0] < 0 or bounds[-1] != len(body) or sorted(bounds) != bounds:
        raise UserError("its offsets do not fit its payload")
    cut, targets = int(n_train.reshape(-1)[0]), labels.astype(np.int64)
    if not 0 < cut < total:
        raise UserError(f"it has {total} images, {cut} of them to train on")
    images = np.empty((total, 3, 32, 32), dtype=np.uint8)
    for row in range(total):
        if row % 1000 == 0:
            progress(row, total, "decoding images")
        try:
            with Image.open(io.BytesIO(start + body[bounds[row] : bounds[row + 1]]), formats=["JPEG"]) as image:
                if image.size != (32, 32) or image.mode != "RGB":
                    raise ValueError(f"{image.mode} {image.size}")
                images[row] = np.asarray(image).transpose(2, 0, 1)
        except Exception as error:  # of the image decoder
            raise UserError(f"image {row} of {total} cannot be decoded ({reason(error)})") from None
    progress(total, total, "decoding images")
    return (images[:cut], targets[:cut]), (images[cut:], targets[cut:])
