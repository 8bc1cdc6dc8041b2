"""The papers' numbers as transcribed: complete, mapped, and equal to what is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.analysis import published
from harness.analysis.measures import MEASURES
from harness.analysis.scoreboard import METRICS, searched
from reports.sources import source
from tests.conftest import REAL_DATA

# Numbers printed in each table of each paper (its text and quoted sources included).
LINES = {
    ("000", "1"): 16, ("000", "2"): 20, ("000", "2-reconstructed"): 10, ("000", "3"): 22, ("000", "4"): 22, ("000", "5"): 20,
    ("000", "6"): 15, ("000", "text"): 7, ("001", "text"): 1, ("001", "secondary"): 6, ("001", "repo-README"): 1,
    ("002", "1"): 19, ("002", "2"): 14, ("002", "3"): 10, ("002", "4"): 3, ("002", "5"): 6,
    ("003", "1"): 34, ("003", "2"): 60, ("003", "3"): 3, ("003", "4"): 16, ("003", "5"): 23, ("003", "text"): 12,
    ("004", "text"): 19,
}  # fmt: skip
NB201 = ("cifar10", "cifar100", "imagenet16-120")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return published.load()


def test_every_printed_number_is_there(table: pd.DataFrame) -> None:
    assert table.groupby(["paper", "table"]).size().to_dict() == LINES
    assert len(table) == 359


def test_every_line_has_a_row_or_the_reason_why_not(table: pd.DataFrame) -> None:
    assert ((table["row"] != "") ^ (table["unmapped"] != "")).all()


def test_every_n_is_printed_or_assumed_with_a_reason(table: pd.DataFrame) -> None:
    known = table[table["n"].notna()]
    assert known["n_source"].str.match("printed$|assumed: .{10}").all()


def test_settings_are_not_results(table: pd.DataFrame) -> None:
    settings = table[table["metric"].str.startswith("hparam:")]
    assert len(settings) == 86 and (settings["row"] == "").all()
    assert settings["unmapped"].str.startswith("setting").all()


def test_a_line_that_repeats_another_equals_it(table: pd.DataFrame) -> None:
    """The spread may be left out where the number is repeated."""
    keys = ["paper", "benchmark", "target", "metric", "mean"]
    repeated = table[table["unmapped"].str.startswith("repetition")]
    assert len(repeated) == 8
    for line in repeated.to_dict("records"):
        equal = table[(table["row"] != "") & (table[keys] == pd.Series(line)[keys]).all(axis=1)]
        assert len(equal) and (pd.isna(line["std"]) or line["std"] in list(equal["std"]))


def test_the_gains_of_gaea_are_differences_of_two_cells_of_its_table(table: pd.DataFrame) -> None:
    gains = table[table["unmapped"] == "derived: difference of two cells of table 2"].set_index("target")["mean"].to_dict()
    cells = table[(table["paper"] == "003") & (table["table"] == "2") & (table["metric"] == "test_accuracy_pct")]
    for target, gain in gains.items():
        rows = cells[cells["target"] == target].groupby("label")["mean"].max()
        assert rows["GAEA DARTS (ERM)"] - rows["REA"] == pytest.approx(gain)
    assert set(gains) == set(NB201)


def test_the_residual_network_is_a_cell_of_the_space_trained_with_one_seed(table: pd.DataFrame) -> None:
    folder = Path(REAL_DATA or "/nonexistent")
    files = [file for name in ("columns", "seeds_200ep") for file in folder.rglob(f"nb201_{name}.parquet")]
    if len(files) != 2:
        pytest.skip("NAS_DATA holds no nb201_columns.parquet and nb201_seeds_200ep.parquet")
    names = ["c100_test200_s888", "in16_test200_s888"]
    means, seeds = (pd.read_parquet(file).set_index("index").loc[11472].to_dict() for file in files)
    printed = table[table["label"] == "ResNet"].set_index("target")["mean"]
    assert means["arch_str"] == "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
    assert [round(float(seeds[name]), 2) for name in names] == [printed["cifar100"], printed["imagenet16-120"]]
    assert means["c10_test200"] == pytest.approx(printed["cifar10"], abs=0.1)  # its seeds are not in the file


def test_random_codes_of_conas_differ_as_the_hypergeometric_law_says_and_not_as_printed(table: pd.DataFrame) -> None:
    """A.5: 15 of 140 switches on. The distance is 30 minus twice the overlap of two codes."""
    length, on = 140, 15
    mean = 2 * on - 2 * on * on / length
    std = 2 * (on * on / length * (1 - on / length) * (length - on) / (length - 1)) ** 0.5
    rng = np.random.default_rng(0)
    codes = rng.permuted(np.tile(np.arange(length) < on, (40_000, 1)), axis=1)
    distances = (codes[::2] ^ codes[1::2]).sum(1)
    assert (distances.mean(), distances.std()) == pytest.approx((mean, std), abs=0.05)
    (line,) = table[table["label"] == "Random binary strings (support 15 of 140)"].to_dict("records")
    assert (line["mean"], line["std"]) == (27.58, 1.82) and f"{mean:.2f} ± {std:.2f}" in line["unmapped"]


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
    assert source(lines["nb201/cifar10", "random_search", "cifar10"]) == "GAEA T2, n = 500 assumed"


def test_the_loaded_table_is_a_copy(table: pd.DataFrame) -> None:
    mine = published.load()
    mine.loc[0, "mean"] = -1.0
    assert published.load()["mean"].equals(table["mean"])


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("unmapped", "because", "never both"),
        ("unmeasured", "because", "begins with its class"),
        ("n_source", "guessed", "assumed"),
        ("std", -0.1, "negative"),
        ("paper", "005", "five"),
        ("chosen_on", "train", "test or valid"),
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


@cache
def searches() -> set[tuple[str, str, str]]:
    """Return protocol, benchmark and row of every search that a protocol makes."""
    from harness import protocols
    from harness.plan import rows_of

    return {
        (name, benchmark, row)
        for name, rules in protocols.protocols().items()
        for part in rules.parts
        for row in rows_of(part)
        for benchmark in part.benchmarks
    }


def not_run(table: pd.DataFrame) -> list[str]:
    """Return the lines whose rows their protocol does not run on their benchmark, and lines with a wrong reason why not.

    A reason that no longer holds is an error too: the day a benchmark exists, its lines must lose theirs.
    """
    wrong = []
    others = ("quoted", "unstated")
    for line in table[(table["row"] != "") & ~table["unmeasured"].str.startswith(others)].to_dict("records"):
        for row in line["row"].split(";"):
            base, _, changes = row.removesuffix("]").partition("[")
            measured = (line["protocol"], line["benchmark"], base) in searches() and accepted(base, changes)
            if measured != (line["unmeasured"] == ""):
                wrong.append(f"{row} on {line['benchmark']}: {line['label']}, {line['metric']}")
    return wrong


def accepted(row: str, changes: str) -> bool:
    """Return whether a row takes the changed settings of its name."""
    from harness import registry
    from harness.errors import UserError

    method, texts = row.partition(":")[0], dict(change.split("=") for change in changes.split(",") if change)
    try:
        registry.build(registry.method(method), registry.settings(registry.method(method), row, "darts", {}, texts))
    except UserError:
        return False
    return True


def unread(table: pd.DataFrame) -> list[str]:
    """Return the metrics of lines that can be measured and that have no reader."""
    possible = table[(table["row"] != "") & (table["unmeasured"] == "")]
    return sorted(
        {metric for metric in possible["metric"] if getattr(METRICS.get(metric), "measure", "-") not in {"", *MEASURES}}
    )


def other_recipe(table: pd.DataFrame) -> list[str]:
    """Return the lines with a recipe whose protocol trains the row's chosen cell on the data by none, or by another one."""
    from harness import protocols

    wrong = []
    for line in published.records(table[(table["recipe"] != "") & (table["unmeasured"] == "")]):
        stages = [stage for stage in protocols.protocol(line["protocol"]).stages if stage.chosen_by]
        used = {stage.recipe_of(line["row"]) for stage in stages if (stage.data or searched(line)) == line["target"]}
        if not used or not used <= set(line["recipe"].split(";")):
            wrong.append(f"{line['row']} on {line['target']}: {line['label']}")
    return wrong


