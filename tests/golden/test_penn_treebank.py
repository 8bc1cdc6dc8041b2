"""Penn Treebank and the language models of the published cells have the sizes that the papers print."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.darts_rnn import blocks, corpus
from benchmarks.darts_rnn.library import LIBRARY
from benchmarks.darts_rnn.published import published
from benchmarks.darts_rnn.size import model_size
from tests.conftest import REAL_DATA


@pytest.fixture(scope="module")
def ptb(tmp_path_factory: pytest.TempPathFactory) -> corpus.Corpus:
    """Return the real Penn Treebank, imported into a cache of this module."""
    caches = (corpus.corpus, corpus._table, corpus._renumbering)
    for cached in caches:
        cached.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_DATA", REAL_DATA)
        patch.setenv("NAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        if not REAL_DATA or LIBRARY.find_table(lambda line: None) is None:
            pytest.skip("no Penn Treebank in NAS_DATA")
        return corpus.corpus("ptb")


def test_penn_treebank_has_the_published_counts(ptb: corpus.Corpus) -> None:
    parts = {part: ptb.part(part) for part in ("train", "valid", "test")}
    assert {part: len(ids) for part, ids in parts.items()} == {"train": 929_589, "valid": 73_760, "test": 82_430}
    assert ptb.types == 10_000 == len(np.unique(parts["train"]))
    words = corpus._table().column("vocabulary").tobytes().decode().split("\n")
    end, unknown = words.index("<eos>"), words.index("<unk>")
    assert [(ids == end).sum() for ids in parts.values()] == [42_068, 3_370, 3_761]
    assert [(ids == unknown).sum() for ids in parts.values()] == [45_020, 3_485, 4_794]
    assert words[:3] == ["aer", "banknote", "berlitz"]


def test_penn_treebank_has_the_rows_of_the_original_batches(ptb: corpus.Corpus) -> None:
    shapes = [(part, count, len(blocks.streams(ptb.part(part), count))) for part, count in (("train", 256), ("train", 64))]
    assert shapes == [("train", 256, 3_631), ("train", 64, 14_524)]
    assert [len(blocks.streams(ptb.part(part), count)) for part, count in (("valid", 256), ("valid", 10), ("test", 1))] == [
        288,
        7_376,
        82_430,
    ]


def test_the_small_text_keeps_the_commonest_words(ptb: corpus.Corpus) -> None:
    small = corpus.corpus("ptb-small")
    assert small.types == 2_000 and len(small.part("train")) == 200_000
    words = corpus._table().column("vocabulary").tobytes().decode().split("\n")
    every = ptb.part("train")
    common = np.argsort(-np.bincount(every), kind="stable")[:2_000]
    assert round(100 * np.isin(every, common).mean(), 1) == 86.9
    unknown = sorted(common).index(words.index("<unk>"))
    assert (small.part("train") == unknown).mean() == pytest.approx(
        np.mean(~np.isin(every[:200_000], common) | (every[:200_000] == words.index("<unk>")))
    )


@pytest.mark.parametrize("name", ["DARTS_V1", "DARTS_V2"])
def test_the_published_cells_have_23_million_parameters(name: str) -> None:
    assert model_size(published()[name], 850, 10_000).parameters == 22_960_000
    assert model_size(published()[name], 300, 10_000).parameters == 4_810_000
    assert model_size(published()[name], 300, 10_000).macs == 20 * 300**2 + 300 * 10_000
