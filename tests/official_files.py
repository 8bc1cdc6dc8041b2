"""Small files in the layouts that the benchmarks' authors publish, written with their own classes, for tests."""

from __future__ import annotations

import bz2
import pickle
import random
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.nb201.space import NB201Space, official_order

ARCHS = tuple(NB201Space().to_str(arch) for arch in official_order())
DATASETS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
SPLITS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}
EPOCHS = {"12": 12, "200": 200}


def states(
    index: int,
    results_count: Any,
    arch_results: Any,
    only_valid_at_12: bool = False,
    recipes: tuple[str, ...] = ("12", "200"),
) -> dict[str, Any]:
    """``{recipe: state_dict of ArchResults}`` of one architecture, made up but self-consistent and the same in every call.

    What varies between architectures and trials: which seeds there are, epochs' times (measured, constant, none), latency,
    accuracies after the last epoch only, and a trial that records another network's parameters.
    """
    rng = random.Random(index)
    states = {}
    for recipe in recipes:
        epochs = EPOCHS[recipe]
        results = arch_results(index, ARCHS[index])
        for dataset in DATASETS[:1] if only_valid_at_12 and recipe == "12" else DATASETS:
            seeds = [777, 888, 999] if recipe == "200" else [777, 888] if dataset == "cifar10-valid" else [777]
            if index % 3 == 1 and recipe == "200":
                seeds = [777, 888]
            if index % 5 == 4 and dataset == "cifar10" and recipe == "200":
                seeds = [888]
            for seed in seeds:
                trial = _trial(results_count, rng, index, dataset, epochs, seed)
                results.update(dataset, seed, trial)
        states[recipe] = results.state_dict()
    return states


def _trial(results_count: Any, rng: random.Random, index: int, dataset: str, epochs: int, seed: int) -> Any:
    params = np.float64(0.1 + (index % 7) * 0.05 + (0.01 if index % 4 == 2 and seed == 777 else 0))
    latency = None if index % 6 == 5 else [0.01 + rng.random() / 100, 0.02]
    accuracies = {epoch: rng.uniform(10, 99) for epoch in range(epochs)}
    losses = {epoch: rng.uniform(0.01, 3) for epoch in range(epochs)}
    config = {"channel": 16, "num_cells": 5, "arch_str": ARCHS[index], "class_num": 10}
    trial = results_count(dataset, None, accuracies, losses, params, 15.6 + index, config, seed, epochs, latency)
    names = SPLITS[dataset]
    old = seed == 777 and index % 2 == 1  # the older records: some splits are evaluated once, at the end
    for name in names:
        every = not old or name in ("x-valid" if dataset == "cifar10-valid" else "ori-test",)
        shown = range(epochs) if every else [epochs - 1]
        trial.update_OLD_eval(name, {e: rng.uniform(10, 99) for e in shown}, {e: rng.uniform(0.01, 3) for e in shown})
    if index % 4 == 3:
        return trial  # no times at all
    if index % 4 == 0:
        trial.train_times = OrderedDict((epoch, rng.uniform(5, 9)) for epoch in range(epochs))
        trial.eval_times = {f"{name}@{epoch}": rng.uniform(1, 2) for name in names for epoch in range(epochs)}
    else:
        trial.reset_pseudo_train_times(7.0 + index)
        for name in names:
            trial.reset_pseudo_eval_times(name, 1.5 + index / 10)
    return trial


