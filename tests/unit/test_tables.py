"""A benchmark's table as a library: every name of a cell, every way to ask, one record; wrong questions end with one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nb1shot1.queries import NB101Table
from benchmarks.nb201.queries import NB201Table
from harness import data, query, registry, tables
from harness.errors import UserError
from harness.problem import MissingRecord
from harness.space import InvalidArchitecture
from harness.tables import BenchmarkTable

TABLES: dict[str, BenchmarkTable] = {}
BUNDLED = ("nb201/digits", "nb1shot1/1-digits")


@pytest.fixture(scope="module", autouse=True)
def bundled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Open the bundled tables, on a machine without official data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_DATA", "")
        patch.setenv("NAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        TABLES.update({name: tables.open(name) for name in BUNDLED})


@pytest.fixture(autouse=True)
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))


def names_of(table: BenchmarkTable, index: int) -> list[Any]:
    """Return every name of a cell, except that which isomorphic cells share."""
    assert isinstance(table, NB101Table | NB201Table)
    names = [index, np.int32(index), table[index]]
    if isinstance(table, NB201Table):
        arch = table.arch(index)
        return [*names, arch, list(arch), np.array(arch)]
    matrix, ops = table.graph(index)
    return [*names, table.canonical(index), (matrix, ops), (np.array(matrix), ("input", *ops, "output"))]


@pytest.mark.parametrize("name", BUNDLED)
@given(picked=st.data())
def test_every_name_of_a_cell_and_every_way_to_ask_give_one_record(name: str, picked: Any) -> None:
    table = TABLES[name]
    index = picked.draw(st.integers(0, len(table) - 1))
    epochs = picked.draw(st.sampled_from(table.epochs()))
    seed = picked.draw(st.sampled_from([None, *table.seeds(epochs=epochs)]))
    try:
        info = table.info(index, epochs=epochs, seed=seed)
    except MissingRecord:
        assert seed is not None and all(np.isnan(table.values(None, s, epochs, seed)[index]) for s in table.splits())
        return
    for cell in names_of(table, index):
        assert table.info(cell, epochs=str(epochs), seed=seed) == info
        assert table.canonical(cell) == table.canonical(index) and cell in table
        assert table.accuracy(cell, table.datasets[0].upper(), "test", epochs, seed) == info["test-accuracy"]
        assert table.simulate(cell, epochs=epochs, seed=seed).accuracy == info["valid-accuracy"]
        assert table.values(None, "train", epochs, seed, metric="seconds")[table.index(cell)] == info["train-all-time"]
    assert table.index(table[index]) == index
    same = table.info(table.canonical(index), epochs=epochs, seed=seed)
    assert all(same[key] == info[key] for key in info if key.endswith("accuracy")), (
        "isomorphic cells share accuracies on digits"
    )
    costs = table.costs(index)
    assert costs == {kind: None if np.isnan(column[index]) else column[index] for kind, column in table.cost_columns().items()}


@given(index=st.integers(0, 15_624), epoch=st.integers(0, 35))
def test_an_epoch_of_a_cell_is_that_epoch_of_all_cells(index: int, epoch: int) -> None:
    table = TABLES["nb201/digits"]
    info = table.info(index, seed=0, epoch=epoch)
    assert table.accuracy(index, split="valid", seed=0, epoch=epoch) == info["valid-accuracy"]
    assert table.values(None, "train", None, 0, epoch, "seconds")[index] == pytest.approx(info["train-all-time"])
    assert table.values(None, "valid", None, 0, epoch, "seconds")[index] == pytest.approx(info["valid-per-time"])
    assert (epoch == 35) == ("test-accuracy" in info)
    assert (epoch == 35) == (info == table.info(index, seed=0))


@pytest.mark.parametrize("name", BUNDLED)
@given(share=st.floats(0, 1), kind=st.sampled_from(["params", "flops"]), split=st.sampled_from(["valid", "test"]))
def test_the_best_under_a_limit_is_the_largest_of_those_inside(name: str, share: float, kind: str, split: str) -> None:
    table = TABLES[name]
    column, accuracies = table.cost_columns()[kind], table.values(split=split)
    limit = float(np.quantile(column, share))
    best = table.best(split=split, **{kind: limit})  # type: ignore[arg-type]
    assert best.accuracy == accuracies[column <= limit].max() == table.accuracy(best.cell, split=split)
    assert column[best.index] <= limit
    with pytest.raises(MissingRecord, match=f"{kind} up to 0"):
        table.best(split=split, **{kind: 0.0})  # type: ignore[arg-type]


def test_the_bundled_tables_have_their_golden_values() -> None:
    cells, graphs = TABLES["nb201/digits"], TABLES["nb1shot1/1-digits"]
    assert (cells.best().index, round(cells.best().accuracy, 4)) == (11506, 95.3278)
    assert (cells.best(split="valid", epochs=12).index, round(cells.summary().mean, 4)) == (4796, 68.6344)
    assert cells.trials() == {3: 14_594, 5: 1_031}
    assert (graphs.best().index, round(graphs.best().accuracy, 4)) == (11_583, 94.6230)
    assert graphs.canonical(11_583) == "8ffe79ac820b943d09700b91934384b1"
    assert graphs.trials() == {3: 14_580}


@pytest.mark.parametrize("name", BUNDLED)
def test_iteration_statistics_and_frame_have_all_architectures(name: str) -> None:
    table = TABLES[name]
    texts = list(table)
    assert len(texts) == len(set(texts)) == len(table) and texts[7] == table[7]
    frame, summary = table.frame(), table.summary()
    assert len(frame) == len(table) and frame["test"].mean() == pytest.approx(summary.mean)
    assert (summary.recorded, summary.largest) == (len(table), table.best().accuracy)
    assert "latency" not in frame, "a column without values is left out"
    with pytest.raises(ValueError, match="read-only"):
        table.values()[0] = 0


def test_of_isomorphic_cells_the_hash_means_the_first() -> None:
    for table in TABLES.values():
        first: dict[str, int] = {}
        for index in range(0, len(table), 97):
            first.setdefault(table.canonical(index), index)
        for name, index in first.items():
            assert table.index(name) <= index and table.canonical(table.index(name)) == name


def test_every_table_is_of_a_benchmark_or_a_space() -> None:
    benchmarks = registry.benchmarks()
    spaces = {benchmark.partition("/")[0] for benchmark in benchmarks}
    assert set(tables.names()) <= {*benchmarks, *spaces}
    assert {name for name in benchmarks if name.startswith("nb")} <= set(tables.names())


def test_a_query_imports_nothing_heavy() -> None:
    tables.open("nb201/digits")  # the first time, the bundled files are converted
    code = (
        "import sys; from harness import tables; t = tables.open('nb201/digits'); t.info(3); t.best(flops=.1);"
        "print([name for name in ('torch', 'pandas', 'scipy', 'sklearn', 'benchmarks.nb1shot1') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("ask", "error", "text"),
    [
        (lambda t: t.info(15_625), InvalidArchitecture, "15625"),
        (lambda t: t.info("|foo~0|"), InvalidArchitecture, "is not of the form"),
        (lambda t: t.info((1, 2, 3)), InvalidArchitecture, "six plain ints"),
        (lambda t: t.info((1, 2, 3, 4, 0, 5)), InvalidArchitecture, "each 0 to 4"),
        (lambda t: t.info(1.5), InvalidArchitecture, "1.5 is not an architecture"),
        (lambda t: t.info(1, "svhn"), MissingRecord, "no data set 'svhn' in nb201/digits; there is digits"),
        (lambda t: t.info(1, epochs=90), MissingRecord, "no 90-epoch training of digits; there is 12 and 36"),
        (lambda t: t.info(1, seed=9), MissingRecord, "with seed 9; there is 0, 1, 2, 3, 4"),
        (lambda t: t.info(1, epoch=36), MissingRecord, "epoch 36 is outside 0 to 35"),
        (lambda t: t.values(split="valtest"), UserError, "no split 'valtest' of digits; there is train, valid, test"),
        (lambda t: t.values(metric="error"), UserError, "no metric 'error'; there is accuracy, loss, seconds"),
        (lambda t: t.accuracy(1, split="train"), MissingRecord, "no train accuracy of 1 on digits"),
        (lambda t: t.best(latency=1), MissingRecord, "latency up to 1; allow more"),
        (lambda t: tables.open("nb21"), UserError, "no table 'nb21'; did you mean 'nb201'?"),
        (lambda t: tables.open("darts"), UserError, "no table 'darts'; there is nb1shot1"),
        (lambda t: tables.open("nb201"), UserError, "see `python -m harness.data status`"),
        (lambda t: tables.open("nb201/digits", "mine.csv"), UserError, "bundled"),
    ],
)
def test_a_wrong_question_ends_with_one_line(ask: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as raised:
        ask(TABLES["nb201/digits"])
    assert text in str(raised.value) and "\n" not in str(raised.value)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = data.main(["query", *arguments])
    return code, *capsys.readouterr()


def test_the_shell_prints_what_the_library_returns(capsys: pytest.CaptureFixture[str]) -> None:
    table = TABLES["nb201/digits"]
    code, out, _ = asked(capsys, "nb201/digits", "11", "--epochs", "36", "--seed", "0", "--json")
    answer = json.loads(out)
    assert code == 0 and answer.items() >= table.info(11, epochs=36, seed=0).items()
    assert (answer["index"], answer["cell"], answer["params"]) == (11, table[11], table.costs(11)["params"])
    for cell in (table[11], str(list(table.arch(11))), str(table.arch(11))):  # type: ignore[attr-defined]
        assert asked(capsys, "nb201/digits", cell, "--epochs", "36", "--seed", "0", "--json") == (0, out, "")
    code, out, _ = asked(capsys, "nb201/digits", "--best", "test", "--flops", "0.1", "--json")
    assert json.loads(out)["accuracy"] == table.best(flops=0.1).accuracy
    code, out, _ = asked(capsys, "nb201/digits")
    assert "architectures: 15625" in out and f"{table.summary().mean:.6g}" in out
    graph = '[[0,1,1],[0,0,1],[0,0,0]], ["conv3x3-bn-relu"]'
    code, out, _ = asked(capsys, "nb1shot1/1-digits", graph)
    assert code == 0 and f"{TABLES['nb1shot1/1-digits'].accuracy(query.cell_of(graph)):.6g}" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nb201/digits", "99999"], "index 99999 is outside 0 to 15624"),
        (["nb201/digits", "11", "--dataset", "svhn"], "no data set 'svhn'"),
        (["nb201/digits", "11", "--best", "test"], "omit the cell"),
        (["nb201/digits", "--flops", "3"], "add --best test"),
        (["nb201/digits", "--epochs", "12"], "name a cell, or add --best test"),
        (["nb21"], "did you mean 'nb201'?"),
        (["nb1shot1/1-digits", "[[0,1],[0,0]"], "is in none of the spaces 1"),
        (["nb1shot1/1-digits", "[[0,1],[0,0]], []"], "is in none of the spaces 1"),
    ],
)
def test_a_wrong_question_in_the_shell_is_one_line(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = asked(capsys, *arguments)
    assert (code, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1 and text in err
