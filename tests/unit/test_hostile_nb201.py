"""Hostile and malformed files of NAS-Bench-201 and NATS-Bench, through the import that a user calls."""

from __future__ import annotations

import bz2
import copy
import os
import pickle
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.nb201 import official
from benchmarks.nb201.library import LIBRARY
from tests import official_files
from tests.hostile_files import CANARY, Calls, encrypted, pickles, refused, touch, unknown_method, zipped
from tests.made_sources import folders

__all__ = ["folders"]

Entry = dict[str, Any]
CIFAR = ("cifar10-valid", 777)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Entry, bytes]:
    """The meta file of a NATS-Bench folder; the 12-epoch entry of its first cell; a torch file of before 1.6."""
    home = tmp_path_factory.mktemp("clean")
    folder = official_files.nats_folder(home / "simple", 1, ("12",))
    entry = pickle.loads(bz2.decompress((folder / "000000.pickle.pbz2").read_bytes()))
    official_files.nas_bench_201(home / "legacy.pth", 1)
    return (folder / "meta.pickle.pbz2").read_bytes(), entry, (home / "legacy.pth").read_bytes()


def folder(home: Path, meta: bytes, **files: bytes) -> Path:
    path = home / "simple"
    path.mkdir()
    (path / "meta.pickle.pbz2").write_bytes(meta)
    for name, content in files.items():
        (path / f"{name.removeprefix('_')}.pickle.pbz2").write_bytes(content)
    return path


def packed(entry: Any) -> bytes:
    return bz2.compress(pickle.dumps(entry, 4), 1)


def trial(**changes: Any) -> Callable[[Entry], None]:
    """Change one training; a key with a dot changes a value in a dictionary."""

    def change(entry: Entry) -> None:
        fields = entry["12"]["all_results"][CIFAR]
        for key, value in changes.items():
            fields[key] = value

    return change


def epoch(field: str, key: Any, value: Any) -> Callable[[Entry], None]:
    """Change the value of one epoch."""

    def change(entry: Entry) -> None:
        fields = entry["12"]["all_results"][CIFAR]
        fields[field] = {**(fields[field] or {}), key: value}

    return change


def record(**changes: Any) -> Callable[[Entry], None]:
    return lambda entry: entry["12"].update(changes)


def replaced(value: Any) -> Callable[[Entry], None]:
    return lambda entry: entry.update({"12": value})


