"""The real NAS-Bench-201 records, imported, show the values that are known of them. Needs nb201_columns.parquet in NAS_DATA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.queries import NB201Table
from benchmarks.nb201.space import NB201Space
from benchmarks.nb201.table import Records
from harness.cache import data_roots


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    paths = [path for root in data_roots() for path in sorted(root.rglob("nb201_columns.parquet"))]
    if not paths:
        pytest.skip("no nb201_columns.parquet in NAS_DATA")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return Records(LIBRARY.import_path(Path(paths[0])))


TEST = (("cifar10", "ori-test"), ("cifar100", "x-test"), ("imagenet16-120", "x-test"))
BEST = list(zip(TEST, (94.3733, 73.5133, 47.3111), (6111, 9930, 857), strict=True))
VALID = (("cifar10-valid", "x-valid"), ("cifar100", "x-valid"), ("imagenet16-120", "x-valid"))


@pytest.mark.parametrize(("target", "best", "index"), BEST)
def test_best_mean_test(records: Records, target: tuple[str, str], best: float, index: int) -> None:
    accuracy = records.mean(target[0], 200, target[1], "accuracy")
    assert accuracy is not None
    assert (int(np.argmax(accuracy)), round(float(accuracy.max()), 4)) == (index, best)


@pytest.mark.parametrize(("target", "best"), list(zip(VALID, (91.6067, 73.4933, 46.7333), strict=True)))
def test_best_mean_validation(records: Records, target: tuple[str, str], best: float) -> None:
    accuracy = records.mean(target[0], 200, target[1], "accuracy")
    assert accuracy is not None
    assert round(float(accuracy.max()), 4) == best


@pytest.mark.parametrize(("target", "value"), list(zip(TEST, (93.66, 70.2933, 44.0333), strict=True)))
def test_architecture_one(records: Records, target: tuple[str, str], value: float) -> None:
    accuracy = records.mean(target[0], 200, target[1], "accuracy")
    assert accuracy is not None
    assert round(float(accuracy[1]), 4) == value
    cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    assert NB201Space().to_str(NB201Space().at(1)) == cell


@pytest.mark.parametrize(("dataset", "short"), [("cifar10-valid", "c10"), ("cifar100", "c100"), ("imagenet16-120", "in16")])
@pytest.mark.parametrize("recipe", [12, 200])
def test_a_query_costs_its_training_and_one_validation_pass(records: Records, dataset: str, short: str, recipe: int) -> None:
    import pyarrow.parquet

    path = next(path for root in data_roots() for path in sorted(root.rglob("nb201_columns.parquet")))
    recorded = pyarrow.parquet.read_table(path, columns=[f"{short}_cost{recipe}_s"]).column(0).to_numpy()
    total = records.mean(dataset, recipe, "train", "total_seconds")
    evaluated = records.mean(dataset, recipe, "x-valid", "pass_seconds")
    assert total is not None and evaluated is not None
    np.testing.assert_allclose(total + evaluated, recorded, rtol=1e-7)


def test_per_seed_values_average_to_the_means(records: Records) -> None:
    for dataset, split in (("cifar10-valid", "x-valid"), ("cifar100", "ori-test"), ("imagenet16-120", "ori-test")):
        seeds = [records.get(dataset, 200, seed, split, "accuracy") for seed in (777, 888, 999)]
        if any(column is None for column in seeds):
            pytest.skip("no nb201_seeds_200ep.parquet in the folder of the table")
        mean = records.get(dataset, 200, "mean", split, "accuracy")
        assert mean is not None
        np.testing.assert_allclose(np.nanmean(np.stack([s for s in seeds if s is not None]), axis=0), mean, atol=1e-4)


def test_the_library_finds_the_best_and_counts_the_trainings(records: Records) -> None:
    table = NB201Table(records.table, "nb201", "")
    for (dataset, split), accuracy, index in BEST:
        best = table.best(dataset, "test")
        assert (best.index, round(best.accuracy, 4)) == (index, accuracy)
        assert table.accuracy(best.cell, dataset, split) == best.accuracy == table.info(index, dataset, 200)["test-accuracy"]
    for (dataset, _), accuracy in zip(VALID, (91.6067, 73.4933, 46.7333), strict=True):
        assert round(table.best(dataset, "valid").accuracy, 4) == accuracy
    assert table.best("cifar10", "valid") == table.best("cifar10-valid", "valid")
    small = table.best("ImageNet16-120", "test", flops=10, params=0.3)
    costs = table.costs(small.index, "ImageNet16-120")
    assert (costs["flops"] or 99) <= 10 and (costs["params"] or 99) <= 0.3
    assert set(table.trials("cifar100")) in ({2, 3}, set()), "as n_seeds_200 says; a table of means alone has no trials"


def test_a_simulated_training_costs_what_nats_bench_charges(records: Records) -> None:
    import pyarrow.parquet

    path = next(path for root in data_roots() for path in sorted(root.rglob("nb201_columns.parquet")))
    real = pyarrow.parquet.read_table(path, columns=["c10_val12", "c10_cost12_s", "c100_cost12_s"]).to_pylist()
    table = NB201Table(records.table, "nb201", "")
    for index in (0, 1, 6111, 15_624):
        simulated = table.simulate(index, "cifar10")
        assert (simulated.accuracy, simulated.seconds) == pytest.approx((real[index]["c10_val12"], real[index]["c10_cost12_s"]))
        assert table.simulate(index, "cifar100").seconds == pytest.approx(real[index]["c100_cost12_s"])
