"""Every published form of reviews and images is read correctly and split as in the paper. Errors are one line."""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.feature_maps import data, reviews
from benchmarks.feature_maps.data import ImageDataSet, ReviewDataSet, Settings
from benchmarks.feature_maps.library import LIBRARY
from benchmarks.feature_maps.tokens import RELEASED, TOKENISERS, stop_words
from benchmarks.images import digits
from benchmarks.images.forms import FORMS
from benchmarks.images.library import ImageLibrary
from harness.errors import UserError
from tests import image_files, review_files

MADE = review_files.made()


def lines_of(suffix: str) -> Callable[[Path], Path]:
    """Return what writes the reviews as lines of JSON, packed as the suffix says."""
    return lambda path: review_files.lines(path / f"imdb.jsonl{suffix}", MADE)


FORMS_OF_REVIEWS: dict[str, Callable[[Path], Path]] = {
    "folder": lambda path: review_files.folder(path, MADE),
    "archive": lambda path: review_files.archive(path, MADE),
    **{f"lines{suffix}": lines_of(suffix) for suffix in ("", ".xz", ".gz", ".bz2")},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty data folder, with empty caches."""
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    caches = (data._reviews, data._tokens, data._image_set)
    for cached in caches:
        cached.cache_clear()
    yield tmp_path / "data"
    for cached in caches:
        cached.cache_clear()


# Reviews


@pytest.mark.parametrize("form", FORMS_OF_REVIEWS)
def test_every_form_has_the_same_reviews_in_the_same_order(form: str, home: Path) -> None:
    content = reviews.read(FORMS_OF_REVIEWS[form](home))
    expected = sorted((part != "train", kind == "pos", number, text) for part, kind, number, _, text in MADE)
    assert [(bool(review.part), bool(review.label), review.number, review.text) for review in content] == expected


def test_every_form_becomes_the_same_table(home: Path, tmp_path: Path) -> None:
    checksums = set()
    for form, make in FORMS_OF_REVIEWS.items():
        (tmp_path / form).mkdir()
        path = make(tmp_path / form)
        checksums.add(LIBRARY.import_path(path).checksum)
    assert len(checksums) == 1


@pytest.mark.parametrize("form", ["folder", "archive", "lines.xz"])
def test_a_form_is_found_by_itself_and_imported_once(form: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FORMS_OF_REVIEWS[form](home)
    if form == "archive":
        shutil.rmtree(home / "unpacked")
    for _ in range(2):
        source = ReviewDataSet(Settings(features=64, pool=8))
        assert len(source.search_parts()[0]) == 24
        data._reviews.cache_clear()
    assert capsys.readouterr().err.count("importing") == 2  # the announcement, and how long it took
    assert "48 reviews" in LIBRARY.state()[0].text


def test_the_split_is_the_papers(home: Path) -> None:
    """All training reviews; the first half of the permuted test reviews tests, the rest validates."""
    FORMS_OF_REVIEWS["lines"](home)
    source = ReviewDataSet(Settings(features=64, pool=8))
    train, valid = source.search_parts()
    test = source.test_part()
    assert [len(part) for part in (train, valid, test)] == [24, 12, 12]
    order = np.random.RandomState(0).permutation(24)
    labels = np.repeat([0, 1], 12)
    assert test.labels.tolist() == labels[order[:12]].tolist()
    assert valid.labels.tolist() == labels[order[12:]].tolist()
    assert sorted(train.labels.tolist()) == labels.tolist()
    assert "permuted from their order by class and number" in source.origin


def test_parts_have_their_own_reviews_and_fewer_points_are_the_first_of_more(home: Path) -> None:
    FORMS_OF_REVIEWS["lines"](home)
    parts = ReviewDataSet(Settings(features=64, pool=8)).search_parts()
    smaller_parts = ReviewDataSet(Settings(features=64, pool=8, train=10, valid=5)).search_parts()
    for part, smaller in zip(parts, smaller_parts, strict=True):
        n = len(smaller)
        assert smaller.labels.tolist() == part.labels[:n].tolist()
        for name in RELEASED:
            tokens, owner = smaller.points.tokens[name].of(np.arange(n), False, False)
            same, _ = part.points.tokens[name].of(np.arange(n), False, False)
            assert tokens.tolist() == same.tolist()
            assert len(np.unique(owner)) == n
            assert len(smaller.points.tokens[name]._ids) == len(tokens)


def test_both_tokenisers_on_which_paper_and_released_code_differ_can_be_chosen(home: Path) -> None:
    """D-37."""
    FORMS_OF_REVIEWS["lines"](home)
    assert Settings(features=64).tokenisers == RELEASED == ("strip", "split", "nltk")
    source = ReviewDataSet(Settings(features=64, pool=50, tokenisers=["spaces", "split", "nltk"]))
    assert {feature_map.tokeniser for feature_map in source.maps(1).pool} == {"spaces", "split", "nltk"}
    assert set(source.search_parts()[0].points.tokens) == {"spaces", "split", "nltk"}


def test_tokenisers_need_no_download_and_differ_as_named() -> None:
    text = "It's GOOD, isn't it?"
    assert {name: make()(text) for name, make in TOKENISERS.items()} == {
        "spaces": ["It's", "GOOD,", "isn't", "it?"],
        "strip": ["Its", "GOOD", "isnt", "it"],
        "split": ["It", "'", "s", "GOOD", ",", "isn", "'", "t", "it", "?"],
        "nltk": ["It", "'s", "GOOD", ",", "is", "n't", "it", "?"],
    }
    assert {"the", "and"} < stop_words()


def spoiled(position: int, line: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[:position], line, *lines[position + 1 :]]


MALFORMED = {
    "cut": '{"split": "train", "label": 1, "text": "go',
    "no object": "[1, 2]",
    "no text": '{"split": "train", "label": 1}',
    "text is a number": '{"split": "train", "label": 1, "text": 5}',
    "unknown part": '{"split": "valid", "label": 1, "text": "good"}',
    "unknown label": '{"split": "train", "label": 2, "text": "good"}',
    "blank": "",
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_line_is_named_by_its_number(kind: str, home: Path) -> None:
    path = review_files.lines(home / "imdb.jsonl.gz", MADE, spoiled(6, MALFORMED[kind]))
    with pytest.raises(UserError, match=r"imdb\.jsonl\.gz, line 7 is no review: a JSON object with split") as refusal:
        LIBRARY.import_path(path)
    assert "\n" not in str(refusal.value)
    assert not list((home.parent / "cache").rglob("*.npy"))


def without(part: str, kind: str) -> list[review_files.Review]:
    return [review for review in MADE if review[:2] != (part, kind)]


@pytest.mark.parametrize(("part", "kind"), [("train", "neg"), ("train", "pos"), ("test", "neg"), ("test", "pos")])
@pytest.mark.parametrize("form", ["folder", "archive", "lines"])
def test_a_missing_class_is_named(form: str, part: str, kind: str, home: Path) -> None:
    left = without(part, kind)
    path = {
        "folder": lambda: review_files.folder(home, left),
        "archive": lambda: review_files.archive(home, left),
        "lines": lambda: review_files.lines(home / "imdb.jsonl", left),
    }[form]()
    message = f"has no reviews of {part}/{kind}; get the complete data set again. Nothing was imported"
    with pytest.raises(UserError, match=message):
        LIBRARY.import_path(path)


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_an_empty_review_is_named(text: str, home: Path) -> None:
    left = [*MADE[:-1], (*MADE[-1][:4], text)]
    with pytest.raises(UserError, match=r"review test/pos/11 is empty; get it again\. Nothing was imported"):
        LIBRARY.import_path(review_files.folder(home, left))


def test_two_reviews_with_one_number_are_refused(home: Path) -> None:
    (*_, part, kind, number, _, text) = MADE[0]
    path = review_files.folder(home, MADE)
    (path / part / kind / f"{number}_7.txt").write_text(text)
    with pytest.raises(UserError, match="two reviews of train/neg with the same number"):
        LIBRARY.import_path(path)


@pytest.mark.parametrize("spoil", ["cut", "flip"])
@pytest.mark.parametrize("form", ["archive", "lines.xz", "lines.gz", "lines.bz2"])
def test_a_damaged_file_is_one_line_and_leaves_nothing(form: str, spoil: str, home: Path) -> None:
    path = FORMS_OF_REVIEWS[form](home)
    raw = bytearray(path.read_bytes())
    if spoil == "cut":
        raw = raw[: len(raw) // 2]
    else:
        for at in range(len(raw) // 2, len(raw) // 2 + 16):  # one byte alone may decompress to the same
            raw[at] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(UserError) as refusal:
        LIBRARY.import_path(path)
    assert "\n" not in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert not list((home.parent / "cache").rglob("*.npy"))


def test_a_bit_anywhere_in_an_archive_is_missed_nowhere(home: Path) -> None:
    path = FORMS_OF_REVIEWS["archive"](home)
    packed = path.read_bytes()
    content, expected = gzip.decompress(packed), reviews.read(path)
    header = packed.index(b"\0", 10) + 1  # gzip's, with the file's name, which no checksum covers
    for at in range(header, len(packed), 7):
        damaged = packed[:at] + bytes([packed[at] ^ 0x10]) + packed[at + 1 :]
        path.write_bytes(damaged)
        try:
            same = gzip.decompress(damaged) == content  # such as a copy from elsewhere in a run of zeros
        except (EOFError, zlib.error, gzip.BadGzipFile):
            same = False
        if same:
            assert reviews.read(path) == expected
        else:
            with pytest.raises(UserError):
                reviews.read(path)


def test_what_is_no_imdb_is_not_taken_for_it(home: Path) -> None:
    (home / "other.jsonl").write_text('{"text": "good"}\n')
    (home / "train" / "cats").mkdir(parents=True)
    assert reviews.recognise(home / "other.jsonl") is None
    assert reviews.recognise(home) is None
    assert LIBRARY.state() == []
    with pytest.raises(UserError, match=r"IMDb is missing; see `python -m harness\.data status`"):
        ReviewDataSet(Settings(features=64))


# Images


@pytest.mark.parametrize("key", [form.key for form in FORMS if form.dataset == "cifar10" and form.train])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.slow
def test_cifar10_is_read_in_every_published_form(key: str, packed: bool, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, folder, archive, content = image_files.write(home, key)
    monkeypatch.setattr(ImageLibrary, "forms", (form, *(known for known in FORMS if known.dataset != "cifar10")))
    if packed and archive:
        shutil.rmtree(folder)
    elif archive:
        archive.unlink()
    is_split_in_order(content)


def test_cifar10_is_read_from_jpeg_images(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, content = image_files.jpeg_columns(home / "cifar10.npz", 20, 6)
    monkeypatch.setattr(ImageLibrary, "forms", (form,))
    is_split_in_order(content)
    assert ImageDataSet("cifar10", Settings(features=8)).name == "CIFAR-10 (JPEG-75)"


def is_split_in_order(content: image_files.Parts) -> None:
    """The first four fifths train, the last fifth validates, as 40 000 and 10 000 of 50 000."""
    source = ImageDataSet("cifar10", Settings(features=8))
    train, valid = source.search_parts()
    first = len(content["train"][1]) * 4 // 5
    images, labels = content["train"]
    for part, (raw, truth) in {
        train: (images[:first], labels[:first]),
        valid: (images[first:], labels[first:]),
        source.test_part(): content["test"],
    }.items():
        assert part.labels.tolist() == truth.tolist()
        pixels = part.points.pixels(np.arange(len(part)), "none")
        assert pixels == pytest.approx(raw.reshape(len(raw), -1) / 255, abs=1e-6)


def test_the_digits_are_split_as_everywhere_in_the_project() -> None:
    source = ImageDataSet("digits", Settings(features=8))
    assert [len(part) for part in (*source.search_parts(), source.test_part())] == list(digits.SIZES) == [1024, 384, 389]


# Settings


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tokenisers": ["spaces", "spacy"]}, "no tokeniser 'spacy'; there are spaces, strip, split, nltk"),
        ({"solver": "sag"}, "no solver 'sag'; there are lsqr, cholesky"),
        ({"features": 0}, "at least 1 feature"),
        ({"pool": 1}, "2 configurations"),
        ({"train": -1}, "no fewer than 0 points"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Settings(**{"features": 8, **changes})  # type: ignore[arg-type]


def test_more_points_than_there_are_is_one_line() -> None:
    with pytest.raises(UserError, match="2000 train points were requested, there are 1024"):
        ImageDataSet("digits", Settings(features=8, train=2000)).search_parts()
