"""The split of a data set into images that train weights and images that train the architecture."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.images import digits
from benchmarks.images.dataset import ImageSet, load
from benchmarks.images.forms import SPLIT_COLUMNS, SPLIT_TEXTS
from benchmarks.sources.files import find_file
from benchmarks.sources.npz import read_columns
from harness.errors import UserError
from harness.look import reader, reason

_INDICES = 64 << 20
"""Largest size of a split in bytes."""


class _Half(NamedTuple):
    """One half of an official split: its name in the NPZ, its name in the official text file, and SHA-256 of its indices."""

    column: str
    key: str
    sha256: str


_Halves = tuple[_Half, _Half]

NB201_SPLITS: dict[str, _Halves] = {
    "cifar10": (
        _Half("cifar10_train", "train", "804c60edb02b9240f0da699f0f7fc71df79962b3716dd164440cc04527533790"),
        _Half("cifar10_valid", "valid", "e1b6ff1146f8ca8eda904bce8c4f1345385e1b2e265379c51563bdb10b721eb0"),
    ),
    "cifar100": (
        _Half("cifar100_test_xvalid", "xvalid", "5f6245f8741c9e0302a101c7b0e8d64eb0a04b1882e6478b733a31b70d25e2c2"),
        _Half("cifar100_test_xtest", "xtest", "b115d66950fca6cf4cd75955bb6269693594cb6acf1124818467a0c0723edb45"),
    ),
    "imagenet16-120": (
        _Half("imagenet16_120_test_xvalid", "xvalid", "78fe1fb23cb059b4bce6a0a14a14f1167d05eff77dc6f14459d39f70cfd7d533"),
        _Half("imagenet16_120_test_xtest", "xtest", "f0dbf99a4a80233d29664184c6eb4d6abfac2e82321e82e3a5ededc01d7af0e8"),
    ),
}
"""NAS-Bench-201's fixed splits: of CIFAR-10's training set, and of the test sets of the other data sets."""


def cut(count: int, first: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first ``first`` rows and the rest, in order: 45k / 5k, or the feature maps' 40k / 10k."""
    if not 0 < first < count:
        raise ValueError(f"{count} rows cannot be cut at {first}")
    return np.arange(first), np.arange(first, count)


def halves(count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return both halves of the training set, for weights and for the architecture (DARTS, ``train_portion`` 0.5)."""
    return cut(count, count // 2)


def nb201(dataset: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return NAS-Bench-201's fixed split, ascending.

    ``cifar10``: the train and valid rows of the training set. ``cifar100`` and ``imagenet16-120``: the x-valid and x-test
    rows of the test set.

    Raises:
        UserError: the files are missing, damaged, or have other indices than the published ones.
    """
    both, text = NB201_SPLITS[dataset], SPLIT_TEXTS[dataset]
    path = find_file(SPLIT_COLUMNS, text)
    if path is None:
        raise UserError(
            f"NAS-Bench-201's split of {dataset} is missing: put {text} (configs/nas-benchmark of "
            f"github.com/D-X-Y/AutoDL-Projects) or {SPLIT_COLUMNS} into a folder of NAS_DATA"
        )
    try:
        first, second = _from_columns(path, both) if path.suffix == ".npz" else _from_text(path, both)
    except Exception as error:  # the readers of two formats raise various errors
        raise UserError(f"{path} is damaged ({reason(error)}); get it again") from None
    for rows, half in zip((first, second), both, strict=True):
        if hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest() != half.sha256:
            raise UserError(f"{path} has other indices for {half.column} than NAS-Bench-201; get it again")
    return first, second


def nb201_search_sets(dataset: str) -> tuple[ImageSet, ImageSet]:
    """Return the images for weights and those for the architecture in a search on NAS-Bench-201.

    CIFAR-10: the two halves of its training set. CIFAR-100 and ImageNet16-120: the full training set, and the x-valid half of
    the *test* set, as the benchmark defines it. Digits: the training and the validation part.
    """
    train, test = load(dataset)
    if dataset == "digits":
        weights, architecture = cut(len(train), digits.SIZES[0])
        return train.rows(weights), train.rows(architecture)
    first, second = nb201(dataset)
    if dataset == "cifar10":
        return train.rows(first), train.rows(second)
    return train, test.rows(first)


def _from_columns(path: Path, both: _Halves) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    columns = read_columns(path, {half.column for half in both}, _INDICES)
    first, second = (columns[half.column].astype(np.int64) for half in both)
    return first, second


def _from_text(path: Path, both: _Halves) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Read the official form, JSON of ``{key: ["int", ["0", ...]]}``."""
    with reader(path, _INDICES) as file:
        content = json.loads(file.read())
    first, second = (np.array([int(row) for row in content[half.key][1]], dtype=np.int64) for half in both)
    return first, second
