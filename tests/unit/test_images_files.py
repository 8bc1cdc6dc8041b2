"""Every published layout of image data is read correctly. Damaged files are refused, and nothing is imported."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.images import digits, splits
from benchmarks.images.dataset import load
from benchmarks.images.forms import FORMS, SPLIT_TEXTS, Form
from benchmarks.images.library import LIBRARY, ImageLibrary
from benchmarks.images.pickled import load_batch
from harness.cache import data_roots
from harness.data import main
from harness.errors import UserError
from tests import image_files

PUBLISHED = [form.key for form in FORMS if form.train]
WITH_ARCHIVE = [form.key for form in FORMS if form.archive]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def use(monkeypatch: pytest.MonkeyPatch, *forms: Form) -> None:
    """Replace the published forms of the same keys."""
    replaced = {form.key: form for form in forms}
    monkeypatch.setattr(ImageLibrary, "forms", tuple(replaced.get(form.key, form) for form in FORMS))


def flip_byte(path: Path, position: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[position % len(raw)] ^= 1
    path.write_bytes(raw)


def nothing_imported(data: Path) -> bool:
    cache = data.parent / "cache"
    return not list(cache.rglob("*.npy")) and not list(cache.rglob("meta.json")) and LIBRARY.verify() == []


@pytest.mark.parametrize("as_folder", [False, True])
@pytest.mark.parametrize("key", PUBLISHED)
def test_a_published_layout_round_trips(key: str, as_folder: bool, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, folder, archive, parts = image_files.write(data, key)
    use(monkeypatch, form)
    if as_folder and archive:
        archive.unlink()
    elif archive:
        for file in folder.iterdir():
            file.unlink()
    lines: list[str] = []
    loaded = load(form.dataset, lines.append)
    assert len(lines) == 1
    for part, name in zip(loaded, ("train", "test"), strict=True):
        assert np.array_equal(part.images, parts[name][0]) and np.array_equal(part.labels, parts[name][1])
        assert (part.images.dtype, part.labels.dtype, part.name) == (np.dtype(np.uint8), np.dtype(np.int64), form.name)
    again = load(form.dataset, lines.append)
    assert len(lines) == 1 and again[0].checksum == loaded[0].checksum
    assert not again[0].images.flags.writeable  # mapped, not read


def test_the_python_version_is_preferred_and_both_have_60_000_images() -> None:
    for number in ("10", "100"):
        python, binary = (next(form for form in FORMS if form.key == f"cifar{number}-{kind}") for kind in ("python", "binary"))
        assert python.dataset == binary.dataset and python.counts == binary.counts == (50_000, 10_000)
        assert FORMS.index(python) < FORMS.index(binary)


@pytest.mark.parametrize("position", [0, 5, 700, -4])
@pytest.mark.parametrize("key", WITH_ARCHIVE)
def test_an_archive_with_a_flipped_byte_is_refused(
    key: str, position: int, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, _, archive, _ = image_files.write(data, key)
    assert archive is not None
    use(monkeypatch, form)
    flip_byte(archive, position)
    (data / form.folder / form.test[0].name).unlink()  # the archive is all there is
    with pytest.raises(
        UserError, match=f"{archive.name} is damaged: its MD5 is .* get it again .*Nothing was imported"
    ) as error:
        load(form.dataset)
    assert "\n" not in str(error.value) and nothing_imported(data)


@pytest.mark.parametrize("key", [key for key in PUBLISHED if not key.endswith("binary")])
def test_a_file_with_a_flipped_byte_is_refused(key: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, folder, archive, _ = image_files.write(data, key)
    if archive:
        archive.unlink()
    use(monkeypatch, form)
    flip_byte(folder / form.train[-1].name, 1000)
    with pytest.raises(UserError, match=f"{form.train[-1].name}'s MD5 is"):
        load(form.dataset)
    assert nothing_imported(data)


@pytest.mark.parametrize("key", [key for key in PUBLISHED if key.endswith("binary")])
def test_a_cut_binary_file_is_refused(key: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, folder, archive, _ = image_files.write(data, key)
    assert archive is not None
    archive.unlink()
    use(monkeypatch, form)
    file = folder / form.train[0].name
    content = file.read_bytes()
    for short in (content[:-1], content[: len(content) // 2]):
        file.write_bytes(short)
        with pytest.raises(UserError, match=r"no whole number of records|images where the published set has"):
            load(form.dataset)
    assert nothing_imported(data)


def test_a_missing_batch_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, folder, archive, _ = image_files.write(data, "cifar10-python")
    assert archive is not None
    archive.unlink()
    (folder / "data_batch_3").unlink()
    use(monkeypatch, form)
    with pytest.raises(UserError, match="lacks data_batch_3"):
        load("cifar10")


def test_jpeg_columns_decode_as_pillow_does(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, parts = image_files.jpeg_columns(data / "any_name.npz", 7, 3)
    use(monkeypatch, form)
    for part, name in zip(load("cifar10"), ("train", "test"), strict=True):
        assert part.name == "CIFAR-10 (JPEG-75)"
        assert np.array_equal(part.images, parts[name][0]) and np.array_equal(part.labels, parts[name][1])
    assert LIBRARY.state()[0].text.startswith("CIFAR-10 (JPEG-75): ")


def test_damaged_jpeg_columns_are_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, _ = image_files.jpeg_columns(data / "any.npz", 7, 3)
    use(monkeypatch, form)
    flip_byte(data / "any.npz", (data / "any.npz").stat().st_size // 2)
    with pytest.raises(UserError, match=r"any\.npz is damaged: "):
        load("cifar10")
    assert nothing_imported(data)


def test_cifar_itself_goes_before_its_jpegs_and_a_damaged_one_is_never_replaced_by_them(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jpeg, _ = image_files.jpeg_columns(data / "a.npz", 7, 3)
    use(monkeypatch, jpeg)
    assert load("cifar10")[0].name == "CIFAR-10 (JPEG-75)"
    form, _, archive, _ = image_files.write(data / "sub", "cifar10-python")
    use(monkeypatch, jpeg, form)
    assert archive is not None
    intact = archive.read_bytes()
    flip_byte(archive, 50)
    for file in (data / "sub" / form.folder).iterdir():
        file.unlink()
    with pytest.raises(UserError, match=r"cifar-10-python\.tar\.gz is damaged"):
        load("cifar10")
    archive.write_bytes(intact)
    assert load("cifar10")[0].name == "CIFAR-10"


def test_a_changed_source_is_read_again_and_a_table_outlives_its_source(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, folder, archive, _ = image_files.write(data, "cifar10-binary")
    assert archive is not None
    archive.unlink()
    use(monkeypatch, form)
    before = load("cifar10")[0]
    flip_byte(folder / "data_batch_2.bin", 100)
    os.utime(folder / "data_batch_2.bin", ns=(1, 1))
    after = load("cifar10")[0]
    assert after.checksum != before.checksum
    for file in folder.iterdir():
        file.unlink()
    assert load("cifar10")[0].checksum == after.checksum


def test_what_is_missing_and_what_is_misspelled_is_said_in_one_line(data: Path) -> None:
    with pytest.raises(UserError, match=r"^CIFAR-100 is missing: put cifar-100-python.tar.gz into a folder of NAS_DATA"):
        load("cifar100")
    with pytest.raises(UserError, match="did you mean 'cifar100'"):
        load("cifar-100")
    assert LIBRARY.find("cifar10") is None and LIBRARY.state() == []


def test_the_data_command_lists_imports_and_checks_them(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    form, _ = image_files.jpeg_columns(data / "some.npz", 7, 3)
    use(monkeypatch, form)
    assert main(["status"]) == 0
    listed = capsys.readouterr().out.split("\n\n")
    section = {text.split("\n")[0]: text for text in listed}
    assert (
        "in use: CIFAR-10 (JPEG-75): JPEG quality 75 in an NPZ, found, imported on first use" in section["images: for CIFAR-10"]
    )
    assert "nothing found" in section["images: for CIFAR-100"]
    assert main(["import", str(data / "some.npz")]) == 0
    assert "images: CIFAR-10 (JPEG-75), JPEG quality 75 in an NPZ, 10 images" in capsys.readouterr().out
    assert main(["verify"]) == 0
    flip_byte(next((data.parent / "cache").rglob("train/images.npy")), -1)
    assert main(["verify"]) == 2
    assert "train/images is not what was imported; delete that folder and import again" in capsys.readouterr().err
    with pytest.raises(UserError, match="train/images is not what was imported"):
        load("cifar10")


class Call:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("true",)


@pytest.mark.parametrize(
    "content", [{"data": Call()}, {"data": np.array([Call()], dtype=object)}, {"data": np.zeros(2).view(np.recarray)}]
)
def test_a_batch_that_asks_for_more_than_numbers_is_refused(content: object, tmp_path: Path) -> None:
    (tmp_path / "batch").write_bytes(pickle.dumps(content, protocol=2))
    with (tmp_path / "batch").open("rb") as file, pytest.raises(UserError, match="not plain data"):
        load_batch(file)


def test_an_array_whose_shape_contradicts_its_bytes_is_refused() -> None:
    import io

    raw = image_files.python2_pickle(np.zeros((2, 10), np.uint8), "labels", [1, 2]).replace(
        b"\x0a\x00\x00\x00", b"\x0b\x00\x00\x00"
    )
    with pytest.raises(UserError, match="garbled"):
        load_batch(io.BytesIO(raw))["data"].array()


def test_a_part_reaches_no_image_of_another(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, _, _, parts = image_files.write(data, "cifar100-python")
    use(monkeypatch, form)
    first = np.array([1, 3])
    monkeypatch.setattr(splits, "nb201", lambda _: (first, np.array([0, 2])))
    weights, architecture = splits.nb201_search_sets("cifar100")
    assert len(weights) == len(parts["train"][1])
    assert np.array_equal(architecture.images, parts["test"][0][first])
    assert architecture.images.base is None and architecture.labels.base is None


def test_digits_have_the_same_interface_and_the_split_of_the_benchmark() -> None:
    train, test = load("digits")
    assert train.images.shape == (1408, 1, 8, 8) and len(test) == 389
    weights, architecture = splits.nb201_search_sets("digits")
    for part, plain in zip((weights, architecture, test), digits.load(), strict=True):
        standardised = (part.images / part.white - np.array(part.mean)) / np.array(part.std)
        assert np.allclose(standardised, plain.images, atol=1e-6) and np.array_equal(part.labels, plain.labels)


@pytest.mark.parametrize(
    ("rows", "sizes"), [(splits.halves(50_000), (25_000, 25_000)), (splits.cut(50_000, 45_000), (45_000, 5_000))]
)
def test_a_cut_takes_every_row_once_in_order(rows: tuple[np.ndarray, np.ndarray], sizes: tuple[int, int]) -> None:
    assert tuple(map(len, rows)) == sizes
    assert np.array_equal(np.concatenate(rows), np.arange(50_000))


# -- the real files ----------------------------------------------------------------------------------------------------------


def real(name: str) -> Path:
    paths = [path for root in data_roots() for path in sorted(root.rglob(name))]
    if not paths:
        pytest.skip(f"no {name} in NAS_DATA")
    return paths[0]


def test_nas_bench_201_splits_are_the_published_ones_in_either_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    columns = dict(np.load(real("nb201_splits.npz")))
    indices = {name: splits.nb201(name) for name in splits.NB201_SPLITS}
    for name, (first, second) in indices.items():
        count = {"cifar10": 50_000, "cifar100": 10_000, "imagenet16-120": 6_000}[name]
        assert len(first) == len(second) == count // 2
        assert np.array_equal(np.sort(np.concatenate([first, second])), np.arange(count))
        halves = splits.NB201_SPLITS[name]
        text = {half.key: ["int", [str(row) for row in columns[half.column]]] for half in halves}
        (tmp_path / SPLIT_TEXTS[name]).write_text(json.dumps(text))
    monkeypatch.setenv("NAS_DATA", str(tmp_path))
    for name, (first, second) in indices.items():
        assert all(np.array_equal(a, b) for a, b in zip(splits.nb201(name), (first, second), strict=True))
    file = tmp_path / "cifar-split.txt"
    file.write_text(file.read_text().replace('"49994"', '"49993"'))
    with pytest.raises(UserError, match="other indices for cifar10_train"):
        splits.nb201("cifar10")
    file.write_text(file.read_text()[:-10])
    with pytest.raises(UserError, match="is damaged"):
        splits.nb201("cifar10")
    with pytest.raises(
        UserError, match=r"split of cifar100 is missing: put cifar100-test-split.txt .* or nb201_splits\.npz into"
    ):
        (tmp_path / "cifar100-test-split.txt").unlink()
        splits.nb201("cifar100")


def test_the_real_jpegs_are_cifar_10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = real("cifar10_jpg_full.npz")
    monkeypatch.setenv("NAS_DATA", str(path.parent))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    train, test = load("cifar10")
    assert train.name == "CIFAR-10 (JPEG-75)"
    assert train.images.shape == (50_000, 3, 32, 32) and test.images.shape == (10_000, 3, 32, 32)
    assert np.bincount(train.labels).tolist() == [5000] * 10 and np.bincount(test.labels).tolist() == [1000] * 10
    assert train.labels[:8].tolist() == [6, 9, 9, 4, 1, 1, 2, 7]  # frog, truck, truck, deer, ...: the official order
    levels = np.arange(256) / 255
    for channel in range(3):
        counts = np.bincount(train.images[:, channel].ravel(), minlength=256) / train.images[:, channel].size
        mean = counts @ levels
        assert abs(mean - train.mean[channel]) < 2e-4
        assert abs(np.sqrt(counts @ (levels - mean) ** 2) - train.std[channel]) < 2e-3  # JPEG takes some of the variance
