"""Penn Treebank is read from a folder and from an archive, damage is reported in a line, and texts are cut into blocks."""

from __future__ import annotations

import io
import itertools
import random
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.darts_rnn import blocks, corpus, texts
from benchmarks.darts_rnn.blocks import Lengths
from benchmarks.darts_rnn.library import LIBRARY
from harness.errors import UserError
from tests import made_ptb


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty data folder, with empty caches."""
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    for cached in (corpus.corpus, corpus._table, corpus._renumbering):
        cached.cache_clear()
    return tmp_path / "data"


def archive(path: Path, source: Path, prefix: str = "") -> Path:
    with tarfile.open(path, "w:xz") if path.suffix == ".xz" else tarfile.open(path, "w:gz") as file:
        for part in made_ptb.LINES:
            file.add(source / f"ptb.{part}.txt", f"{prefix}ptb.{part}.txt")
    return path


def test_a_line_ends_in_a_token_of_its_end() -> None:
    assert texts.tokens(" a b \n\n c <unk>\n") == ["a", "b", "<eos>", "<eos>", "c", "<unk>", "<eos>"]


def test_folder_and_archives_have_the_same_tokens(home: Path, tmp_path: Path) -> None:
    source = made_ptb.folder(home / "ptb")
    first = LIBRARY.import_path(source)
    assert first.meta["n"] == sum(len(line.split()) + 1 for part in made_ptb.LINES for line in made_ptb.lines(part))
    for name, prefix in (("ptb.tar.xz", ""), ("simple-examples.tgz", "./simple-examples/data/")):
        table = LIBRARY.import_path(archive(tmp_path / name, source, prefix), force=True)
        assert table.meta["kind"] == "archive"
        assert all(np.array_equal(table.column(part), first.column(part)) for part in (*texts.PARTS, "vocabulary"))
    words = first.column("vocabulary").tobytes().decode().split("\n")
    back = " ".join(words[number] for number in first.column("valid"))
    assert back == " ".join(f"{line} <eos>" for line in made_ptb.lines("valid"))


def test_a_source_in_the_data_folder_is_imported_when_it_is_needed(home: Path) -> None:
    with pytest.raises(UserError, match="Penn Treebank is missing"):
        corpus.corpus("ptb")
    archive(home / "any-name.tar.xz", made_ptb.folder(home.parent / "elsewhere"))
    opened = corpus.corpus("ptb")
    assert opened.types == made_ptb.WORDS
    assert opened.part("train").max() == made_ptb.WORDS - 1


def test_damage_is_reported_in_a_line(home: Path) -> None:
    source = made_ptb.folder(home / "ptb")
    (source / "ptb.valid.txt").unlink()
    with pytest.raises(UserError, match=r"has no text ptb.valid.txt; get the complete data set again. Nothing was imported.$"):
        LIBRARY.import_path(source)
    (source / "ptb.valid.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match="is damaged"):
        LIBRARY.import_path(source)
    truncated = archive(home / "ptb.tar.xz", made_ptb.folder(home.parent / "complete"))
    truncated.write_bytes(truncated.read_bytes()[:-40])
    with pytest.raises(UserError, match="is damaged"):
        LIBRARY.import_path(truncated)
    other = home / "other.tar.gz"
    with tarfile.open(other, "w:gz") as file:
        file.addfile(tarfile.TarInfo("cifar-10/data"), io.BytesIO())
    with pytest.raises(UserError, match="is no Penn Treebank"):
        LIBRARY.import_path(other)


def test_a_word_that_the_training_text_lacks_is_unknown() -> None:
    numbers = texts.vocabulary(["a", "<unk>", "b", "a"])
    assert texts.numbered(["b", "c", "a"], numbers).tolist() == [2, 1, 0]
    with pytest.raises(UserError, match="neither the word 'c' nor <unk>"):
        texts.numbered(["c"], {"a": 0})


def test_a_cut_has_the_commonest_words(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_ptb.folder(home / "ptb")
    monkeypatch.setitem(corpus.CUTS, "cut", corpus.Cut("cut", train=500, types=10))
    every, cut = corpus.corpus("ptb"), corpus.corpus("cut")
    assert cut.types == 10 and cut.checksum != every.checksum
    ids, small = every.part("train"), cut.part("train")
    assert len(small) == 500 and set(small) <= set(range(10))
    common = sorted(range(made_ptb.WORDS), key=lambda number: (-(ids == number).sum(), number))[:10]
    unknown = texts.vocabulary([word for line in made_ptb.lines("train") for word in (*line.split(), "<eos>")])["<unk>"]
    for before, after in zip(ids[:500], small, strict=True):
        assert sorted(common)[after] == (before if before in common else unknown)


def test_streams_are_consecutive_and_drop_the_tail() -> None:
    rows = blocks.streams(np.arange(23), 4)
    assert rows.shape == (5, 4)
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4] and rows[0].tolist() == [0, 5, 10, 15]
    with pytest.raises(ValueError, match="too few for 4 streams"):
        blocks.streams(np.arange(7), 4)


def test_blocks_follow_each_other_and_have_the_rate_of_their_length() -> None:
    rng = random.Random(0)
    drawn = list(Lengths().blocks(100_000, rng))
    assert drawn[0].start == 0
    assert all(a.start + a.length == b.start for a, b in itertools.pairwise(drawn))
    assert all(block.factor == block.length / 35 for block in drawn[:-1])
    assert drawn[-1].start + drawn[-1].length <= 99_999
    lengths = [block.length for block in drawn[:-1]]
    assert min(lengths) >= 5 and max(lengths) <= 55
    assert abs(np.mean([length for length in lengths if length > 26]) - 34.5) < 0.5
    assert 0.03 < np.mean([length < 22 for length in lengths]) < 0.07
    assert {block.length for block in Lengths(spread=0.0).blocks(3_000, rng)} >= {35, 17}
    assert {block.factor for block in Lengths(spread=0.0).blocks(3_000, rng)} == {1.0, 17 / 35}


def test_pieces_of_an_evaluation_predict_every_row_but_the_first() -> None:
    for length in (1, 7, 35, 500):
        assert sum(piece.length for piece in blocks.pieces(100, length)) == 99