@pytest.mark.parametrize("check", [not_run, unread, other_recipe])
def test_registry_and_printed_numbers_agree(check: Callable[[pd.DataFrame], list[str]], table: pd.DataFrame) -> None:
    assert check(table) == []


@pytest.mark.parametrize(
    ("check", "column", "value"),
    [
        (not_run, "row", "no_such_method"),
        (not_run, "row", "conas[no_such_field=1]"),
        (not_run, "benchmark", "darts/mnist"),
        (not_run, "protocol", "gaea-2021-nb1shot1"),
        (not_run, "unmeasured", "derived: of another line"),
        (unread, "metric", "latency_ms"),
        (other_recipe, "recipe", "short"),
        (other_recipe, "target", "imagenet16-120"),
    ],
)
def test_a_line_that_is_broken_in_memory_is_found(
    check: Callable[[pd.DataFrame], list[str]], column: str, value: str, table: pd.DataFrame
) -> None:
    rows = table[(table["row"] != "") & (table["unmeasured"] == "")]
    lines = rows[rows["recipe"] != ""] if check is other_recipe else rows
    assert len(lines) > 40
    for index in lines.index:
        assert check(lines.loc[[index]].assign(**{column: value})), f"line {index + 2}"


def test_searches_on_imagenet_and_cells_that_move_there_are_different_lines(table: pd.DataFrame) -> None:
    """Those searched on ImageNet are of the protocol that searches there; its rows, recipes and metrics are checked above."""
    lines = table[(table["target"] == "imagenet") & (table["row"] != "")]
    direct, moved = (lines[lines["benchmark"] == f"darts/{data}"] for data in ("imagenet", "cifar10"))
    assert len(direct) + len(moved) == len(lines)
    assert set(direct["protocol"]) == {"darts-imagenet-as-published"} and set(moved["protocol"]) == {"darts-as-published"}
    assert set(direct["row"]) == {"pc_darts", "gaea_pc_darts", "ista_nas:one_stage"} and set(direct["unmeasured"]) == {""}
    errors = direct.drop_duplicates(["row", "metric", "mean"]).set_index(["row", "metric"])["mean"].to_dict()
    assert errors == {
        ("pc_darts", "top1_error_pct"): 24.2,
        ("pc_darts", "top5_error_pct"): 7.3,
        ("gaea_pc_darts", "top1_error_pct"): 24.0,
        ("gaea_pc_darts", "top5_error_pct"): 7.3,
        ("ista_nas:one_stage", "top1_error_pct"): 24.0,
        ("ista_nas:one_stage", "top5_error_pct"): 7.1,
    }
    assert len(not_run(direct.assign(benchmark="darts/cifar10"))) == len(direct), "the protocol searches on ImageNet alone"


