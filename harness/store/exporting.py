"""Export runs as lines of strict JSON, for other programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from harness.store import Store


def lines(store: Store, *, traces: bool) -> Iterator[str]:
    """Yield one JSON object per finished run, in order of row and world.

    JSON has no NaN and no infinity: NaN, a value that is missing, becomes ``null``; an infinity becomes the text
    ``"Infinity"`` or ``"-Infinity"``, which ``float`` reads in Python and ``Number`` in JavaScript.

    Args:
        traces: with ``trace``, the named columns of every search: a list of numbers each.
    """
    for run in store.every_run(trace=traces):
        yield json.dumps(plain(run), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def plain(value: Any) -> Any:
    """Return ``value`` in the types of strict JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, np.ndarray):
        return (
            value.tolist() if value.dtype.kind != "f" or np.isfinite(value).all() else [plain(item) for item in value.tolist()]
        )
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
