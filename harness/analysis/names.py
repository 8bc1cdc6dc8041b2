"""The names of data sets and of rows: as the field and the papers write them."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

TARGETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16-120": "ImageNet-16-120", "imagenet": "ImageNet"}
TARGETS |= {"cifar10-jpeg75": "CIFAR-10 (JPEG-75)", "imdb": "IMDb", "ptb": "Penn Treebank"}
SHORT = {"cifar10": "C10", "cifar100": "C100", "imagenet16-120": "IN16"}


def target_name(target: str) -> str:
    """Return a target's usual spelling."""
    return TARGETS.get(target, target)


def short_name(target: str) -> str:
    """Return the short form of a target's name."""
    return SHORT.get(target, target_name(target))


@cache
def row_names() -> dict[str, str]:
    """Return the names of rows, by row."""
    return tomllib.loads(Path(__file__).with_name("names.toml").read_text(encoding="utf-8"))