def test_the_perplexities_of_recurrent_cells_are_read_and_have_their_recipe(table: pd.DataFrame) -> None:
    lines = table[table["metric"].isin(["valid_perplexity", "test_perplexity"]) & (table["row"] != "")]
    assert len(lines) == 8 and set(lines["benchmark"]) == {"darts_rnn/ptb"} and set(lines["unmeasured"]) == {""}
    recipes = dict(zip(lines["row"], lines["recipe"], strict=True))
    assert recipes == {
        "darts:bilevel": "rnn_darts",
        "darts:second_order": "rnn_darts",
        "sparse_nas:adam_hapg": "rnn_sparse_nas",
        "conas": "",  # no source states it (D-99)
    }
    assert len(not_run(lines.assign(benchmark="darts_rnn/wikitext"))) == 8


def test_every_training_that_a_paper_prints_has_a_recipe_of_ours(table: pd.DataFrame) -> None:
    from benchmarks.darts.recipe import recipes
    from benchmarks.darts_rnn.recipe import recipes as of_texts

    metrics = table["metric"].str.partition("[")[0].isin(["test_error_pct", "top1_error_pct", "top5_error_pct"])
    delivered = table["metric"] == "test_error_pct[single run]"
    trained = table[(table["row"] != "") & (table["unmeasured"] == "") & metrics & ~delivered]
    named = {name for text in table["recipe"] for name in text.split(";") if name}
    assert named <= {*recipes(), *of_texts()} and named >= {"darts", "pc_darts", "gaea", "sparse_nas", "imagenet_darts"}
    assert (trained["recipe"] != "").all()
    without = table[table["unmeasured"].str.startswith("unstated recipe")]  # others trained DARTS' cells on CIFAR-100
    assert list(zip(without["row"], without["target"], strict=True)) == [
        ("darts:bilevel", "cifar100"),
        ("darts:second_order", "cifar100"),
    ]
    assert (table.loc[table["recipe"] != "", "row"] != "").all()


