"""Every official form comes out of a table as the official packages answer it, and what is unusable leaves nothing behind."""

from __future__ import annotations

import bz2
import contextlib
import errno
import json
import os
import pickle
import random
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.nb201 import importer, official, records
from benchmarks.nb201.table import Records
from harness.cache import TableWriter, cache_root
from harness.problem import MissingRecord, UserError
from tests import official_files
from tests.unit.test_unpickle import Calls

N = 13
SEEDS = (777, 888, 999)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables with a row for each architecture that the small files hold: 15 625 rows of curves take a gigabyte."""
    monkeypatch.setattr(records, "SIZE", N + 3)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    official_files.nas_bench_201(folder / "legacy.pth", N, legacy=True)
    official_files.nas_bench_201(folder / "zip.pth", N, legacy=False)
    official_files.nas_bench_201(folder / "v10.pth", N, legacy=True, version="1.0")
    official_files.nats_folder(folder / "simple", N)
    official_files.nats_file(folder / "single.pickle.pbz2", N)
    return folder


def official_api(path: Path) -> Any:
    """The official package's own view of a file."""
    if path.suffix == ".pth":
        import torch
        from nas_201_api import NASBench201API

        return NASBench201API(torch.load(path, weights_only=False), verbose=False)
    from nats_bench import create

    return create(str(path), "tss", fast_mode=path.is_dir(), verbose=False)


def same(found: dict[str, float | None], expected: dict[str, float | None], tolerance: float) -> bool:
    """The same keys; the same Nones; numbers within a relative tolerance."""
    return found.keys() == expected.keys() and all(
        ours == theirs if ours is None or theirs is None else abs(ours - theirs) <= tolerance * abs(theirs)
        for ours, theirs in ((found[key], expected[key]) for key in expected)
    )


FORMS = {
    "legacy.pth": "NAS-Bench-201 v1.1",
    "zip.pth": "NAS-Bench-201 v1.1",
    "v10.pth": "NAS-Bench-201 v1.0",
    "simple": "NATS-Bench 1.0",
    "single.pickle.pbz2": "NATS-Bench 1.0",
}