def nas_bench_201(path: Path, n_archs: int, legacy: bool = True, version: str = "1.1") -> dict[str, Any]:
    """Writes ``NAS-Bench-201-*.pth`` as torch did before 1.6 (``legacy``) or does now, and returns its content."""
    import torch
    from nas_201_api import ArchResults, ResultsCount

    entries = {}
    for index in range(n_archs):
        both = states(index, ResultsCount, ArchResults, only_valid_at_12=version == "1.0")
        entries[index] = {"full": both["200"], "less": both["12"]}
    content = {"meta_archs": list(ARCHS), "arch2infos": entries, "evaluated_indexes": set(entries)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return content


def nats_folder(path: Path, n_archs: int, recipes: tuple[str, ...] = ("12", "200")) -> Path:
    """Writes the NATS-Bench ``-simple`` folder. A table of the 12-epoch recipe alone is small, its curves being short."""
    from nats_bench import ArchResults, ResultsCount

    path.mkdir(parents=True)
    _compress(path / "meta.pickle.pbz2", {"meta_archs": list(ARCHS), "total_archs": len(ARCHS), "evaluated_indexes": set()})
    for index in range(n_archs):
        _compress(path / f"{index:06d}.pickle.pbz2", states(index, ResultsCount, ArchResults, recipes=recipes))
    return path


def nats_file(path: Path, n_archs: int) -> dict[str, Any]:
    """Writes the single NATS-Bench file and returns its content."""
    from nats_bench import ArchResults, ResultsCount

    entries = {index: states(index, ResultsCount, ArchResults) for index in range(n_archs)}
    content = {"meta_archs": list(ARCHS), "total_archs": len(ARCHS), "arch2infos": entries, "evaluated_indexes": set(entries)}
    _compress(path, content)
    return content


def plain_columns(n: int = 15625) -> dict[str, Any]:
    """Return a table of plain columns with random values and consistent costs. ``n`` below 15 625 makes it invalid."""
    rng = np.random.default_rng(0)
    table: dict[str, Any] = {"index": np.arange(n), "arch_str": np.array(ARCHS[:n])}
    quality = rng.beta(5, 1, n)  # shared by all data sets, so that searching pays
    for short, best in (("c10", 95.0), ("c100", 74.0), ("in16", 47.0)):
        names = ("val", "test") if short == "c10" else ("val", "test", "valtest")
        for recipe, share in ((12, 0.85), (200, 1.0)):
            for name in names:
                if recipe == 200 or name != "valtest":
                    table[f"{short}_{name}{recipe}"] = np.clip(best * share * quality + rng.normal(0, 0.3, n), 0.5, 99.5)
        seconds = rng.uniform(5, 20, n)
        train, evaluation = {"c10": ("c10valid", "c10valid_val")}.get(short, (short, f"{short}_val"))
        table[f"{train}_train_s_per_epoch"] = seconds
        table[f"{evaluation}_eval_s"] = seconds / 4
        table[f"{short}_cost12_s"] = 12 * seconds + seconds / 4
        table[f"{short}_cost200_s"] = 200 * seconds + seconds / 4
        table[f"{short}_params_M"] = rng.uniform(0.07, 1.5, n)
        table[f"{short}_flops_M"] = rng.uniform(7, 220, n)
    table["c10valid_test200"] = table["c10_test200"] - 0.4
    table["c10_train_s_per_epoch"] = 2 * table["c10valid_train_s_per_epoch"]
    table["c10_test_eval_s"] = table["c10valid_val_eval_s"] * 0.4
    return table


def columns_table(path: Path, n: int = 15625, **changes: Any) -> Path:
    """Write :func:`plain_columns` as ``.parquet``, ``.csv`` or ``.npz``, by the suffix. ``changes`` replace columns."""
    table = {**plain_columns(n), **changes}
    if path.suffix == ".npz":
        np.savez(path, **table)
        return path
    import pandas

    frame = pandas.DataFrame(table)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def _compress(path: Path, content: Any) -> None:
    with bz2.open(path, "wb") as file:
        pickle.dump(content, file, protocol=4)


if __name__ == "__main__":  # python -m tests.official_files FOLDER: something to try the command line with
    nats_folder(Path(sys.argv[1]) / "NATS-tss-v1_0-3ffb9-simple", 20, ("12",))
    columns_table(Path(sys.argv[1]) / "columns.parquet")