MALFORMED: dict[str, tuple[Callable[[Entry], Any], str]] = {
    "a record is a text": (replaced("/etc/passwd"), "is '/etc/passwd', not a dictionary"),
    "a record is bytes": (replaced(b"x"), "is a bytes, not a dictionary"),
    "a record is a list": (replaced([1]), "is a list, not a dictionary"),
    "a record is nothing": (replaced(None), "is None, not a dictionary"),
    "a record is empty": (replaced({}), "dataset_seed of its 12-epoch record is None"),
    "an entry is empty": (lambda entry: entry.clear(), "architecture 0 has no records"),
    "no trainings": (record(dataset_seed={}, all_results={}), "has no training"),
    "a training is a text": (lambda entry: entry["12"]["all_results"].update({CIFAR: "x"}), "is 'x', not a dictionary"),
    "a training is a list": (lambda entry: entry["12"]["all_results"].update({CIFAR: []}), "is a list, not a dictionary"),
    "trainings are a list": (record(all_results=[]), "all_results of its 12-epoch record is a list"),
    "a training that is not listed": (lambda e: e["12"]["all_results"].update({("cifar10", 1): {}}), "other trainings than"),
    "a training that is missing": (lambda e: e["12"]["all_results"].pop(CIFAR), "other trainings than"),
    "seeds are a text": (record(dataset_seed={"cifar10-valid": "777"}), "not 1 to 16 numbers"),
    "a seed is a text": (record(dataset_seed={"cifar10-valid": ["777"]}), "a seed of cifar10-valid .* is '777'"),
    "a seed is negative": (record(dataset_seed={"cifar10-valid": [-1]}), "is -1, not a whole number"),
    "a seed twice": (record(dataset_seed={"cifar10-valid": [777, 777]}), "two trainings of 'cifar10-valid' with the same seed"),
    "a hundred seeds": (record(dataset_seed={"cifar10-valid": list(range(100))}), "not 1 to 16 numbers"),
    "a data set is a number": (record(dataset_seed={7: [777]}), "a data set of .* is 7"),
    "an unknown data set": (
        record(dataset_seed={"../../x": [1]}, all_results={("../../x", 1): {}}),
        "train_acc1es|eval_names|epochs",
    ),
    "another cell": (record(arch_str=official_files.ARCHS[7]), "but its 12-epoch record is of"),
    "a cell of two lines": (record(arch_str="a\nb"), "is of 'a"),
    "a cell is a number": (record(arch_str=7), "arch_str .* is 7, not a text"),
    "negative times": (epoch("train_times", 3, -1.0), "train_times .* at 3 is -1.0, which is impossible"),
    "infinite times": (epoch("train_times", 0, float("inf")), "train_times .* at 0 is inf, which is impossible"),
    "a negative pass": (epoch("eval_times", "x-valid@2", -0.5), "eval_times .* at 'x-valid@2' is -0.5"),
    "150 % before the last epoch": (epoch("eval_acc1es", "x-valid@3", 150.0), "eval_acc1es .* is 150.0, which is impossible"),
    "-1 % in training": (epoch("train_acc1es", 0, -1.0), "train_acc1es .* is -1.0, which is impossible"),
    "an infinite loss": (epoch("train_losses", 0, float("inf")), "train_losses .* is inf"),
    "negative multiply-adds": (trial(flop=-15.6), "flop .* is -15.6, which is impossible"),
    "negative parameters": (trial(params=-0.1), "params .* is -0.1, which is impossible"),
    "a huge whole number": (trial(params=10**5000), "params .* is inf, which is impossible"),
    "parameters are a text": (trial(params="many"), "params .* is 'many', not a number"),
    "an accuracy is a list": (epoch("train_acc1es", 11, [1]), "is a list, not a number"),
    "an accuracy is missing": (lambda e: e["12"]["all_results"][CIFAR]["train_acc1es"].pop(11), "not laid out as published"),
    "accuracies are a text": (trial(train_acc1es="99"), "train_acc1es .* is '99', not a dictionary"),
    "losses are missing": (trial(train_losses=None), "not laid out as published"),
    "an epoch is a tuple": (epoch("train_losses", (1, 2), 1.0), "has the key 1, 2, which is no epoch"),
    "an impossible latency": (trial(latency=[float("inf")]), "latency .* is inf"),
    "a latency is a text": (trial(latency="fast"), "latency .* is 'fast', not a list"),
    "epochs are a text": (trial(epochs="12"), "epochs .* is '12', not a whole number"),
    "epochs are many": (trial(epochs=1 << 30), "1073741824 epochs in a 12-epoch record"),
    "names of evaluations are a text": (trial(eval_names="x-valid"), "eval_names .* not a list"),
    "a dictionary that calls": (
        lambda e: e["12"].update(all_results=defaultdict(int, {CIFAR: 1})),
        "other trainings|not a dictionary",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_record_is_refused(case: str, clean: tuple[bytes, Entry, bytes], tmp_path: Path) -> None:
    change, words = MALFORMED[case]
    entry = copy.deepcopy(clean[1])
    change(entry)
    path = folder(tmp_path, clean[0], _000000=packed(entry))
    refused(lambda: LIBRARY.import_path(path), tmp_path, words, named=path)


def test_a_path_in_place_of_a_record_is_not_opened(clean: tuple[bytes, Entry, bytes], tmp_path: Path) -> None:
    hostile = tmp_path / "readme.pickle.pbz2"
    hostile.write_bytes(bz2.compress(pickle.dumps(Calls(os.system, touch(tmp_path)))))
    for recipe in ("12", "200"):
        home = tmp_path / recipe
        home.mkdir()
        path = folder(home, clean[0], _000000=packed({**clean[1], recipe: str(hostile)}))
        refused(partial(LIBRARY.import_path, path), tmp_path, "not a dictionary. Nothing was imported")


def test_a_path_within_a_single_file_is_not_opened(clean: tuple[bytes, Entry, bytes], tmp_path: Path) -> None:
    import torch

    hostile = tmp_path / "hostile.pth"
    hostile.write_bytes(pickle.dumps(Calls(os.system, touch(tmp_path))))
    entries = {0: {"less": str(hostile), "full": str(hostile)}}
    content = {"meta_archs": list(official_files.ARCHS), "arch2infos": entries, "evaluated_indexes": {0}}
    for name, new in (("legacy.pth", False), ("zip.pth", True)):
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=new)
        refused(partial(LIBRARY.import_path, tmp_path / name), tmp_path, "not a dictionary", named=tmp_path / name)


@pytest.mark.parametrize("case", pickles(Path("x")))
def test_a_hostile_pickle_among_the_records(case: str, clean: tuple[bytes, Entry, bytes], tmp_path: Path) -> None:
    path = folder(tmp_path, clean[0], _000000=packed(clean[1]), _000001=bz2.compress(pickles(tmp_path)[case], 1))
    refused(lambda: LIBRARY.import_path(path), tmp_path, "000001.pickle.pbz2", named=path / "000001.pickle.pbz2")


@pytest.mark.parametrize("case", ["os.system", "OBJ", "persistent id", "cut short", "garbled length", "empty"])
def test_a_hostile_meta_file(case: str, tmp_path: Path) -> None:
    content = bz2.compress(pickles(tmp_path)[case] + b"|nor_conv_3x3~0|", 1)
    path = folder(tmp_path, content, _000000=b"")
    refused(lambda: LIBRARY.import_path(path), tmp_path, named=path / "meta.pickle.pbz2")


def test_folders_that_are_not_what_they_seem(
    clean: tuple[bytes, Entry, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(official, "_ENTRY", 4 << 20)
    meta, entry, _ = clean
    cases: dict[str, tuple[dict[str, bytes], str]] = {
        "twice": ({"_0": packed(entry), "_000000": packed(entry)}, "has architecture 0 twice: 0.pickle.pbz2 and 000000"),
        "outside": ({"_999999": packed(entry)}, "has no files 000000.pickle.pbz2 to"),
        "none": ({}, "has no files 000000.pickle.pbz2 to"),
        "a list": ({"_000000": packed([entry])}, "is no NATS-Bench record but a list"),
        "a bomb": ({"_000000": packed(b"\0" * (8 << 20))}, "damaged: .* has more than 4,194,304 bytes"),
    }
    for name, (files, words) in cases.items():
        (tmp_path / name).mkdir()
        path = folder(tmp_path / name, meta, **files)
        refused(partial(LIBRARY.import_path, path), tmp_path, words)


def test_a_record_that_is_no_regular_file(clean: tuple[bytes, Entry, bytes], tmp_path: Path) -> None:
    path = folder(tmp_path, clean[0])
    os.mkfifo(path / "000000.pickle.pbz2")
    refused(lambda: LIBRARY.import_path(path), tmp_path, "named pipe")


ENTRIES: dict[str, Any] = {
    "text": "x",
    "list": [],
    "number": 1,
    "nothing": None,
    "record is a text": {"less": "x", "full": "x"},
    "record is a list": {"less": [], "full": []},
    "record is a number": {"less": 1},
    "seeds are a list": {"less": {"dataset_seed": []}},
    "seeds of lists": {"less": {"dataset_seed": {"cifar10-valid": [[1]]}, "all_results": {}}},
    "no records": {"more": {}},
}


@pytest.mark.parametrize("case", ENTRIES)
@pytest.mark.parametrize("form", ["legacy.pth", "zip.pth", "single.pickle.pbz2"])
def test_an_entry_of_the_wrong_shape(form: str, case: str, tmp_path: Path) -> None:
    import torch

    content = {"meta_archs": list(official_files.ARCHS), "arch2infos": {3: ENTRIES[case]}, "evaluated_indexes": {3}}
    path = tmp_path / form
    if form.endswith(".pth"):
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip.pth")
    else:
        path.write_bytes(packed(content))
    refused(lambda: LIBRARY.import_path(path), tmp_path, "architecture 3", named=path)


SINGLE_FILES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "entries are a list": lambda content: content.update(arch2infos=[1]),
    "no entries": lambda content: content.update(arch2infos={}),
    "an index is a text": lambda content: content.update(arch2infos={"0": {}}),
    "an index is too large": lambda content: content.update(arch2infos={15625: {}}),
    "cells are few": lambda content: content.update(meta_archs=["|avg_pool_3x3~0|"]),
    "cells are a text": lambda content: content.update(meta_archs="|avg_pool_3x3~0|"),
    "a cell is a huge number": lambda content: content["meta_archs"].__setitem__(3, 10**5000),
    "cells in another order": lambda content: content["meta_archs"].reverse(),
}


@pytest.mark.parametrize("case", SINGLE_FILES)
def test_a_single_file_of_the_wrong_shape(case: str, tmp_path: Path) -> None:
    content = {"meta_archs": list(official_files.ARCHS), "arch2infos": {0: {}}, "evaluated_indexes": {0}}
    SINGLE_FILES[case](content)
    path = tmp_path / "single.pickle.pbz2"
    path.write_bytes(packed(content))
    refused(lambda: LIBRARY.import_path(path), tmp_path, named=path)


def test_zip_archives_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    content = {"meta_archs": list(official_files.ARCHS), "arch2infos": {0: {}}, "evaluated_indexes": {0}}
    for name, spoil in (("encrypted", encrypted), ("method", unknown_method)):
        path = tmp_path / f"{name}.pth"
        torch.save(content, path)
        spoil(path)
        refused(partial(LIBRARY.import_path, path), tmp_path, "bytes present", named=path)
    monkeypatch.setattr(official, "_ENTRY", 1 << 20)
    bomb = pickle.dumps({**content, "padding": b"\0" * (40 << 20)}, 4)
    path = zipped(tmp_path / "bomb.pth", {"x/data.pkl": bomb}, packed=True)
    refused(lambda: LIBRARY.import_path(path), tmp_path, "has more than .* bytes", named=path)
    assert not (tmp_path / CANARY).exists()


@pytest.mark.parametrize("part", ["magic", "protocol", "sizes", "content"])
def test_a_hostile_part_of_a_torch_file(part: str, clean: tuple[bytes, Entry, bytes], tmp_path: Path) -> None:
    """torch.save of before 1.6 writes a sequence of pickles, each of which is opened."""
    head = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    call = pickle.dumps(Calls(os.system, touch(tmp_path)), 2)
    parts = {"magic": head, "protocol": pickle.dumps(1001, 2), "sizes": pickle.dumps({}, 2), "content": b""}
    raw = b"".join(call if name == part and name != "magic" else content for name, content in parts.items())
    path = tmp_path / "hostile.pth"
    path.write_bytes((head + call if part == "magic" else raw) + b"meta_archs|avg_pool_3x3~0|")
    refused(lambda: LIBRARY.import_path(path), tmp_path, named=path)
