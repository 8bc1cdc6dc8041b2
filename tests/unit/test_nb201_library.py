"""A table of every official form returns the values of the official packages; plain columns keep their values."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.queries import NB201Table
from benchmarks.nb201.table import Records
from harness.errors import UserError
from harness.problem import MissingRecord
from tests import official_files
from tests.made_sources import N, few_rows, folders, official_api, same

__all__ = ["few_rows", "folders"]

SEEDS = (777, 888, 999)


FORMS = {
    "legacy.pth": "NAS-Bench-201 v1.1",
    "zip.pth": "NAS-Bench-201 v1.1",
    "v10.pth": "NAS-Bench-201 v1.0",
    "simple": "NATS-Bench 1.0",
    "single.pickle.pbz2": "NATS-Bench 1.0",
}


QUICK = {"zip.pth", "simple"}
"""A form of each package; the others are slow."""


@pytest.mark.parametrize(
    ("form", "kind"),
    [form if form[0] in QUICK else pytest.param(*form, marks=pytest.mark.slow) for form in FORMS.items()],
)
@pytest.mark.usefixtures("few_rows")
def test_a_table_returns_the_values_of_the_official_package(form: str, kind: str, published: Path) -> None:
    table = LIBRARY.import_path(published / form)
    assert table.meta["kind"] == kind
    assert table.meta["n"] == N
    queries, api = NB201Table(table, "nb201", ""), official_api(published / form)
    compared = 0
    for index in range(N):
        for official_name in official_files.DATASETS:
            dataset = official_name.lower()
            for recipe, epochs in official_files.EPOCHS.items():
                for seed in (None, *SEEDS):
                    is_random = False if seed is None else seed
                    for epoch in (None, 0, 5, epochs // 2, epochs - 1):
                        try:
                            expected = api.get_more_info(index, official_name, epoch, recipe, is_random)
                        except (KeyError, ValueError):
                            with pytest.raises(MissingRecord):
                                queries.info(index, dataset, recipe, seed, epoch)
                            continue
                        expected.pop("comment", None)
                        actual = queries.info(index, dataset, recipe, seed, epoch)
                        exact = epoch is None or epoch == epochs - 1
                        assert same(actual, expected, 1e-12 if exact else 1e-6), (index, dataset, recipe, seed, epoch)
                        compared += len(actual)
                        for split in queries.splits(dataset):
                            value = actual.get(f"{split}-accuracy")
                            if value is not None:
                                assert queries.accuracy(index, dataset, split, recipe, seed, epoch) == value
    assert compared > 10_000


@pytest.mark.parametrize("form", ["legacy.pth", "simple"])
@pytest.mark.usefixtures("few_rows")
def test_costs_and_simulated_training_agree_with_the_official_package(
    form: str, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = LIBRARY.import_path(published / form)
    records, queries, api = Records(table), NB201Table(table, "nb201", ""), official_api(published / form)
    for official_name in official_files.DATASETS:
        dataset = official_name.lower()
        for recipe in official_files.EPOCHS:
            costs = records.costs(dataset, recipe, "mean" if form == "legacy.pth" else "nats")
            for index in range(N):
                expected = api.get_cost_info(index, official_name, recipe)
                for kind in ("params", "flops", "latency"):
                    column = costs[kind]
                    actual = None if column is None or np.isnan(column[index]) else column[index]
                    assert same({kind: actual}, {kind: expected[kind]}, 1e-12), (index, dataset, recipe)
                total = records.mean(dataset, recipe, "train", "total_seconds")
                assert total is not None
                if expected["T-train@total"] is not None:
                    assert total[index] == pytest.approx(expected["T-train@total"], rel=1e-12)
                for split in official_files.SPLITS[official_name]:
                    once = records.mean(dataset, recipe, split, "pass_seconds")
                    if expected[f"T-{split}@epoch"] is not None:
                        assert once is not None
                        assert once[index] == pytest.approx(expected[f"T-{split}@epoch"], rel=1e-12)
    spent = 0.0
    for index in range(0, N, 4):
        for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
            monkeypatch.setattr(random, "choice", lambda seeds: seeds[0])
            accuracy, latency, cost, used = api.simulate_train_eval(index, dataset, hp="12")
            source = "cifar10-valid" if dataset == "cifar10" else dataset.lower()
            simulated = queries.simulate(index, dataset, 12, 777)
            assert simulated == queries.simulate(index, source, 12, 777)
            spent += simulated.seconds
            assert simulated.accuracy == accuracy and simulated.seconds == pytest.approx(cost, rel=1e-12)
            assert spent == pytest.approx(used, rel=1e-12)
            assert queries.costs(index, dataset, 12)["latency"] == pytest.approx(latency, rel=1e-12)


def test_columns_have_a_row_for_every_cell(tmp_path: Path) -> None:
    table = LIBRARY.import_path(official_files.nats_folder(tmp_path / "simple", 3, ("12",)))
    accuracy, curve = table.column("cifar10-valid/12/777/x-valid/accuracy"), table.column("cifar100/12/777/train/loss.curve")
    assert (accuracy.shape, curve.shape) == ((15625,), (15625, 12))
    assert accuracy.dtype == np.float64 and curve.dtype == np.float32
    assert np.isnan(accuracy[3:]).all()
    assert table.meta["seeds"]["cifar10-valid/12"] == ["777", "888"]
    assert table.meta["notes"] == ["records of 3 of 15,625 architectures"]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_plain_columns_in_any_order_and_format(suffix: str, tmp_path: Path) -> None:
    plain = official_files.plain_columns()
    order = np.random.default_rng(1).permutation(15625)
    path = official_files.columns_table(tmp_path / f"mine{suffix}", **{k: v[order] for k, v in plain.items()})
    table = Records(LIBRARY.import_path(path))
    np.testing.assert_array_equal(table.mean("cifar10-valid", 12, "x-valid", "accuracy"), plain["c10_val12"])
    np.testing.assert_array_equal(table.mean("cifar100", 200, "ori-test", "accuracy"), plain["c100_valtest200"])
    np.testing.assert_array_equal(
        table.get("imagenet16-120", 12, "mean", "train", "total_seconds"), 12 * plain["in16_train_s_per_epoch"]
    )
    np.testing.assert_array_equal(table.costs("cifar10-valid", 200)["params"], plain["c10_params_M"])
    info = NB201Table(table.table, "nb201", "").info(7, "cifar10-valid", 12)
    assert info["train-all-time"] + info["valid-per-time"] == pytest.approx(plain["c10_cost12_s"][7])  # type: ignore[operator]
    assert info["train-accuracy"] is None and "test-loss" not in info


def test_the_companion_adds_seeds_and_the_mean_wins(tmp_path: Path) -> None:
    import pandas

    path = official_files.columns_table(tmp_path / "columns.parquet")
    seeds = {f"c10_val200_s{seed}": np.full(15625, float(seed % 100)) for seed in SEEDS}
    pandas.DataFrame({"index": np.arange(15625), **seeds}).to_parquet(tmp_path / "nb201_seeds_200ep.parquet")
    table = Records(LIBRARY.import_path(path))
    assert table.seeds("cifar10-valid", 200) == ("777", "888", "999", "mean")
    assert table.get("cifar10-valid", 200, 888, "x-valid", "accuracy")[0] == 88  # type: ignore[index]
    expected = official_files.plain_columns()["c10_val200"]
    np.testing.assert_array_equal(table.mean("cifar10-valid", 200, "x-valid", "accuracy"), expected)
    with pytest.raises(UserError, match="single seeds only"):
        LIBRARY.import_path(tmp_path / "nb201_seeds_200ep.parquet")


def test_unknown_columns_are_named_and_ignored(tmp_path: Path) -> None:
    path = official_files.columns_table(tmp_path / "t.npz", c10_vla12=np.ones(15625))
    assert LIBRARY.import_path(path).meta["notes"] == ["ignored unknown columns: c10_vla12"]
