"""The table of nb201/digits as the harness opens it: converted once, the same numbers, and a file that is wrong is named."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.digits_tables.nb201 import classes
from benchmarks.digits_tables.shards import EXTRA_SEEDS
from benchmarks.nb201 import digits_bundle
from benchmarks.nb201.digits_bundle import FILES
from benchmarks.nb201.space import NB201Space
from benchmarks.nb201.table import Records
from harness import registry
from harness.errors import UserError
from harness.problem import Availability
from tests.made_digits import CLOCK, quality
from tests.unit.test_imports import loaded_by

SPACE = NB201Space()
PROTOCOL = ({"recipe": 12}, {"recipe": 36, "records": {"digits": "x-test"}})
OPEN = f"from harness import registry; registry.benchmark('nb201/digits').open(*{PROTOCOL!r})"


@pytest.fixture
def copy(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a copy of the made files, with an empty cache."""
    shutil.copytree(digits_bundle.BUNDLE.folder(), tmp_path / "data")
    monkeypatch.setenv("NAS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture
def records(made: Path) -> Records:
    return Records(digits_bundle.BUNDLE.open())


def test_isomorphic_cells_share_accuracies_and_not_costs(records: Records) -> None:
    accuracy = records.get("digits", 12, 0, "x-valid", "accuracy")
    seconds = records.get("digits", 12, 0, "train", "total_seconds")
    assert accuracy is not None and seconds is not None
    differ, first = 0, classes()
    for index in range(0, 15625, 31):
        representative = first[index]
        assert accuracy[index] == accuracy[representative]
        differ += seconds[index] != seconds[representative]
    assert differ > 50


def test_a_cell_keeps_its_numbers_through_the_files(records: Records) -> None:
    cell = int(classes()[1234])
    test = records.mean("digits", 36, "x-test", "accuracy")
    assert test is not None
    assert test[1234] / 100 == pytest.approx(quality(cell), abs=0.02)
    for seed in records.seeds("digits", 12):
        accuracy = records.get("digits", 12, seed, "x-valid", "accuracy")
        assert accuracy is not None
        counts = accuracy[~np.isnan(accuracy)] / 100 * 384 * 8
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)


def test_only_the_best_have_five_seeds(records: Records) -> None:
    recorded = {}
    for seed in records.seeds("digits", 36):
        accuracy = records.get("digits", 36, seed, "x-test", "accuracy")
        assert accuracy is not None
        recorded[seed] = ~np.isnan(accuracy)
    assert list(recorded) == [str(seed) for seed in range(3 + EXTRA_SEEDS)]
    representatives = classes() == np.arange(15625)
    assert all(recorded[seed].all() for seed in "012")
    assert all(recorded[seed][representatives].sum() == 647 for seed in "34")
    mean = records.mean("digits", 36, "x-valid", "accuracy")
    assert mean is not None
    assert mean[recorded["3"]].mean() > np.quantile(mean, 0.9)


def test_a_query_is_charged_by_the_clock(made: Path) -> None:
    oracle = registry.benchmark("nb201/digits").open(*PROTOCOL).oracle(1)
    assert oracle is not None
    conv, none = SPACE.from_str("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"), (0,) * 6
    for arch, train, evaluate in ((conv, 31.0, 9.5), (none, 20.0, 6.0)):
        assert oracle.measure(arch, None, 0)[1] == pytest.approx((12 * 1024 * train + 8 * 384 * evaluate) / 1e6)
        # before the last epoch one noise draw is looked at
        assert oracle.measure(arch, 4, 0)[1] == pytest.approx((4 * 1024 * train + 384 * evaluate) / 1e6)


