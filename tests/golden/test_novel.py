"""The bundled novel has the counts that its page states, and no search reaches its test text."""

from __future__ import annotations

import numpy as np

from benchmarks.darts_rnn.corpus import corpus
from benchmarks.darts_rnn.novel import Novel


def test_the_novel_has_the_stated_counts_and_begins_as_it_should() -> None:
    data, novel = corpus("pride"), Novel()
    assert {part: len(data.part(part)) for part in ("train", "valid", "test")} == {
        "train": 112_114,
        "valid": 16_720,
        "test": 14_296,
    }
    words = novel.column("vocabulary").tobytes().decode().split("\n")
    begin, end = (" ".join(words[n] for n in part) for part in (novel.column("train")[:12], novel.column("test")[-5:]))
    assert begin == "it is a truth universally acknowledged , that a single man in"
    assert end == "of <unk> them . <eos>", "no other chapter has the word uniting"


def test_the_vocabulary_has_the_commonest_words_and_the_unknown_word() -> None:
    data, every = corpus("pride"), Novel().column("train")
    assert data.types == 1_000 == len(np.unique(data.part("train")))
    common = np.argsort(-np.bincount(every), kind="stable")[:999]
    known = np.isin(every, common)
    assert round(100 * known.mean(), 1) == 89.0
    (unknown,) = set(data.part("train")[~known].tolist())
    assert not (data.part("train")[known] == unknown).any()


def test_a_search_trains_on_a_quarter_of_the_training_text() -> None:
    data = corpus("pride")
    assert np.array_equal(data.searched(), data.part("train")[:28_000])
