"""Check the shape of an official record before a class of the official packages reads it.

The official classes take a string for the path of a file, and open it as a pickle without any check. They therefore get only
data that this module builds: new dictionaries with the known keys and plain numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.sources.values import is_impossible
from harness.errors import UserError

_SEEDS = 16
"""Most trainings of one architecture on one data set; three are published."""
_SERIES = {
    "train_acc1es": "accuracy",
    "train_losses": "loss",
    "train_times": "seconds",
    "eval_acc1es": "accuracy",
    "eval_losses": "loss",
    "eval_times": "seconds",
}
"""Official names of the values of each epoch, and the metric whose rule they follow."""

Key = tuple[str, int]


def checked(state: Any, recipe: str) -> dict[str, Any]:
    """Return a record of one architecture and recipe as plain data with only the official keys.

    Args:
        state: untrusted content of the file.
        recipe: epochs of its trainings, for error messages.

    Raises:
        UserError: a clause with the name of the entry and its error.
    """
    where = f"its {recipe}-epoch record"
    record = _dictionary(state, where)
    seeds = _seeds(record.get("dataset_seed"), where)
    trials = _dictionary(record.get("all_results"), f"all_results of {where}")
    keys = [(dataset, seed) for dataset, numbers in seeds.items() for seed in numbers]
    if set(trials) != set(keys):
        different = next(iter(set(trials) ^ set(keys)))
        raise UserError(f"{where} lists other trainings than it has, such as {short(different)}")
    return {
        "arch_index": _natural(record.get("arch_index"), f"arch_index of {where}"),
        "arch_str": _text(record.get("arch_str"), f"arch_str of {where}"),
        "all_results": {key: _trial(trials[key], key, f"training {key[0]}, {key[1]} of {where}") for key in keys},
        "dataset_seed": seeds,
        "clear_net_done": True,
    }


def _seeds(value: Any, where: str) -> dict[str, list[int]]:
    seeds: dict[str, list[int]] = {}
    for name, numbers in _dictionary(value, f"dataset_seed of {where}").items():
        dataset = _text(name, f"a data set of {where}")
        if type(numbers) not in (list, tuple) or not 0 < len(numbers) <= _SEEDS:
            raise UserError(f"the seeds of {short(dataset)} in {where} are {short(numbers)}, not 1 to {_SEEDS} numbers")
        seeds[dataset] = [_natural(number, f"a seed of {dataset} in {where}") for number in numbers]
        if len(set(seeds[dataset])) < len(numbers):
            raise UserError(f"{where} has two trainings of {short(dataset)} with the same seed")
    if not seeds:
        raise UserError(f"{where} has no training")
    return seeds


def _trial(value: Any, key: Key, where: str) -> dict[str, Any]:
    trial = _dictionary(value, where)
    latency = trial.get("latency")
    if latency is not None and type(latency) not in (list, tuple):
        raise UserError(f"latency of {where} is {short(latency)}, not a list")
    return {
        "name": key[0],
        "net_state_dict": None,
        "train_acc5es": None,
        "arch_config": {},
        **{name: _series(trial.get(name), metric, f"{name} of {where}") for name, metric in _SERIES.items()},
        "params": _size(trial.get("params"), f"params of {where}"),
        "flop": _size(trial.get("flop"), f"flop of {where}"),
        "seed": key[1],
        "epochs": _natural(trial.get("epochs"), f"epochs of {where}"),
        # the official package stores -1 if the latency is unknown
        "latency": [_number(item, "seconds", f"latency of {where}") for item in latency or () if item != -1] or None,
        "eval_names": _names(trial.get("eval_names"), where),
    }


def _series(value: Any, metric: str, where: str) -> dict[Any, float] | None:
    if value is None:
        return None
    if type(value) in (list, tuple):
        value = dict(enumerate(value))
    series = {}
    for key, item in _dictionary(value, where).items():
        if type(key) not in (int, str):
            raise UserError(f"{where} has the key {short(key)}, which is no epoch")
        series[key] = _number(item, metric, f"{where} at {short(key)}")
    return series


def _names(value: Any, where: str) -> list[str]:
    if type(value) not in (list, tuple):
        raise UserError(f"eval_names of {where} is {short(value)}, not a list")
    return [_text(item, f"an evaluation of {where}") for item in value]


def _dictionary(value: Any, where: str) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where} is {short(value)}, not a dictionary")
    return value


def _text(value: Any, where: str) -> str:
    if type(value) is not str:
        raise UserError(f"{where} is {short(value)}, not a text")
    return value


def _natural(value: Any, where: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise UserError(f"{where} is {short(value)}, not a whole number")
    return value


def _size(value: Any, where: str) -> float | None:
    return None if value is None else _number(value, "size", where)


def _number(value: Any, metric: str, where: str) -> float:
    if type(value) not in (int, float):
        raise UserError(f"{where} is {short(value)}, not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if is_impossible(number, metric):
        raise UserError(f"{where} is {number}, which is impossible")
    return number


def short(value: Any) -> str:
    """Return a value as at most 80 characters, or the name of its type if it may be large."""
    if isinstance(value, str | int | float | bool | type(None)) and not (type(value) is int and value.bit_length() > 64):
        text = repr(value if not isinstance(value, str) else value[:60])
    elif isinstance(value, tuple) and len(value) == 2:
        text = ", ".join(map(short, value))
    else:
        text = f"a {type(value).__name__}"
    return text[:80]
