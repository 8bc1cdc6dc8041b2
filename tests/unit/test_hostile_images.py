"""Hostile and malformed image sets, reviews and image folders, imported or read as by a user."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.darts.image_folder import FolderData
from benchmarks.feature_maps.library import LIBRARY as imdb
from benchmarks.images import splits
from benchmarks.images.forms import FORMS, Form
from benchmarks.images.library import LIBRARY, ImageLibrary
from harness.errors import UserError
from tests import image_files, review_files
from tests.hostile_files import CANARY, Calls, encrypted, npy, pickles, refused, touch, unknown_method
from tests.made_sources import folders

__all__ = ["folders"]


def use(monkeypatch: pytest.MonkeyPatch, form: Form) -> None:
    monkeypatch.setattr(ImageLibrary, "forms", tuple(form if form.key == published.key else published for published in FORMS))


def batches(home: Path, key: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a data set with ``content`` as its first training file, with the expected checksum."""
    form, path, _, _ = image_files.write(home, key)
    first = replace_member(form, content)
    (path / form.train[0].name).write_bytes(content)
    use(monkeypatch, first)
    return path


def replace_member(form: Form, content: bytes) -> Form:
    member = form.train[0]
    digest = hashlib.md5(content).hexdigest() if member.md5 else ""
    return replace(form, train=(member._replace(md5=digest), *form.train[1:]))


