"""Reports of weight sharing: epoch by epoch beside the base method, on one clock, at equal budget, and the final cells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import reports
from reports import cells, clock, epochs, figures, published, signal
from reports.facts import Part
from reports.study import Study
from reports.traces import Search, Traces

SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
GOOD = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
BENCHMARK = "nb201/cifar10"
SEARCHES = {  # epochs, charged seconds each, entropy at the end, test accuracy at the end, cell
    "darts:bilevel": (50, 100.0, 0.9, 54.3, SKIPS),
    "darts:erm": (25, 100.0, 0.8, 84.0, SKIPS),
    "gaea_darts:bilevel": (25, 100.0, 0.1, 91.6, GOOD),
    "gaea_darts:erm": (25, 200.0, 0.2, 94.1, GOOD),
    "rsps": (20, 50.0, None, 88.0, GOOD),
}
WORLDS = 5


def trace(row: str, world: int) -> dict[str, Any]:
    count, charged, entropy, test, arch = SEARCHES[row]
    epoch = np.arange(1, count + 1)
    seconds = charged * epoch
    made = seconds[-1:] + 30 if row == "rsps" else seconds
    tests = np.array([test + world / 10]) if row == "rsps" else np.linspace(10 + world / 10, test + world / 10, count)
    log = {"epoch": epoch.tolist(), "seconds": seconds.tolist(), "epochs": epoch.tolist()}
    if entropy is not None:
        log["entropy"] = np.linspace(1, entropy + world / 100, count).tolist()
    return {
        "row": row, "benchmark": BENCHMARK, "world": world, "arch": arch, "seconds": made, "end": made[-1], "queries": made * 0,
        "spent_queries": 0, "test": {"cifar10": tests}, "log": log,
    }  # fmt: skip


def random_search(world: int) -> dict[str, Any]:
    made, tests = np.array([10.0, 600.0]), np.array([80.0, 93.0])
    return {
        "row": "random_search", "benchmark": BENCHMARK, "world": world, "arch": GOOD, "seconds": made, "end": 1000.0 + world,
        "queries": [1, 50], "spent_queries": 99, "test": {"cifar10": tests}, "log": {},
    }  # fmt: skip


def made(multi_trial: bool = True, protocol: str = "gaea-2021") -> tuple[pd.DataFrame, list[dict[str, Any]], dict[str, Any]]:
    traces = [trace(row, world) for row in SEARCHES for world in range(WORLDS)]
    traces += [random_search(world) for world in range(WORLDS)] if multi_trial else []
    runs = [
        {
            "run_id": f"{one['row']}/{one['world']}", "protocol": protocol, "benchmark": BENCHMARK, "row": one["row"],
            "method": one["row"].partition(":")[0], "kind": "multi-trial" if one["row"] == "random_search" else "one-shot",
            "device": "cpu", "label": "", "world": one["world"], "status": "done", "target": "cifar10", "error": "",
            "test": one["test"]["cifar10"][-1], "valid": one["test"]["cifar10"][-1] - 3, "rank": 5.0, "arch": one["arch"],
            "regret": 94.37 - one["test"]["cifar10"][-1], "queries": 0, "seconds": one["end"], "epochs": 50.0,
            "wall_seconds": 7.0,
        }
        for one in traces
    ]  # fmt: skip
    facts = {
        "protocol": protocol, "title": "GAEA", "command": "python -m harness.run", "comparable": True,
        "parts": [
            Part(
                BENCHMARK, "one-shot", judge={"cifar10": "ori-test"}, optimum={"cifar10": 94.37},
                planned=dict.fromkeys(SEARCHES, WORLDS),
                estimate={"clock:training": "142.0 us an image; R2 0.993, residual 8.1 us"},
                settings={row: {"objective": row.rpartition(":")[2], "epochs": n} for row, (n, *_) in SEARCHES.items()},
            )
        ],
    }  # fmt: skip
    return pd.DataFrame(runs), traces, facts


def test_a_panel_holds_as_many_lines_as_can_be_told_apart_and_each_has_the_reference() -> None:
    runs, _, facts = made()
    line = runs[runs["row"] == "rsps"].iloc[0].to_dict()
    more = pd.DataFrame([{**line, "row": f"rsps[lr={k}]", "run_id": f"more/{k}"} for k in range(9)])
    assert [name for name, _ in figures.groups(Study(runs, facts, published.load()), BENCHMARK)] == [""]
    found = figures.groups(Study(pd.concat([runs, more]), facts, published.load()), BENCHMARK)
    assert [name for name, _ in found] == [", weight sharing 1/2", ", weight sharing 2/2"]
    assert all(rows[0] == "random_search" and len(rows) <= figures.READABLE for _, rows in found)
    assert sum(len(rows) - 1 for _, rows in found) == len(SEARCHES) + 9


@pytest.fixture
def study() -> tuple[Study, Traces]:
    runs, traces, facts = made()
    return Study(runs, facts, published.load()), Traces(traces)


def row_of(table: Any, *start: str) -> dict[str, str]:
    (found,) = [row for row in table.rows if row[: len(start)] == list(start)]
    return dict(zip([column.name for column in table.columns], found, strict=True))


def test_each_method_is_drawn_beside_the_one_that_it_changes(study: Any) -> None:
    assert epochs.families(study[0], BENCHMARK) == {
        "darts:bilevel": ["darts:bilevel", "gaea_darts:bilevel"],
        "darts:erm": ["darts:erm", "gaea_darts:erm"],
    }


@pytest.mark.parametrize(
    ("bases", "row", "base"),
    [
        (["pc_darts[epochs=2]"], "gaea_pc_darts[epochs=2, warmup=1]", "pc_darts[epochs=2]"),
        (["pc_darts", "pc_darts[epochs=2]"], "gaea_pc_darts[epochs=2]", "pc_darts[epochs=2]"),
        (["pc_darts", "pc_darts[epochs=2]"], "gaea_pc_darts[epochs=3]", "pc_darts"),
        (["pc_darts[epochs=2]", "pc_darts[epochs=4]"], "gaea_pc_darts[epochs=3]", None),
    ],
)
def test_rows_with_changed_settings_have_a_base_too(bases: list[str], row: str, base: str | None) -> None:
    runs, _, facts = made()
    line = runs[runs["row"] == "rsps"].iloc[0].to_dict()
    found = epochs.families(
        Study(pd.DataFrame([{**line, "row": one} for one in [*bases, row]]), facts, published.load()), BENCHMARK
    )
    assert found == ({base: [base, row]} if base else {})


def test_the_proposal_at_an_epoch_is_the_one_in_force_when_it_ended() -> None:
    def search(row: str) -> Search:
        (one,) = Traces([trace(row, 0)]).of(BENCHMARK, row).logging()
        return one

    one = search("gaea_darts:erm")
    found = epochs.proposed(one, "cifar10")
    assert found.index.tolist() == list(range(1, 26))
    assert found.iloc[-1] == pytest.approx(94.1) and found.iloc[0] == 10
    late = one._replace(seconds=one.seconds + 1)  # each a second after its epoch: none at the end of the first
    assert epochs.proposed(late, "cifar10").empty
    assert epochs.proposed(search("rsps"), "cifar10").empty, "it proposes at its end only"


def test_the_entropy_falls_faster_or_not_over_common_epochs(study: Any) -> None:
    table = epochs.entropies(*study, BENCHMARK)
    faster = row_of(table, "gaea_darts:bilevel")
    assert (faster["base"], faster["epochs"], faster["falls faster"]) == ("darts:bilevel", "25", "yes")
    assert faster["difference [95 %]"].startswith("−")
    slower = [
        {**one, "log": {**one["log"], "entropy": np.linspace(1, 0.95, len(one["log"]["epoch"]))}}
        if one["row"].startswith("gaea") else one for one in made()[1]
    ]  # fmt: skip
    assert row_of(epochs.entropies(study[0], Traces(slower), BENCHMARK), "gaea_darts:erm")["falls faster"] == "no"


def test_a_method_without_a_distribution_has_no_entropy_rather_than_zero(study: Any) -> None:
    assert epochs.logged(trace("rsps", 0)["log"], "entropy").empty
    without = Traces({**one, "log": {k: v for k, v in one["log"].items() if k != "entropy"}} for one in made()[1])
    assert set(row_of(epochs.entropies(study[0], without, BENCHMARK), "gaea_darts:erm").values()) >= {"–", "0"}
    assert epochs.entropy(study[0], without) is None


def test_final_cells_are_counted(study: Any) -> None:
    table = cells.operations(*study, BENCHMARK)
    skips, good = row_of(table, "darts:bilevel"), row_of(table, "gaea_darts:erm")
    assert (skips["skip connections"], skips["collapsed"]) == ("6.0 ± 0.0", "100")
    assert (good["skip connections"], good["none"], good["convolutions"], good["collapsed"]) == (
        "1.0 ± 0.0", "1.0 ± 0.0", "3.0 ± 0.0", "0",
    )  # fmt: skip
    assert row_of(table, "rsps")["entropy at the end"] == "n/a"
    assert good["entropy at the end"] == "0.220 ± 0.014"
    assert "random_search" not in {row[0] for row in table.rows}


def test_the_edges_of_a_cell() -> None:
    assert cells.edges(GOOD) == [
        (0, 1, "nor_conv_3x3"), (0, 2, "none"), (1, 2, "nor_conv_1x1"), (0, 3, "skip_connect"), (1, 3, "avg_pool_3x3"),
        (2, 3, "nor_conv_3x3"),
    ]  # fmt: skip
    assert cells.edges("(1, 2)") == []


def test_at_equal_budget_a_search_answers_what_it_would_have_returned_then(study: Any) -> None:
    table = clock.equal_budget(*study, BENCHMARK)
    # 1000 s are 10 epochs of DARTS and 5 of the other, whose accuracy grew linearly
    darts = row_of(table, "gaea_darts:bilevel")
    tenth = [trace("gaea_darts:bilevel", world)["test"]["cifar10"][9] for world in range(WORLDS)]
    assert darts["test"] == f"{np.mean(tenth):.2f} ± {np.std(tenth):.2f}"
    assert darts["schedule done %"] == "40"
    assert row_of(table, "gaea_darts:erm")["schedule done %"] == "20"
    assert (row_of(table, "rsps")["n"], row_of(table, "rsps")["test"]) == ("0", "–"), "it had proposed nothing by then"
    assert row_of(table, "random_search")["test"] == "93.00 ± 0.00"
    assert "no paper is compared" in table.caption and "estimate" in table.caption


def test_a_limit_that_cuts_no_search_off_has_no_table_that_repeats_the_results() -> None:
    runs, traces, facts = made()
    whole = Traces({**one, "end": 1e6} if one["row"] == "random_search" else one for one in traces)
    assert clock.equal_budget(Study(runs, facts, published.load()), whole, BENCHMARK) is None


def test_random_search_is_read_at_the_charge_of_each_row(study: Any) -> None:
    table = clock.own_charge(*study, BENCHMARK)
    assert table is not None and [row[0] for row in table.rows] == study[0].shared_weights(BENCHMARK)
    # a search of gaea_darts:erm is charged 5 000 s, more than random search spent: its last proposal counts
    whole = row_of(table, "gaea_darts:erm")
    assert (whole["charged s"], whole["n"], whole["random_search"]) == ("5 000", "5", "93.00 ± 0.00")
    cheap = [{**one, "end": 300.0} if one["row"] == "rsps" else one for one in made()[1]]
    early = row_of(clock.own_charge(study[0], Traces(cheap), BENCHMARK), "rsps")
    assert (early["charged s"], early["random_search"], early["test"]) == ("300", "80.00 ± 0.00", "88.20 ± 0.14")
    assert early["difference [95 %]"].startswith("+8.20")
    nothing = [{**one, "end": 5.0} if one["row"] == "rsps" else one for one in made()[1]]
    assert row_of(clock.own_charge(study[0], Traces(nothing), BENCHMARK), "rsps")["n"] == "0", "no proposal after 5 s"


def test_a_comparison_that_cannot_be_significant_says_so_in_every_table(study: Any) -> None:
    for table in (clock.equal_budget(*study, BENCHMARK), clock.own_charge(*study, BENCHMARK)):
        assert "no difference on CIFAR-10 can be significant" in table.caption


def test_without_random_search_the_cheapest_row_is_the_limit() -> None:
    runs, traces, facts = made(multi_trial=False)
    alone, packed = Study(runs, facts, published.load()), Traces(traces)
    assert set(clock.limits(alone, packed, BENCHMARK).values()) == {1030.0}
    assert row_of(clock.equal_budget(alone, packed, BENCHMARK), "rsps")["n"] == "5"


def test_charged_published_and_measured_seconds_stand_side_by_side(study: Any) -> None:
    table = clock.costs(study[0], BENCHMARK)
    row = row_of(table, "gaea_darts:erm")
    assert row["charged s (estimate)"] == "5 000"
    assert row["published"] == "9 061"
    assert (row["measured wall s"], row["device"]) == ("7.0", "cpu")
    assert "estimate by extrapolation" in table.caption and "R2 0.993, residual" in table.caption


def test_objectives_say_what_else_differs(study: Any) -> None:
    table = signal.objectives(study[0], BENCHMARK)
    assert row_of(table, "darts:bilevel against darts:erm")["other settings that differ"] == "epochs 50 / 25"
    assert row_of(table, "gaea_darts:bilevel against gaea_darts:erm")["other settings that differ"] == "–"


def test_everything_stands_in_the_report(tmp_path: Path) -> None:
    runs, traces, facts = made()
    files = {path.name for path in reports.write(tmp_path, runs, traces, facts)}
    assert {"accuracy_per_epoch.pdf", "entropy_per_epoch.png", "cells.pdf"} <= files
    text = (tmp_path / "table.md").read_text()
    for heading in (
        "At equal charged seconds",
        "Cost of weight sharing",
        "Entropy against the base",
        "Operations of the final",
    ):
        assert f"## {heading}" in text
    assert re.search(r"\| gaea_darts:erm .*\| +≈ 5 000 \|", text)
    assert not re.search(r"\b(nan|None)\b", text)


def test_validation_stands_beside_test_where_a_paper_prints_both(tmp_path: Path) -> None:
    runs, traces, facts = made(protocol="conas-2021", multi_trial=False)
    reports.write(tmp_path, runs, traces, facts)
    head = next(line for line in (tmp_path / "table.md").read_text().splitlines() if line.startswith("| method"))
    assert [cell.strip() for cell in head.split("|")[3:7]] == ["C10 valid", "C10 published valid", "C10 ours", "C10 published"]
    row = next(line for line in (tmp_path / "table.md").read_text().splitlines() if line.startswith("| rsps "))
    assert [cell.strip() for cell in row.split("|")[3:7]] == ["85.20 ± 0.14", "80.42 ± 3.58", "88.20 ± 0.14", "84.07 ± 3.61"]