@pytest.mark.parametrize(("form", "kind"), FORMS.items())
@pytest.mark.usefixtures("few_rows")
def test_a_table_answers_what_the_official_package_answers(form: str, kind: str, published: Path) -> None:
    table = importer.import_path(published / form)
    assert table.meta["kind"] == kind
    assert table.meta["n"] == N
    ours, theirs = Records(table), official_api(published / form)
    compared = 0
    for index in range(N):
        for official_name in official_files.DATASETS:
            dataset = official_name.lower()
            for recipe, epochs in official_files.EPOCHS.items():
                for seed in (None, *SEEDS):
                    is_random = False if seed is None else seed
                    for epoch in (None, 0, 5, epochs // 2, epochs - 1):
                        try:
                            expected = theirs.get_more_info(index, official_name, epoch, recipe, is_random)
                        except (KeyError, ValueError):
                            with pytest.raises(MissingRecord):
                                ours.more_info(index, dataset, recipe, seed, epoch)
                            continue
                        expected.pop("comment", None)
                        found = ours.more_info(index, dataset, recipe, seed, epoch)
                        exact = epoch is None or epoch == epochs - 1
                        assert same(found, expected, 1e-12 if exact else 1e-6), (index, dataset, recipe, seed, epoch)
                        compared += len(found)
    assert compared > 10_000


@pytest.mark.parametrize("form", ["legacy.pth", "simple"])
@pytest.mark.usefixtures("few_rows")
def test_costs_and_simulated_training_agree_with_the_official_package(
    form: str, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = Records(importer.import_path(published / form)), official_api(published / form)
    for official_name in official_files.DATASETS:
        dataset = official_name.lower()
        for recipe in official_files.EPOCHS:
            costs = ours.costs(dataset, recipe, "mean" if form == "legacy.pth" else "nats")
            for index in range(N):
                expected = theirs.get_cost_info(index, official_name, recipe)
                for kind in ("params", "flops", "latency"):
                    column = costs[kind]
                    found = None if column is None or np.isnan(column[index]) else column[index]
                    assert same({kind: found}, {kind: expected[kind]}, 1e-12), (index, dataset, recipe)
                total = ours.mean(dataset, recipe, "train", "total_seconds")
                assert total is not None
                if expected["T-train@total"] is not None:
                    assert total[index] == pytest.approx(expected["T-train@total"], rel=1e-12)
                for split in official_files.SPLITS[official_name]:
                    once = ours.mean(dataset, recipe, split, "pass_seconds")
                    if expected[f"T-{split}@epoch"] is not None:
                        assert once is not None
                        assert once[index] == pytest.approx(expected[f"T-{split}@epoch"], rel=1e-12)
    spent = 0.0
    for index in range(0, N, 4):
        for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
            monkeypatch.setattr(random, "choice", lambda seeds: seeds[0])
            accuracy, latency, cost, used = theirs.simulate_train_eval(index, dataset, hp="12")
            source = "cifar10-valid" if dataset == "cifar10" else dataset.lower()
            info = ours.more_info(index, source, 12, 777)
            spent += info["train-all-time"] + info["valid-per-time"]  # type: ignore[operator]
            assert info["valid-accuracy"] == accuracy
            assert info["train-all-time"] + info["valid-per-time"] == pytest.approx(cost, rel=1e-12)  # type: ignore[operator]
            assert spent == pytest.approx(used, rel=1e-12)
            assert ours.costs(dataset.lower(), 12)["latency"][index] == pytest.approx(latency, rel=1e-12)  # type: ignore[index]


def test_columns_have_a_row_for_every_cell(tmp_path: Path) -> None:
    table = importer.import_path(official_files.nats_folder(tmp_path / "simple", 3, ("12",)))
    accuracy, curve = table.column("cifar10-valid/12/777/x-valid/accuracy"), table.column("cifar100/12/777/train/loss.curve")
    assert (accuracy.shape, accuracy.dtype, curve.shape, curve.dtype) == ((15625,), np.float64, (15625, 12), np.float32)
    assert np.isnan(accuracy[3:]).all()
    assert table.meta["seeds"]["cifar10-valid/12"] == ["777", "888"]
    assert table.meta["notes"] == ["records of 3 of 15,625 architectures"]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_plain_columns_in_any_order_and_format(suffix: str, tmp_path: Path) -> None:
    plain = official_files.plain_columns()
    order = np.random.default_rng(1).permutation(15625)
    path = official_files.columns_table(tmp_path / f"mine{suffix}", **{k: v[order] for k, v in plain.items()})
    table = Records(importer.import_path(path))
    np.testing.assert_array_equal(table.mean("cifar10-valid", 12, "x-valid", "accuracy"), plain["c10_val12"])
    np.testing.assert_array_equal(table.mean("cifar100", 200, "ori-test", "accuracy"), plain["c100_valtest200"])
    np.testing.assert_array_equal(
        table.get("imagenet16-120", 12, "mean", "train", "total_seconds"), 12 * plain["in16_train_s_per_epoch"]
    )
    np.testing.assert_array_equal(table.costs("cifar10-valid", 200)["params"], plain["c10_params_M"])
    info = table.more_info(7, "cifar10-valid", 12)
    assert info["train-all-time"] + info["valid-per-time"] == pytest.approx(plain["c10_cost12_s"][7])  # type: ignore[operator]
    assert info["train-accuracy"] is None and "test-loss" not in info


def test_the_companion_adds_seeds_and_the_mean_wins(tmp_path: Path) -> None:
    import pandas

    path = official_files.columns_table(tmp_path / "columns.parquet")
    seeds = {f"c10_val200_s{seed}": np.full(15625, float(seed % 100)) for seed in SEEDS}
    pandas.DataFrame({"index": np.arange(15625), **seeds}).to_parquet(tmp_path / "nb201_seeds_200ep.parquet")
    table = Records(importer.import_path(path))
    assert table.seeds("cifar10-valid", 200) == ("777", "888", "999", "mean")
    assert table.get("cifar10-valid", 200, 888, "x-valid", "accuracy")[0] == 88  # type: ignore[index]
    expected = official_files.plain_columns()["c10_val200"]
    np.testing.assert_array_equal(table.mean("cifar10-valid", 200, "x-valid", "accuracy"), expected)
    with pytest.raises(UserError, match="single seeds only"):
        importer.import_path(tmp_path / "nb201_seeds_200ep.parquet")


BAD_COLUMNS: dict[str, tuple[dict[str, Any], str]] = {
    "too few rows": ({"n": 100}, "not one row for each"),
    "foreign cell": ({"arch_str": np.array(["|conv~0|", *official_files.ARCHS[1:]])}, "no cell of NAS-Bench-201"),
    "repeated cell": ({"arch_str": np.array([official_files.ARCHS[1], *official_files.ARCHS[1:]])}, "row 0 has index 0 but"),
    "repeated index": ({"index": np.array([1, *range(1, 15625)]), "arch_str": None}, "more than one row"),
    "index outside": ({"index": np.arange(1, 15626), "arch_str": None}, "no index from 0 to 15624"),
    "no number": ({"c10_val12": np.array(["high"] * 15625)}, "c10_val12 holds something that is no number"),
    "no percentage": ({"c100_val12": np.full(15625, 101.0)}, "is impossible"),
    "cost": ({"c10_cost12_s": np.ones(15625)}, "c10_cost12_s of architecture 0 is 1.000000, but 12 × c10valid_train_s"),
}


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_a_wrong_table_is_refused(case: str, tmp_path: Path) -> None:
    changes, message = BAD_COLUMNS[case]
    plain = {**official_files.plain_columns(changes.get("n", 15625)), **changes}
    plain.pop("n", None)
    np.savez(tmp_path / "t.npz", **{k: v for k, v in plain.items() if v is not None})
    with refused(message):
        importer.import_path(tmp_path / "t.npz")


def test_unknown_columns_are_named_and_ignored(tmp_path: Path) -> None:
    path = official_files.columns_table(tmp_path / "t.npz", c10_vla12=np.ones(15625))
    assert importer.import_path(path).meta["notes"] == ["ignored unknown columns: c10_vla12"]


@contextlib.contextmanager
def refused(message: str) -> Any:
    """One clear line, and nothing in the cache."""
    with pytest.raises(UserError, match=message) as caught:
        yield
    assert "\n" not in str(caught.value)
    assert not list(cache_root().rglob("*.npy"))
    assert not list(cache_root().glob("nb201/.*"))


def folder_with(tmp_path: Path, content: bytes) -> Path:
    folder = official_files.nats_folder(tmp_path / "simple", 2, ("12",))
    (folder / "000001.pickle.pbz2").write_bytes(content)
    return folder


def test_a_forbidden_pickle_is_named_with_its_file(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, bz2.compress(pickle.dumps({"12": Calls(os.system, "true")})))
    with refused(r"000001.pickle.pbz2: the pickle asks for posix.system, which is not plain data. Nothing was imported."):
        importer.import_path(folder)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign", "garbled", "other"])
def test_a_damaged_folder(damage: str, tmp_path: Path) -> None:
    good = (official_files.nats_folder(tmp_path / "good", 2, ("12",)) / "000001.pickle.pbz2").read_bytes()
    content = {
        "truncated": good[: len(good) // 2],
        "flipped": good[:900] + bytes([good[900] ^ 4]) + good[901:],
        "empty": b"",
        "foreign": bz2.compress(pickle.dumps({"12": {"weights": 1}})),
        "garbled": bz2.compress(
            pickle.dumps({"12": {"arch_str": official_files.ARCHS[1], "dataset_seed": {"cifar10": [777]}, "all_results": {}}})
        ),
        "other": (tmp_path / "good" / "000000.pickle.pbz2").read_bytes(),
    }[damage]
    other = "is .* but its 12-epoch record is of"
    message = {"foreign": other, "other": other, "garbled": "not laid out as published"}.get(damage, "is damaged")
    with refused(f"{message}.*Nothing was imported"):
        importer.import_path(folder_with(tmp_path, content))


@pytest.mark.parametrize("form", ["legacy.pth", "zip.pth", "single.pickle.pbz2"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.999])
def test_a_truncated_file(form: str, part: float, published: Path, tmp_path: Path) -> None:
    whole = (published / form).read_bytes()
    (tmp_path / form).write_bytes(whole[: int(len(whole) * part)])
    with refused(r"(is damaged|is empty|is not a NAS-Bench-201).*bytes present\). Nothing was imported"):
        importer.import_path(tmp_path / form)


def test_a_flipped_bit_in_an_archive(published: Path, tmp_path: Path) -> None:
    content = bytearray((published / "zip.pth").read_bytes())
    content[len(content) // 2] ^= 16
    (tmp_path / "zip.pth").write_bytes(content)
    with refused("is damaged"):
        importer.import_path(tmp_path / "zip.pth")


def test_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_text("hello")
    np.savez(tmp_path / "b.npz", index=np.arange(3))
    with zipfile.ZipFile(tmp_path / "c.pth", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"state_dict": 1}))
    (tmp_path / "d.csv").write_text("index,other\n1,2\n")
    for file in ("a.pth", "b.npz", "c.pth", "d.csv"):
        with refused("bytes present.*Nothing was imported"):
            importer.import_path(tmp_path / file)
    with refused("no NATS-Bench folder"):
        importer.import_path(tmp_path)
    with refused("does not exist"):
        importer.import_path(tmp_path / "nothing")


def test_a_published_name_must_have_the_published_checksum(published: Path, tmp_path: Path) -> None:
    path = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
    path.write_bytes((published / "legacy.pth").read_bytes())
    with refused("is not the published file: its MD5 ends in .*, not 096897"):
        importer.import_path(path)


@pytest.mark.usefixtures("few_rows")
def test_too_little_memory_is_said_before_reading(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "available_memory", lambda: 1000)
    with refused(r"takes about .* GB of memory \(estimate\).*NATS-tss-v1_0-3ffb9-simple.*--force"):
        importer.import_path(published / "single.pickle.pbz2")
    importer.import_path(published / "simple")
    assert importer.import_path(published / "single.pickle.pbz2", force=True).meta["n"] == N


@pytest.mark.parametrize("method", ["add", "create", "commit"])
def test_a_full_disk_leaves_nothing(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(TableWriter, method, full)
    with refused("No space left on device"):
        importer.import_path(official_files.nats_folder(tmp_path / "simple", 2, ("12",)))


def test_importing_again_does_nothing_and_says_so(tmp_path: Path) -> None:
    path = official_files.columns_table(tmp_path / "t.npz")
    said: list[str] = []
    first = importer.import_path(path)
    written = (first.path / "meta.json").stat().st_mtime_ns
    assert importer.import_path(path, lambda done, total, text: said.append(text)).path == first.path
    assert said == ["already imported, nothing to do"]
    path.rename(tmp_path / "moved.npz")
    importer.import_path(tmp_path / "moved.npz", lambda done, total, text: said.append(text))
    assert said[-1] == "already imported under another name, nothing to do"
    assert (first.path / "meta.json").stat().st_mtime_ns == written
    importer.import_path(tmp_path / "moved.npz", force=True)
    assert (first.path / "meta.json").stat().st_mtime_ns != written


def test_a_damaged_table_is_imported_again(tmp_path: Path) -> None:
    path = official_files.columns_table(tmp_path / "t.npz")
    table = importer.import_path(path)
    (table.path / "cifar10/12/mean/ori-test/accuracy.npy").write_bytes(b"x")
    assert [line.split(":")[0] for line in importer.verify()] == ["damaged"]
    importer.import_path(path).verify()
    assert [line.split(":")[0] for line in importer.verify()] == ["intact"]


@pytest.mark.usefixtures("few_rows")
def test_the_richest_source_is_used(published: Path, tmp_path: Path) -> None:
    assert importer.find_table(print) is None
    data, said = tmp_path / "data", []
    official_files.columns_table(data / "columns.npz")
    np.savez(data / "nb201_splits.npz", x=np.arange(3))
    for name, kind in (
        ("columns.npz", "plain columns"),
        ("v10.pth", "NAS-Bench-201 v1.0"),
        ("legacy.pth", "NAS-Bench-201 v1.1"),
        ("simple", "NATS-Bench 1.0"),
    ):
        if name != "columns.npz":
            (data / "deep").mkdir(exist_ok=True)
            (data / "deep" / name).symlink_to(published / name)
        said.clear()
        table = importer.find_table(said.append)
        assert table is not None and table.meta["kind"] == kind
        assert said[-1].startswith(f"importing {name} ({kind}) … ")
        said.clear()
        again = importer.find_table(said.append)
        assert again is not None and again.path == table.path and not said
    assert [state.text.split(",")[0] for state in importer.state()] == [
        "NATS-Bench 1.0",
        "NAS-Bench-201 v1.1",
        "NAS-Bench-201 v1.0",
        "plain columns",
    ]


def test_an_unusable_source_is_passed_over_aloud(tmp_path: Path) -> None:
    folder = official_files.nats_folder(tmp_path / "data" / "simple", 1, ("12",))
    (folder / "000000.pickle.pbz2").write_bytes(b"")
    with pytest.raises(UserError, match="is damaged"):
        importer.find_table(print)
    official_files.columns_table(tmp_path / "data" / "columns.npz")
    said: list[str] = []
    table = importer.find_table(said.append)
    assert table is not None and table.meta["kind"] == "plain columns"
    assert any(line.startswith("passing over simple: ") and "000000.pickle.pbz2 is damaged" in line for line in said)


def test_a_changed_source_is_imported_anew(tmp_path: Path) -> None:
    path = official_files.columns_table(tmp_path / "data" / "t.npz")
    first = importer.find_table(print)
    official_files.columns_table(path, c10_val12=np.full(15625, 50.0))
    second = importer.find_table(print)
    assert first is not None and second is not None and first.checksum != second.checksum


def test_a_table_outlives_its_source(tmp_path: Path) -> None:
    path = official_files.columns_table(tmp_path / "data" / "t.npz")
    first = importer.find_table(print)
    path.unlink()
    second = importer.find_table(print)
    assert first is not None and second is not None and first.path == second.path


def test_finding_an_imported_table_imports_no_reader(tmp_path: Path) -> None:
    import subprocess

    official_files.columns_table(tmp_path / "data" / "t.parquet")
    importer.find_table(print)
    code = (
        "import sys; from benchmarks.nb201 import importer; assert importer.find_table(print) is not None;"
        "print(sorted({'pandas', 'pyarrow', 'torch', 'nas_201_api', 'nats_bench'} & set(sys.modules)))"
    )
    root = Path(importer.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "[]\n"


def test_provenance_is_recorded(tmp_path: Path) -> None:
    table = importer.import_path(official_files.columns_table(tmp_path / "t.csv"))
    meta = json.loads((table.path / "meta.json").read_text())
    assert meta["kind"] == "plain columns" and meta["source"]["file"] == "t.csv" and meta["n"] == 15625
    assert table.path.name == f"plain-columns-{meta['source']['sha256'][:12]}"
    assert meta["imported_at"].endswith("+00:00") and meta["import_seconds"] >= 0
