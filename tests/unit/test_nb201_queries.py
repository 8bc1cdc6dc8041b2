"""Plain queries of a table return what the API of the official packages returns; official spellings are understood."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.nb201.benchmark import NB201Problem
from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.oracle import NB201Oracle, Signal
from benchmarks.nb201.queries import NB201Table
from benchmarks.nb201.space import official_order
from benchmarks.nb201.table import Records
from harness import registry, tables
from harness.errors import UserError
from harness.problem import MissingRecord
from harness.space import InvalidArchitecture
from tests import official_files
from tests.made_sources import N, few_rows, folders, official_api

__all__ = ["few_rows", "folders"]

DATA_PAGE = Path(__file__).parents[2] / "docs" / "tables.md"
SETS = {
    "cifar10-valid": ("train", "x-valid", "ori-test"),
    "cifar10": ("train", "valid", "test", "ori-test"),
    "cifar100": ("train", "valid", "test", "ori-test"),
    "ImageNet16-120": ("train", "valid", "test", "ori-test"),
}


@pytest.fixture
def api(published: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the official package with the same records."""
    from nats_bench import create

    return create(str(published / "single.pickle.pbz2"), "tss", fast_mode=False, verbose=False)


@pytest.mark.usefixtures("few_rows")
def test_the_best_under_limits_is_that_of_the_official_package(published: Path, api: Any, monkeypatch: Any) -> None:
    from benchmarks.nb201 import queries

    monkeypatch.setattr(queries, "SIZE", N + 3)
    table = tables.open("nb201", published / "simple")
    for dataset, splits in SETS.items():
        for recipe in ("12", "200"):
            for split in splits:
                for flops, params in ((None, None), (20, None), (None, 0.22), (23, 0.3)):
                    index, accuracy = api.find_best(dataset, split, flops, params, recipe)
                    best = table.best(dataset, split, recipe, flops=flops, params=params)
                    assert best.accuracy == pytest.approx(accuracy, rel=1e-12)
                    assert (best.index, best.cell) == (index, api[index])
    with pytest.raises(MissingRecord, match=r"no architecture has a test accuracy on cifar100, flops up to 1; allow more"):
        table.best("cifar100", "test", 12, flops=1)


@pytest.mark.usefixtures("few_rows")
def test_queries_of_an_architecture_are_those_of_the_official_package(published: Path, api: Any) -> None:
    table = tables.open("nb201", published / "simple")
    assert isinstance(table, NB201Table) and len(table) == len(api)
    for index in range(N):
        arch = official_order()[index]
        for cell in (index, arch, list(arch), np.int64(index), table[index]):
            assert table.index(cell) == api.query_index_by_arch(api[index]) == index
            assert table[cell] == api.arch(index)
            assert table.canonical(cell) == api.get_unique_str(api[index])
        assert table.lists(index) == api.str2lists(api[index])
        assert table.matrix(index) == api.str2matrix(api[index]).tolist()
        for dataset in official_files.DATASETS:
            for recipe in ("12", "200"):
                expected = api.get_cost_info(index, dataset, recipe)
                for kind, value in table.costs(index, dataset, recipe).items():
                    assert value == (expected[kind] if value is None else pytest.approx(expected[kind]))
            official_config = {"num_classes": 10, **api.get_net_config(index, dataset)}
            assert {**table.config(index, dataset), "num_classes": 10} == official_config, "the made files have ten classes"


@pytest.mark.usefixtures("few_rows")
def test_statistics_are_those_of_the_official_package(published: Path) -> None:
    table, api = tables.open("nb201", published / "zip.pth"), official_api(published / "zip.pth")
    api.meta_archs = api.meta_archs[:N]
    for dataset in official_files.DATASETS:
        for recipe in ("12", "200"):
            trials = table.trials(dataset, recipe)
            assert trials.pop(0) == 3, "rows without an architecture"
            assert trials == api.statistics(dataset, recipe)