@pytest.mark.parametrize("case", pickles(Path("x")))
@pytest.mark.parametrize("key", ["cifar10-python", "imagenet16-120"])
def test_a_hostile_pickle_among_the_batches(key: str, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = batches(tmp_path, key, pickles(tmp_path)[case], monkeypatch)
    name = LIBRARY.forms[0].train[0].name if key == "cifar10-python" else "train_data_batch_1"
    assert name in refused(lambda: LIBRARY.import_path(path), tmp_path, "is damaged", named=path)


PIXELS = np.zeros((2, 3072), np.uint8)
BATCHES: dict[str, Any] = {
    "a list": [1],
    "no data": {"labels": [1, 2]},
    "data are a list": {"data": [1], "labels": [1]},
    "labels are a text": {"data": PIXELS, "labels": "12"},
    "labels of texts": {"data": PIXELS, "labels": ["1", "2"]},
    "labels of lists": {"data": PIXELS, "labels": [[1], [2]]},
    "labels too large": {"data": PIXELS, "labels": [1, 10**30]},
    "labels below zero": {"data": PIXELS, "labels": [1, -1]},
    "a label that is no class": {"data": PIXELS, "labels": [1, 999]},
    "images too small": {"data": np.zeros((2, 12), np.uint8), "labels": [1, 2]},
    "images of floats": {"data": np.zeros((2, 3072)), "labels": [1, 2]},
    "fewer labels than images": {"data": PIXELS, "labels": [1]},
    "no images": {"data": np.zeros((0, 3072), np.uint8), "labels": []},
    "objects": {"data": np.array([{1}], dtype=object), "labels": [1]},
}


@pytest.mark.parametrize("case", BATCHES)
def test_a_malformed_batch(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = batches(tmp_path, "cifar100-python", pickle.dumps(BATCHES[case], 2), monkeypatch)
    refused(lambda: LIBRARY.import_path(path), tmp_path, "is damaged", named=path)


def test_files_of_a_set_that_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, path, archive, _ = image_files.write(tmp_path, "cifar10-binary")
    use(monkeypatch, form)
    assert archive is not None
    file = path / "data_batch_2.bin"
    file.unlink()
    os.mkfifo(file)
    refused(lambda: LIBRARY.import_path(path), tmp_path, "it lacks data_batch_2.bin", named=path)
    file.unlink()
    file.write_bytes(b"x" * 100)
    refused(lambda: LIBRARY.import_path(path), tmp_path, "no whole number of records", named=path)
    archive.write_bytes(gzip.compress(b"x" * 5000))
    refused(lambda: LIBRARY.import_path(archive), tmp_path, "MD5", named=archive)
    archive.unlink()
    os.mkfifo(archive)
    refused(lambda: LIBRARY.import_path(archive), tmp_path, "is a named pipe", named=archive)


def jpeg(path: Path, **changes: Any) -> Path:
    image_files.jpeg_columns(path, 4, 2)
    with np.load(path) as columns:
        content = {**{name: columns[name] for name in columns.files}, **changes}
    np.savez(path, **content)
    return path


COLUMNS: dict[str, Callable[[Path, Path], object]] = {
    "objects": lambda path, home: jpeg(path, header=np.array([Calls(os.system, touch(home))], dtype=object)),
    "offsets of floats": lambda path, home: jpeg(path, offsets=np.linspace(0, 1, 7)),
    "offsets backwards": lambda path, home: jpeg(path, offsets=np.arange(7)[::-1]),
    "offsets too few": lambda path, home: jpeg(path, offsets=np.arange(3)),
    "no offsets": lambda path, home: jpeg(path, offsets=np.zeros(0, np.int64)),
    "labels of texts": lambda path, home: jpeg(path, labels=np.array(list("abcdef"))),
    "a label that is no class": lambda path, home: jpeg(path, labels=np.full(6, 77)),
    "labels of two axes": lambda path, home: jpeg(path, labels=np.zeros((6, 2), np.uint8)),
    "no training images": lambda path, home: jpeg(path, n_train=np.array(0)),
    "too many training images": lambda path, home: jpeg(path, n_train=np.array(99)),
    "two numbers": lambda path, home: jpeg(path, n_train=np.array([1, 2])),
    "images that are none": lambda path, home: jpeg(path, header=np.zeros(10, np.uint8)),
    "images that are PNG": lambda path, home: jpeg(path, header=np.frombuffer(png(4, 4), np.uint8)),
    "encrypted": lambda path, home: encrypted(jpeg(path)),
    "an unknown method": lambda path, home: unknown_method(jpeg(path)),
    "cut short": lambda path, home: jpeg(path).write_bytes(path.read_bytes()[:-100]),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_of_jpeg_images(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, _ = image_files.jpeg_columns(tmp_path / "good.npz", 4, 2)
    use(monkeypatch, form)
    path = tmp_path / "images.npz"
    COLUMNS[case](path, tmp_path)
    refused(lambda: LIBRARY.import_path(path), tmp_path, named=path)


INDICES: dict[str, bytes] = {
    "deep JSON": b"[" * 100_000,
    "an infinite index": b'{"train": ["int", [1e400]], "valid": ["int", []]}',
    "another list": b'{"train": 5}',
    "no text": b"\xff\xfe\x00",
    "other indices": b'{"train": ["int", ["0"]], "valid": ["int", ["1"]]}',
    "huge indices": b'{"train": ["int", ["99999999999999999999999"]], "valid": ["int", ["1"]]}',
}


@pytest.mark.parametrize("case", INDICES)
def test_index_splits(case: str, tmp_path: Path) -> None:
    path = tmp_path / "data" / "cifar-split.txt"
    path.write_bytes(INDICES[case])
    refused(lambda: splits.nb201("cifar10"), tmp_path, "get it again", named=path)
    with np.errstate(all="ignore"):
        np.savez(path.with_name("nb201_splits.npz"), cifar10_train=np.array([{1}], dtype=object))
    refused(lambda: splits.nb201("cifar10"), tmp_path, "nb201_splits.npz is damaged")
    path.with_name("nb201_splits.npz").write_bytes(npy("{}", b""))
    refused(lambda: splits.nb201("cifar10"), tmp_path, "nb201_splits.npz is damaged")


MADE = review_files.made(3)
LINES: dict[str, str] = {
    "an infinite number": '{"split": "train", "label": 1, "id": 1e400, "text": "good"}',
    "half a character": '{"split": "train", "label": 1, "id": 1, "text": "\\ud800"}',
    "deep JSON": "[" * 100_000,
    "deep within": '{"split": "train", "label": 1, "id": 1, "text": ' + "[" * 100_000,
    "a number that is none": '{"split": "train", "label": 1, "id": NaN, "text": "good"}',
    "a long number": '{"split": "train", "label": 1, "id": ' + "9" * 5000 + ', "text": "good"}',
    "a number that is a list": '{"split": "train", "label": 1, "id": [1], "text": "good"}',
    "a label that is a list": '{"split": "train", "label": [1], "id": 1, "text": "good"}',
    "a part that is a list": '{"split": ["train"], "label": 1, "id": 1, "text": "good"}',
    "a text too long": '{"split": "train", "label": 1, "id": 1, "text": "' + "x" * (1 << 20) + '"}',
    "bytes that are no text": "\udcff",
}


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
@pytest.mark.parametrize("case", LINES)
def test_lines_of_reviews(case: str, suffix: str, tmp_path: Path) -> None:
    good = review_files.lines(tmp_path / "good.jsonl", MADE).read_text().splitlines()
    content = "\n".join([*good[:4], LINES[case], *good[4:]]).encode("utf-8", "surrogateescape")
    path = tmp_path / f"imdb{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    refused(lambda: imdb.import_path(path), tmp_path, "line 5 is no review", named=path)


def archive(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as packed:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return path


def test_archives_of_reviews(tmp_path: Path) -> None:
    path = tmp_path / "aclImdb_v1.tar.gz"
    cases = {
        "no UTF-8": archive(path, ("aclImdb/train/pos/1_9.txt", b"\xff")).read_bytes(),
        "too long": archive(path, ("aclImdb/train/pos/1_9.txt", b"x" * (2 << 20))).read_bytes(),
        "a long number": archive(path, (f"aclImdb/train/pos/{'9' * 90}_9.txt", b"x")).read_bytes(),
        "outside": archive(path, ("../../train/pos/1_9.txt", b"x")).read_bytes(),
        "no archive": gzip.compress(b"x" * 2000),
        "cut short": archive(path, ("aclImdb/train/pos/1_9.txt", os.urandom(5000).hex().encode())).read_bytes()[:3000],
        "empty": b"",
    }
    for content in cases.values():
        path.write_bytes(content)
        refused(lambda: imdb.import_path(path), tmp_path)
        assert not (tmp_path.parent / "train").exists()
    with tarfile.open(path, "w:gz") as packed:
        link = tarfile.TarInfo("aclImdb/train/pos/1_9.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    refused(lambda: imdb.import_path(path), tmp_path, "has no reviews", named=path)


def test_folders_of_reviews(tmp_path: Path) -> None:
    path = review_files.folder(tmp_path, MADE)
    file = path / "train" / "pos" / "77_9.txt"
    file.write_bytes(b"\xff")
    refused(lambda: imdb.import_path(path), tmp_path, "review 77_9.txt is no UTF-8 text")
    file.unlink()
    os.mkfifo(file)
    refused(lambda: imdb.import_path(path), tmp_path, "named pipe")
    file.unlink()
    file.symlink_to("nowhere")
    refused(lambda: imdb.import_path(path), tmp_path, "link to nothing")


def png(width: int, height: int) -> bytes:
    """Return a PNG with this size in its header, and no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


IMAGES: dict[str, tuple[bytes | None, str]] = {
    "60 000 pixels squared": (png(60_000, 60_000), "3.JPEG is damaged or not an image: .*60.?000|pixels"),
    "12 000 pixels squared": (png(12_000, 12_000), "144,?000,?000|12,000 x 12,000 pixels"),
    "no pixels": (png(10, 10), "3.JPEG is damaged"),
    "no image": (b"hello", "3.JPEG is damaged"),
    "empty": (b"", "3.JPEG is damaged"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "3.JPEG is damaged"),
    "a pipe": (None, "is a named pipe"),
}


@pytest.mark.parametrize(("case", "workers"), [*((case, 0) for case in IMAGES), ("60 000 pixels squared", 1)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_images_in_a_folder(case: str, workers: int, tmp_path: Path) -> None:
    content, words = IMAGES[case]
    for part in ("train", "val"):
        for name in ("n01", "n02"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save(tmp_path / part / name / "0.JPEG")
    bad = tmp_path / "val" / "n02" / "3.JPEG"
    if content is None:
        os.mkfifo(bad)
    else:
        bad.write_bytes(content)
    data = FolderData(tmp_path, "test", "cpu", size=64, workers=workers)
    refused(lambda: list(data.evaluated(4)), tmp_path, words, named=bad)


def test_the_canary_is_one_that_sings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.unpickle.PlainUnpickler.find_class", pickle.Unpickler.find_class)
    content = pickle.dumps(Calls(os.system, touch(tmp_path)))
    path = batches(tmp_path, "cifar10-python", content, monkeypatch)
    with pytest.raises(UserError):
        LIBRARY.import_path(path)
    assert (tmp_path / CANARY).exists()