def test_numbers_of_scripts_that_keep_the_best_epoch_say_so(table: pd.DataFrame) -> None:
    """D-59: CoNAS' and PC-DARTS' scripts, DARTS' and ISTA-NAS' for ImageNet. A best epoch is not compared with ours."""
    flagged = table[table["caveats"].str.contains("ours is the last (D-59)", regex=False)]
    assert set(zip(flagged["row"], flagged["target"], strict=True)) == {
        ("conas", "cifar10"),
        ("conas:two_inputs", "cifar10"),
        ("pc_darts", "cifar10"),
        ("pc_darts", "imagenet"),
        ("darts:second_order", "imagenet"),
        ("ista_nas:one_stage", "imagenet"),
    }
    records = table[table["record"].isin([published.BEST_EPOCH, published.PERHAPS_BEST_EPOCH])]
    assert list(records.index) == list(flagged.index), "the caveat has the source of the flag"
    certain = records[records["record"] == published.BEST_EPOCH]
    assert set(zip(certain["row"], certain["target"], strict=True)) == {("pc_darts", "cifar10")}
    others = set(table["record"]) - set(records["record"])
    assert others == {"", "ori-test", "x-test", "ori-test (inferred)"}
    darts_space = table[(table["benchmark"] == "darts/cifar10") & table["metric"].isin(["test_error_pct", "top1_error_pct"])]
    assert set(darts_space.index[darts_space["row"] == "pc_darts"]) <= set(flagged.index)


def test_a_number_is_transcribed_once_with_one_n_recipe_and_choice(table: pd.DataFrame) -> None:
    """The same number of a row in several tables has the same n, recipe and choice: the first line judges."""
    trained = table[(table["benchmark"] == "darts/cifar10") & table["metric"].isin(["test_error_pct", "top1_error_pct"])]
    for _, lines in trained[trained["row"] != ""].groupby(["row", "target", "mean"]):
        assert len(lines[["std", "n", "n_source", "record", "recipe", "chosen_on"]].drop_duplicates()) == 1


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


def test_the_documentation_counts_the_lines_by_what_it_takes_to_check_them(table: pd.DataFrame) -> None:
    from harness.scoreboard import way

    def kind(line: published.Line) -> str:
        if reason := line["unmapped"] or line["unmeasured"]:
            return str(reason).partition(":")[0]
        commands = [way(line["protocol"], line["benchmark"], [row], "").arguments for row in line["row"].split(";")]
        data = {searched(line), line["target"] if line["recipe"] else searched(line)}
        return "other images" if data != {"cifar10"} else "GPU" if all("cuda" in text for text in commands) else "CPU"

    counts = Counter(map(kind, published.records(table)))
    compared = counts["setting, tested as a default"] + counts["setting that differs here"]
    rows = [counts["CPU"], counts["derived"], compared, counts["setting, fixed by the space or the code"], counts["GPU"]]
    rows += [counts["other images"], 0, 0, counts["unstated recipe"]]
    rows += [counts["repetition"], counts["quoted"], len(table)]
    text = (Path(__file__).parents[2] / "docs" / "scoreboard.md").read_text()
    section = text.partition("## What can be checked")[2].partition("\n## ")[0]
    cells = [line.strip(" |").split("|") for line in section.splitlines() if line.startswith("|")][2:]
    assert [int(now) for _, _, now in cells] == rows
    before = [int(number) for _, number, _ in cells]
    assert sum(before[:-1]) == before[-1] == 334 and sum(rows[:-1]) == rows[-1]
    assert f"{sum(before[:2])} lines could be checked before, and {sum(rows[:3])} can now" in text