def test_the_example_of_the_manual_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    official_files.columns_table(tmp_path / "data" / "columns.npz")
    example, of_graphs = re.findall(r"```python\n(.*?)```", DATA_PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/tables.md", "exec"), names)
    plain = official_files.plain_columns()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [str(plain["in16_test200"][11])] * 2
    small = plain["c10_flops_M"] <= 100
    assert names["best"].index == max((i for i in range(15625) if small[i]), key=lambda i: plain["c10_test200"][i])
    assert len(lines) == example.count("print(")
    exec(compile(of_graphs, "docs/tables.md", "exec"), {})
    assert "test-accuracy" in capsys.readouterr().out


def test_without_a_table_or_with_a_wrong_question_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"harness\.data status"):
        tables.open("nb201")
    table = tables.open("nb201", official_files.columns_table(tmp_path / "columns.npz"))
    with pytest.raises(InvalidArchitecture, match="15625"):
        table.info(15625, "cifar10", 200)
    with pytest.raises(UserError, match="no split 'x-train' of cifar10; there is train, valid, test"):
        table.best("cifar10", "x-train", 200)


def test_a_data_set_has_the_official_spelling_too_and_a_missing_recipe_is_named(tmp_path: Path) -> None:
    table = tables.open("nb201", official_files.columns_table(tmp_path / "columns.npz"))
    assert isinstance(table, NB201Table)
    info = table.info(11, "ImageNet16-120", 200)
    assert info == table.info(11, "imagenet16-120", "200") and info["test-accuracy"]
    assert table.seeds("ImageNet16-120", 12) == ("mean",)
    records = table.records
    assert records.images("ImageNet16-120").train == 151_700
    assert records.mean("ImageNet16-120", 200, "x-test", "accuracy") is not None
    assert records.costs("ImageNet16-120", 200)["flops"] is not None
    with pytest.raises(MissingRecord, match=r"^no 90-epoch training of cifar10; there is 12 and 200$"):
        table.info(11, "cifar10", 90)
    with pytest.raises(MissingRecord, match=r"^no data set 'svhn' in nb201; there is cifar10, cifar10-valid, "):
        table.info(11, "svhn", 200)


def test_benchmarks_and_judges_may_be_named_in_the_official_spelling(tmp_path: Path) -> None:
    assert registry.spelled("nb201/ImageNet16-120") == "nb201/imagenet16-120"
    assert registry.spelled("NB201") == "nb201"
    assert registry.spelled("nb201/Nothing") == "nb201/Nothing"
    records = Records(LIBRARY.import_path(official_files.columns_table(tmp_path / "columns.npz")))
    judge = {"recipe": 200, "records": {"cifar10": "ori-test", "ImageNet16-120": "x-test"}}
    assert set(NB201Problem(records, "cifar10", 12, judge).judge.optimum) == {"cifar10", "imagenet16-120"}


@pytest.mark.usefixtures("few_rows")
def test_a_search_never_gets_the_whole_test_set_in_place_of_its_validation_half_d75(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only both halves are recorded, the official simulation returns their accuracy, and plain queries do."""
    from nats_bench import create

    folder = official_files.nats_folder(tmp_path / "simple", 2, ("12",))
    monkeypatch.setattr(random, "choice", lambda seeds: seeds[0])
    api = create(str(folder), "tss", fast_mode=True, verbose=False)
    accuracy, _, _, _ = api.simulate_train_eval(1, "cifar100", iepoch=5, hp="12")
    table = tables.open("nb201", folder)
    assert isinstance(table, NB201Table)
    info = table.info(1, "cifar100", 12, epoch=5)
    assert "valid-accuracy" not in info and info["valtest-accuracy"] == pytest.approx(accuracy)
    oracle = NB201Oracle(Signal(table.records, "cifar100", 12, 1), 0)
    with pytest.raises(MissingRecord, match="no validation accuracy and time of 1 after this epoch on cifar100"):
        table.simulate(1, "cifar100", 12, epoch=5)
    with pytest.raises(MissingRecord, match="no 6-epoch training of cell 1"):
        oracle.measure(official_order()[1], 6, 0)
    assert oracle.measure(official_order()[1], 12, 0)[0] == table.info(1, "cifar100", 12)["valid-accuracy"]
