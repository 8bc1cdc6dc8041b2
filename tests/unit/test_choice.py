"""The choice of a table: complete before partial, in the data folders before only in the cache; the user's choice wins."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.nb201.benchmark import NB201Benchmark
from benchmarks.nb201.library import LIBRARY
from harness import choice
from harness.errors import UserError
from harness.library import check_choice
from tests import official_files
from tests.made_sources import few_rows, folders

__all__ = ["few_rows", "folders"]

SEARCH = {"recipe": 12}
JUDGE = {"recipe": 200, "records": {"cifar10": "ori-test", "cifar100": "x-test", "imagenet16-120": "x-test"}}
JUDGE_12 = {"recipe": 12, "records": {"cifar100": "x-test"}}


def part(home: Path) -> Path:
    return official_files.nats_folder(home / "simple", 3, ("12",))


def kind() -> str:
    table = LIBRARY.find_table(lambda line: None)
    assert table is not None
    return str(table.meta["kind"])


def test_a_part_of_a_table_does_not_displace_a_complete_one(tmp_path: Path) -> None:
    path = part(tmp_path / "data")
    assert kind() == "NATS-Bench 1.0"
    official_files.columns_table(tmp_path / "data" / "columns.npz")
    assert kind() == "plain columns"
    shutil.rmtree(path)
    assert kind() == "plain columns"


def test_a_part_that_is_not_imported_yet_is_not_imported_while_there_is_a_complete_one(tmp_path: Path) -> None:
    part(tmp_path / "data")
    official_files.columns_table(tmp_path / "data" / "columns.npz")
    lines: list[str] = []
    LIBRARY.find_table(lines.append)
    assert not any("simple" in line for line in lines)


def test_a_table_in_the_data_folders_comes_before_one_that_is_only_in_the_cache(tmp_path: Path) -> None:
    LIBRARY.import_path(official_files.columns_table(tmp_path / "old.npz"))
    new = official_files.columns_table(tmp_path / "data" / "new.npz", c10_val12=np.full(15625, 50.0))
    table = LIBRARY.find_table(print)
    assert table is not None and table.meta["source"]["file"] == "new.npz"
    new.unlink()
    assert [state.source for state in LIBRARY.state()] == [None, None]


@pytest.mark.usefixtures("few_rows")
def test_a_single_file_that_turns_out_to_be_a_part_gives_way(tmp_path: Path) -> None:
    official_files.nats_file(tmp_path / "data" / "single.pickle.pbz2", 2)
    official_files.columns_table(tmp_path / "data" / "columns.npz")
    assert kind() == "plain columns"


def test_a_search_of_a_part_of_the_space_is_refused_unless_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part(tmp_path / "data")
    benchmark = NB201Benchmark("cifar100")
    with pytest.raises(
        UserError, match=r"12-epoch training of cifar100 is recorded for 3 of 15,625 cells.*--table 'NATS"
    ) as caught:
        benchmark.open(SEARCH, JUDGE_12)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("NAS_TABLE", "nats-bench")
    problem = benchmark.open(SEARCH, JUDGE_12)
    assert "a part of the space" in problem.facts.source
    assert problem.facts.table == "NATS-Bench 1.0, 3 of 15,625 architectures, from simple, chosen"


def test_a_column_with_gaps_is_a_part_too(tmp_path: Path) -> None:
    gaps = np.full(15625, 60.0)
    gaps[7] = np.nan
    official_files.columns_table(tmp_path / "data" / "columns.npz", c100_test200=gaps)
    with pytest.raises(UserError, match=r"200-epoch test accuracy \(x-test\) of cifar100 is recorded for 15,624 of 15,625"):
        NB201Benchmark("cifar10").open(SEARCH, JUDGE)


def test_a_table_without_a_record_that_a_protocol_needs_is_named(tmp_path: Path) -> None:
    part(tmp_path / "data")
    line = r"the table has no 200-epoch test accuracy .* \(NATS-Bench 1\.0, 3 of .* from simple\); --table chooses another"
    with pytest.raises(UserError, match=line):
        NB201Benchmark("cifar10").open(SEARCH, JUDGE)


def test_a_table_is_chosen_by_its_path_or_the_start_of_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = part(tmp_path / "elsewhere")
    official_files.columns_table(tmp_path / "data" / "columns.npz")
    assert kind() == "plain columns"
    monkeypatch.setenv("NAS_TABLE", str(path))
    assert kind() == "NATS-Bench 1.0"
    check_choice()
    monkeypatch.setenv("NAS_TABLE", "Plain")
    assert kind() == "plain columns"
    monkeypatch.setenv("NAS_TABLE", str(LIBRARY.state()[0].table))
    assert kind() == "plain columns"


def test_a_chosen_table_that_cannot_be_imported_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = part(tmp_path / "data")
    (path / "000001.pickle.pbz2").write_bytes(b"")
    official_files.columns_table(tmp_path / "data" / "columns.npz")
    monkeypatch.setenv("NAS_TABLE", "NATS")
    with pytest.raises(UserError, match="is damaged"):
        kind()


def test_an_unknown_choice_lists_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    official_files.columns_table(tmp_path / "data" / "columns.npz")
    monkeypatch.setenv("NAS_TABLE", "natz")
    with pytest.raises(UserError, match=r"no table 'natz'; there is nb201: plain columns, found") as caught:
        check_choice()
    assert "\n" not in str(caught.value)


def test_a_choice_reaches_the_processes_that_are_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_TABLE", "")
    choice.choose(None)
    assert choice.chosen() == ""
    choice.choose("plain")
    assert choice.chosen() == "plain"
    (tmp_path / "t.npz").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    choice.choose("t.npz")
    assert choice.chosen() == str(tmp_path / "t.npz")
