"""The settings that the papers print, compared with ours: a line of ``published.csv`` says whether they are the same."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd
import pytest

from benchmarks.darts.cell import EDGES, OPS
from benchmarks.darts.recipe import recipe
from benchmarks.darts.supernet import SEARCH
from benchmarks.feature_maps.benchmark import PAPER
from benchmarks.feature_maps.ngrams import ORDERS, SMOOTHING
from benchmarks.feature_maps.ridge import ALPHA
from benchmarks.images.augment import STANDARD
from benchmarks.nb201.space import OPS as NB201_OPS
from benchmarks.nb201.task import MACROS
from harness import protocols, registry
from harness.analysis import published
from harness.analysis.published import Line
from methods.feature_maps.sweep import Sweep
from methods.feature_maps.weight_sharing import WeightSharing
from methods.one_shot.parts.operations import FIVE

SAME, FIXED, DIFFERS = "setting, tested as a default", "setting, fixed by the space or the code", "setting that differs here: "
FIELDS = {
    "initial_lr": "lr", "nesterov": "nesterov", "momentum": "momentum", "weight_decay": "weight_decay", "epochs": "epochs",
    "batch_size": "batch",
}  # fmt: skip
SEARCH_FIELDS = FIELDS | {
    "ending_lr": "lr_end", "loss_threshold": "threshold", "measurements": "measurements", "lasso_lambda": "penalty",
    "coefficients_s": "terms",
}  # fmt: skip
TRAINING_FIELDS = FIELDS | {
    "initial_channels": "width", "drop_path": "drop_path", "cutout_length": "cutout", "cells": "depth",
    "aux_weight": "auxiliary", "grad_clip": "clip", "lr_schedule": "schedule",
}  # fmt: skip


def fields(owner: Any, names: dict[str, str]) -> dict[str, Any]:
    return {printed: getattr(owner, name) for printed, name in names.items()}


@cache
def ours() -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return our settings by paper, table and benchmark, by the printed name."""
    info = registry.method("conas")
    darts, nb201 = (registry.build(info, registry.settings(info, "conas", name, {}, {})) for name in ("darts", "nb201"))
    augmentation = STANDARD["cifar10"]
    images = {"random_flip_p": 0.5 * augmentation.flip, "random_crop": augmentation.padding > 0}
    searched = images | {"cutout": augmentation.cutout > 0}
    training, macro = recipe("darts"), MACROS["cifar10"]
    cells, nodes = 2, max(target for target, _ in EDGES) + 2  # with the output, which concatenates
    sizes = {"initial_channels": SEARCH.width, "cells": SEARCH.depth, "ops": len(OPS), "nodes": nodes}
    small = {"initial_channels": macro.width, "cells": macro.depth, "ops": len(NB201_OPS) - 1, "nodes": 4}
    maps = {
        "configurations": PAPER["cifar10"].pool,
        "features": PAPER["cifar10"].features,
        "growth": WeightSharing.variants["fast"]["growth"],
        "correlated_configurations": Sweep().maps,
        "trials": protocols.protocol("feature-maps-2020").seeds,
        "lambda": ALPHA,
    }
    reviews: dict[str, float] = {
        "configurations": PAPER["imdb"].pool,
        "features": PAPER["imdb"].features,
        "ngram_order": max(ORDERS),
    }
    reviews |= {"smallest_smoothing": SMOOTHING[0], "largest_smoothing": SMOOTHING[1]}
    return {
        ("000", "3", "darts-as-published"): fields(darts, SEARCH_FIELDS) | searched | sizes,
        ("000", "4", "conas-2021"): fields(nb201, SEARCH_FIELDS) | searched | small,
        ("000", "5", "darts-as-published"): fields(training, TRAINING_FIELDS)
        | images
        | {"cutout": training.cutout > 0, "ending_lr": training.learning_rate(training.epochs)},
        ("000", "text", "darts-as-published"): fields(darts, {"coefficients_s": "terms"})
        | {"code_length": cells * len(EDGES) * len(OPS)},
        ("000", "text", "conas-2021-table6"): {"code_length": len(EDGES) * sum(map(len, FIVE.values()))},
        ("004", "text", "cifar10"): maps,
        ("004", "text", "imdb"): maps | reviews,
    }


def wrong(table: pd.DataFrame) -> list[str]:
    """Return the lines whose reason is not what a comparison with our settings says."""
    lines = []
    for line in published.records(table[table["metric"].str.startswith("hparam:")]):
        name, reason = line["metric"].removeprefix("hparam:"), line["unmapped"]
        place = line["target"] if line["paper"] == "004" else line["protocol"]
        known = ours()[line["paper"], line["table"], place]
        same = name in known and known[name] == printed(line)
        if not (same if reason == SAME else name in known and not same if reason.startswith(DIFFERS) else name not in known):
            lines.append(f"{line['paper']} {line['table']} {place} {name}")
    return lines


def printed(line: Line) -> Any:
    if pd.notna(line["mean"]):
        return line["mean"]
    text = line["caveats"].rpartition("value: ")[2]
    return {"Yes": True, "No": False}.get(text, text)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return published.load()


def test_every_printed_setting_is_ours_or_the_line_says_that_it_differs(table: pd.DataFrame) -> None:
    assert wrong(table) == []
    settings = table[table["metric"].str.startswith("hparam:")]
    assert set(settings["unmapped"].str.partition(":")[0]) == {SAME, FIXED, DIFFERS.partition(":")[0]}
    differing = settings[settings["unmapped"].str.startswith(DIFFERS)]
    assert list(differing["metric"]) == [f"hparam:{name}" for name in ("nesterov", "nesterov", "coefficients_s", "features")]
    assert (settings["unmapped"] == SAME).sum() >= 60


def test_a_changed_setting_or_reason_is_found(table: pd.DataFrame) -> None:
    """Change each line in memory."""
    for index in table.index[table["metric"].str.startswith("hparam:")]:
        line = table.loc[[index]]
        same = line["unmapped"].item() == SAME
        assert wrong(line.assign(unmapped=f"{DIFFERS}x" if same else SAME)), f"line {index + 2}"
        assert not same or wrong(line.assign(mean=12345.0, caveats="")), f"line {index + 2}"
