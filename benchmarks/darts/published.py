"""Published cells by name: ``DARTS_V2``, ``PC_DARTS_CIFAR10``, ``CONAS_1``, ..."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from benchmarks.darts.genotype import parse
from benchmarks.published import named as by_name
from harness.space import Arch


@cache
def published() -> dict[str, Arch]:
    """Return every cell of ``published.toml`` by name."""
    return {name: parse(entry["genotype"]) for name, entry in _entries().items()}


@cache
def about() -> dict[str, str]:
    """Return the description of every published cell by name."""
    return {name: entry["about"] for name, entry in _entries().items()}


def named(text: str) -> Arch:
    """Return a cell from its name or its genotype; see :func:`benchmarks.published.named`."""
    return by_name(text, published(), parse, "Genotype(normal=[...], ...)")


def _entries() -> dict[str, dict[str, str]]:
    return tomllib.loads((Path(__file__).parent / "published.toml").read_text())