def test_the_mean_cost_is_that_of_all_cells(made: Path) -> None:
    problem = registry.benchmark("nb201/digits").open(*PROTOCOL)
    oracle = problem.oracle(1)
    assert oracle is not None
    costs = [oracle.measure(SPACE.at(index), None, 0)[1] for index in range(15625)]
    assert problem.mean_cost == pytest.approx(np.mean(costs))
    train, evaluate = (line.base + 6 / 5 * sum(line.per.values()) for line in (CLOCK.train, CLOCK.evaluate))  # none costs 0
    assert problem.mean_cost == pytest.approx((12 * 1024 * train + 8 * 384 * evaluate) / 1e6)


def test_it_is_converted_once_and_opens_without_torch_or_parquet(copy: Path) -> None:
    assert not {"torch", "sklearn"} & loaded_by(OPEN)
    before = digits_bundle.BUNDLE.open().path.stat().st_mtime_ns
    assert not {"torch", "pandas", "sklearn", "pyarrow", "scipy"} & loaded_by(OPEN)
    assert digits_bundle.BUNDLE.open().path.stat().st_mtime_ns == before


def test_bundled_is_what_lies_in_the_package(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert digits_bundle.BUNDLE.availability() == Availability(True, f"found: {copy}, 15 625 architectures, 3 to 5 seeds")
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setattr(digits_bundle, "BUNDLE", dataclasses.replace(digits_bundle.BUNDLE, place=copy))
    assert digits_bundle.BUNDLE.availability() == Availability(True, "bundled, 15 625 architectures, 3 to 5 seeds")


def test_without_files_it_says_how_to_make_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setattr(digits_bundle, "BUNDLE", dataclasses.replace(digits_bundle.BUNDLE, place=tmp_path))
    state = registry.benchmark("nb201/digits").availability()
    assert not state.ready
    assert "python -m benchmarks.digits_tables nb201 build" in state.text
    with pytest.raises(UserError, match="nb201/digits is not built yet"):
        digits_bundle.BUNDLE.open()


@pytest.mark.parametrize("name", [FILES.cells, FILES.final, FILES.curves])
@pytest.mark.parametrize("harm", ["a changed byte", "cut", "gone"])
def test_a_damaged_file_is_named_and_nothing_is_converted(copy: Path, tmp_path: Path, name: str, harm: str) -> None:
    content = bytearray((copy / name).read_bytes())
    (copy / name).unlink()
    if harm == "a changed byte":
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
    elif harm == "cut":
        (copy / name).write_bytes(content[:1000])
    with pytest.raises(UserError, match=f"{name} is {'missing' if harm == 'gone' else 'damaged'}"):
        digits_bundle.BUNDLE.open()
    assert not list((tmp_path / "cache").rglob("*.npy"))


@pytest.mark.parametrize("harm", ["{", "[]", "{}", '{"digest": "8c4051c95703fe0b", "files": {}}'])
def test_a_damaged_manifest_is_named(copy: Path, harm: str) -> None:
    (copy / FILES.manifest).write_text(harm)
    with pytest.raises(UserError, match=r"digits\.json is damaged"):
        digits_bundle.BUNDLE.open()
    state = digits_bundle.BUNDLE.availability()
    assert not state.ready
    assert "digits.json is damaged" in state.text


@pytest.mark.parametrize("harm", [{}, {"per": {"conv": 1.0}}, {"r2": None, "more": 0}])
def test_a_manifest_whose_clock_prices_other_things_is_damaged(copy: Path, harm: dict[str, object]) -> None:
    path = copy / FILES.manifest
    manifest = json.loads(path.read_text())
    manifest["clock"] = {**manifest["clock"], "train": {**manifest["clock"]["train"], **harm}} if harm else {}
    path.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"digits\.json is damaged"):
        digits_bundle.BUNDLE.open()


def test_a_table_of_other_settings_is_refused(copy: Path) -> None:
    path = copy / FILES.manifest
    path.write_text(json.dumps({**json.loads(path.read_text()), "digest": "0123456789abcdef"}))
    with pytest.raises(UserError, match=r"other settings \(0123456789abcdef, here 8c4051c95703fe0b\)"):
        digits_bundle.BUNDLE.open()
