"""The table of nb1shot1/1-digits: what its file of cells has, a row per different cell."""

from __future__ import annotations

import numpy as np

from benchmarks.nb1shot1.digits_clock import features
from benchmarks.nb1shot1.size import network_size
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.unique import representatives
from benchmarks.training.clock import Clock
from benchmarks.training.table import Columns, Files

FILES = Files("nb1shot1_digits")


def cells(clock: Clock) -> Columns:
    """Per different cell, ascending by the number of its first architecture: parameters, MACs and microseconds per image."""
    from benchmarks.nb1shot1.digits_task import SETTINGS

    space, numbers = NB1Shot1Space(1), sorted(representatives())
    sizes = np.array([network_size(space.cell(space.at(number)), SETTINGS.macro) for number in numbers], np.int32)
    made_of = features(numbers)
    return {
        "cell": np.array(numbers, np.int16),
        "params": sizes[:, 0],
        "macs": sizes[:, 1],
        "train_us": clock.train.cost(made_of).astype(np.float32),
        "evaluate_us": clock.evaluate.cost(made_of).astype(np.float32),
    }
