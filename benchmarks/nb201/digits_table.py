"""The table of nb201/digits: what its file of cells has, a row per string."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.nb201.digits_clock import features
from benchmarks.nb201.space import NB201Space, official_order
from benchmarks.nb201.unique import representatives
from benchmarks.training.clock import Clock
from benchmarks.training.table import Columns, Files

FILES = Files("digits")


def classes() -> npt.NDArray[np.int64]:
    """Of each official index the representative's: int64 of shape (15625,)."""
    space = NB201Space()
    first = {space.canonical(official_order()[index]): index for index in representatives()}
    return np.array([first[space.canonical(arch)] for arch in official_order()])


def cells(clock: Clock) -> Columns:
    """Per string, in official order: representative, parameters, MACs and the clock's microseconds per image."""
    from benchmarks.nb201.digits_task import SETTINGS
    from benchmarks.nb201.network import macs, parameters

    order = official_order()
    made_of = features(range(len(order)))
    return {
        "index": np.arange(len(order), dtype=np.int16),
        "representative": classes().astype(np.int16),
        "params": np.array([parameters(arch, SETTINGS.macro) for arch in order], np.int32),
        "macs": np.array([macs(arch, SETTINGS.macro) for arch in order], np.int32),
        "train_us": clock.train.cost(made_of).astype(np.float32),
        "evaluate_us": clock.evaluate.cost(made_of).astype(np.float32),
    }
