"""The rows of NATS-Bench's weight sharing have the settings of its one configuration and its one script (D-40)."""

from __future__ import annotations

from typing import Any

import pytest

from harness import protocols, registry
from harness.plan import preset, rows_of

CONFIGURATION: dict[str, Any] = {
    "epochs": 200,
    "batch": 64,
    "lr": 0.025,
    "lr_end": 0.001,
    "lr_period": 1.0,
    "lr_restart": 0.0,
    "lr_ahead": 0,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 5e-4,
    "clip": 0.0,
    "track_stats": False,
    "track_outside": True,
    "plain_last": True,
    "conv_bias": True,
    "channels": 0,
    "inactive": "decay",
}
"""``weight-sharing.config`` with the 200 epochs of ``run-all.sh`` (D-57), and the defaults of ``search-cell.py``."""
ADAM = {"arch_lr": 3e-4, "arch_decay": 1e-3}
RANKED = {"candidates": 100, "selection_batch": 512}
ROWS: dict[str, dict[str, Any]] = {
    "darts:bilevel": {
        **ADAM,
        "objective": "bilevel",
        "second_order": False,
        "order": "weights_first",
        "none": True,
        "clip_arch": False,
    },
    "darts:second_order": {
        **ADAM,
        "objective": "bilevel",
        "second_order": True,
        "order": "weights_first",
        "none": True,
        "clip_arch": False,
    },
    "gdas": {**ADAM, "order": "weights_first", "clip_arch": False, "arch_clip": 0.0, "hottest": 10.0, "coldest": 0.1},
    "setn": {**ADAM, **RANKED},
    "rsps:nats_2021": {**RANKED, "sampling": "cell", "selection_batches": 1, "finalists": 0, "selects": "at_the_end"},
    "enas": {
        **RANKED,
        "controller_steps": 50,
        "controller_samples": 20,
        "controller_clip": 5.0,
        "controller_beta": 0.5,
        "baseline_rate": 0.01,
        "baseline_moves": "epoch_mean",
        "rewarded_on": "plain",
        "reward_batch": 512,
        "ranked_on": "plain",
        "finalists": 0,
    },
}


def resolved(row: str) -> dict[str, Any]:
    (part,) = [part for part in protocols.protocol("nats-2021").parts if part.kind == "one-shot"]
    assert row in rows_of(part)
    info = registry.method(row.partition(":")[0])
    return registry.settings(info, row, "nb201", preset(part, row), {})


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_nats_bench_has_its_one_configuration(row: str) -> None:
    settings = resolved(row)
    assert {name: settings[name] for name in CONFIGURATION} == CONFIGURATION
    assert {name: settings[name] for name in ROWS[row]} == ROWS[row]


def test_the_published_rows_of_the_protocol_are_these() -> None:
    (part,) = [part for part in protocols.protocol("nats-2021").parts if part.kind == "one-shot"]
    methods = {row.partition(":")[0] for row in ROWS}
    assert {row for row in rows_of(part) if row.partition(":")[0] in methods} == set(ROWS)
