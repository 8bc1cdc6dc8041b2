"""The papers' numbers as transcribed: complete, mapped, and equal to what is printed."""

from __future__ import annotations

import pandas as pd
import pytest

from reports import published

# Numbers printed in each table of each paper (its text and quoted sources included).
LINES = {
    ("000", "1"): 16, ("000", "2"): 20, ("000", "2-reconstructed"): 10, ("000", "3"): 22, ("000", "4"): 22, ("000", "5"): 20,
    ("000", "6"): 15, ("000", "text"): 2, ("001", "text"): 1, ("001", "secondary"): 5, ("001", "repo-README"): 1,
    ("002", "1"): 19, ("002", "2"): 14, ("002", "3"): 10, ("002", "4"): 3, ("002", "5"): 6,
    ("003", "1"): 34, ("003", "2"): 60, ("003", "3"): 3, ("003", "4"): 16, ("003", "5"): 23, ("003", "text"): 12,
}  # fmt: skip
NB201 = ("cifar10", "cifar100", "imagenet16-120")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return published.load()


def test_every_printed_number_is_there(table: pd.DataFrame) -> None:
    assert table.groupby(["paper", "table"]).size().to_dict() == LINES
    assert len(table) == 334


def test_every_line_has_a_row_or_the_reason_why_not(table: pd.DataFrame) -> None:
    assert ((table["row"] != "") ^ (table["unmapped"] != "")).all()


def test_every_n_is_printed_or_assumed_with_a_reason(table: pd.DataFrame) -> None:
    known = table[table["n"].notna()]
    assert known["n_source"].str.match("printed$|assumed: .{10}").all()


def test_settings_are_not_results(table: pd.DataFrame) -> None:
    settings = table["metric"].str.startswith("hparam:")
    assert settings.sum() == 64
    assert (table.loc[settings, "unmapped"] == "setting, tested as a default").all()


def test_a_row_is_compared_with_one_number_only(table: pd.DataFrame) -> None:
    for protocol in ("nb201-2020", "gaea-2021", "conas-2021"):
        for metric in ("test_accuracy_pct", "valid_accuracy_pct"):
            chosen = table[(table["protocol"] == protocol) & (table["metric"] == metric) & (table["row"] != "")]
            keys = [(line.benchmark, row, line.target) for line in chosen.itertuples() for row in str(line.row).split(";")]
            assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("protocol", "row", "values", "n"),
    [
        ("nb201-2020", "random_search", [(93.70, 0.36), (71.04, 1.08), (44.57, 1.25)], 500),
        ("nb201-2020", "regularized_evolution", [(93.92, 0.30), (71.84, 0.99), (45.54, 1.03)], 500),
        ("nb201-2020", "reinforce:lr_0.01", [(93.85, 0.37), (71.71, 1.09), (45.25, 1.18)], 500),
        ("nb201-2020", "reinforce:lr_0.5", [(93.85, 0.37), (71.71, 1.09), (45.25, 1.18)], 500),
        ("nb201-2020", "bohb:nb201_2020", [(93.61, 0.52), (70.85, 1.28), (44.42, 1.49)], 500),
        ("nb201-2020", "setn", [(87.64, 0.00), (59.05, 0.24), (32.52, 0.21)], 3),
        ("nb201-2020", "darts:bilevel", [(54.30, 0.00), (15.61, 0.00), (16.32, 0.00)], 3),
        ("gaea-2021", "darts:bilevel", [(54.30, 0.00), (15.32, 0.00), (16.38, 0.00)], 4),
        ("gaea-2021", "gaea_darts:erm", [(94.10, 0.29), (72.60, 0.89), (45.81, 0.51)], 4),
        ("conas-2021", "conas", [(91.22, 3.08), (66.39, 5.51), (38.82, 7.01)], 3),
    ],
)
def test_transfer_rows_print_what_the_papers_print(
    table: pd.DataFrame, protocol: str, row: str, values: list[tuple[float, float]], n: int
) -> None:
    lines = published.lines_for(table, protocol)
    printed = [lines["nb201/cifar10", row, target] for target in NB201]
    assert [(line["mean"], line["std"]) for line in printed] == values
    assert {line["n"] for line in printed} == {n}


def test_conas_validation_column(table: pd.DataFrame) -> None:
    lines = published.lines_for(table, "conas-2021", "valid_accuracy_pct")
    assert [lines["nb201/cifar10", "conas", t]["mean"] for t in NB201] == [88.40, 65.82, 39.51]
    assert lines["nb201/cifar10", "conas", "cifar10"]["std"] == 2.79


def test_direct_rows_are_searched_on_their_target(table: pd.DataFrame) -> None:
    lines = published.lines_for(table, "gaea-2021")
    assert lines["nb201/cifar100", "gaea_darts:erm", "cifar100"]["mean"] == 73.43
    assert lines["nb201/imagenet16-120", "gaea_darts:erm", "imagenet16-120"]["std"] == 0.00
    assert lines["nb201/cifar100", "gdas", "cifar100"]["record"] == "ori-test (inferred)"


def test_optimum_of_the_space(table: pd.DataFrame) -> None:
    assert published.optimum(table, "nb201-2020") == {"cifar10": 94.37, "cifar100": 73.51, "imagenet16-120": 47.31}


def test_source_names_table_and_n(table: pd.DataFrame) -> None:
    lines = published.lines_for(table, "nb201-2020")
    assert published.source(lines["nb201/cifar10", "random_search", "cifar10"]) == "GAEA T2, n = 500 assumed"


def test_the_loaded_table_is_a_copy(table: pd.DataFrame) -> None:
    mine = published.load()
    mine.loc[0, "mean"] = -1.0
    assert published.load()["mean"].equals(table["mean"])


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("unmapped", "because", "never both"),
        ("n_source", "guessed", "assumed"),
        ("std", -0.1, "negative"),
        ("paper", "005", "five"),
    ],
)
def test_a_broken_line_is_named(table: pd.DataFrame, column: str, value: str | float, words: str) -> None:
    broken = table.copy()
    line = broken.index[broken["row"] == "conas"][2]
    broken.loc[line, "n"] = 3
    broken.loc[line, "n_source"] = "printed"
    broken.loc[line, column] = value
    with pytest.raises(ValueError, match=f"{words}.*line {line + 2}"):
        published.validate(broken)


def test_every_row_named_is_a_registered_row() -> None:
    from harness import registry

    registered = {row for info in registry.methods().values() for row in info.rows}
    named = {row for text in published.load()["row"] for row in text.split(";") if row}
    assert not {row for row in named if row.partition("[")[0] not in registered}


@pytest.mark.parametrize("name", ["nb201-2020", "gaea-2021", "conas-2021"])
def test_every_line_of_weight_sharing_is_a_row_that_its_protocol_runs_there(table: pd.DataFrame, name: str) -> None:
    from harness import protocols, registry
    from harness.plan import rows_of

    shared = {row for info in registry.methods().values() if info.kind == "one-shot" for row in info.rows}
    (part,) = [part for part in protocols.protocol(name).parts if part.kind == "one-shot"]
    compared = 0
    for line in table[table["protocol"] == name].itertuples():
        for row in filter(None, str(line.row).split(";")):
            if row in shared:
                assert row in rows_of(part) and line.benchmark in part.benchmarks
                compared += 1
    assert compared >= {"nb201-2020": 15, "gaea-2021": 27, "conas-2021": 24}[name]
    assert {"ResNet", "Optimal"} >= set(table.loc[(table["protocol"] == "nb201-2020") & (table["row"] == ""), "label"])
