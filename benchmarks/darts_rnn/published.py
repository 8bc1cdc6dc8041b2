"""Published recurrent cells by name: ``DARTS_V1`` and ``DARTS_V2``."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from benchmarks.darts_rnn.genotype import parse
from benchmarks.published import named as by_name
from harness.space import Arch


@cache
def published() -> dict[str, Arch]:
    """Return every cell of ``published.toml`` by name."""
    entries = tomllib.loads((Path(__file__).parent / "published.toml").read_text())
    return {name: parse(entry["genotype"]) for name, entry in entries.items()}


def named(text: str) -> Arch:
    """Return a cell from its name or its genotype; see :func:`benchmarks.published.named`."""
    return by_name(text, published(), parse, "Genotype(recurrent=[...], concat=...)")
