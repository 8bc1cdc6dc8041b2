"""Whole trainings of DARTS' recurrent cells, against losses that its released code gave for the same random numbers.

The released code (``rnn/train.py`` in its last version, f276dd3) trained a tiny model on :func:`text` in float64. Only its
sources of random numbers were exchanged for the generators below. Its losses were printed with all digits. They cover first
weights, block lengths and their rates, the five dropouts, the slowness penalty, clipping, decay, the carried state, the change
to averaged SGD, and the choice of the epoch that is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.darts_rnn import retraining
from benchmarks.darts_rnn.blocks import streams
from benchmarks.darts_rnn.corpus import Corpus, Ids
from benchmarks.darts_rnn.dropout import Dropout, Masks
from benchmarks.darts_rnn.model import LanguageModel
from benchmarks.darts_rnn.published import published
from benchmarks.darts_rnn.recipe import Recipe
from benchmarks.darts_rnn.retraining import Retraining

TYPES = 30
END = 29
SETTINGS = Recipe("recorded", "", 6, 4, 6, lr=5.0, weight_decay=1e-3, slowness=0.1, length=12, patience=1)
"""Decay and penalty are large, so that both matter. At a rate of 20 such a small model is chaotic. Dropouts are DARTS'."""


class Losses(NamedTuple):
    """Mean losses, as the released code prints them: those of a text are over its rows (D-95)."""

    train: list[float]
    valid: list[float]
    """After each epoch, of the weights or of their mean."""
    test: float
    """Of the best epoch."""


RECORDED = {
    "DARTS_V1": Losses(
        [3.47698070085, 3.39393309136, 3.38361199743, 3.40153628147, 3.39040022066, 3.38186093952],
        [3.30196107148, 3.29681460840, 3.30271509246, 3.29361036315, 3.28928850064, 3.28803400421],
        3.36070603135,
    ),
    "DARTS_V2": Losses(
        [3.47397874068, 3.40893302213, 3.39314639919, 3.40406638105, 3.39038527257, 3.38331030394],
        [3.29670870792, 3.28881497635, 3.29823881404, 3.28834697023, 3.28588657870, 3.28398296622],
        3.35815596702,
    ),
}


def text(seed: int, lines: int) -> Ids:
    """Return all words in order, then lines of nine words, each with an end."""
    rng = np.random.RandomState(seed)
    ids = list(range(TYPES))
    for _ in range(lines):
        word = rng.randint(END)
        for _ in range(9):
            ids.append(word)
            word = (2 * word + rng.randint(3)) % END
        ids.append(END)
    return np.array(ids)


class Recorded(Corpus):
    """The text of the recorded trainings."""

    def part(self, name: str) -> Ids:
        return text(*{"train": (0, 90), "valid": (1, 40), "test": (2, 10)}[name])


class Lengths:
    """The random numbers of the lengths of blocks, one generator for all epochs, as in the released code."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.RandomState(seed)

    def random(self) -> float:
        return self._rng.random_sample()

    def gauss(self, mean: float, spread: float) -> float:
        return self._rng.normal(mean, spread)


def set_first_weights(model: LanguageModel) -> None:
    """Set the weights, in the order of the released code: large ones, so that the cell matters."""
    rng = np.random.RandomState(10)
    with torch.no_grad():
        for value in (model.embedding, model.first, *(model.matrix(node) for node in range(1, 9))):
            value.copy_(torch.from_numpy(rng.uniform(-1, 1, tuple(value.shape))))


def masks(rng: np.random.RandomState, how: Dropout, streams: int, width: int, types: int, *others: object) -> Masks:
    """Return the masks of a block, drawn in the order of the released code.

    Args:
        others: the generator and the device of :meth:`Dropout.draw`, without effect.
    """

    def kept(probability: float, *shape: int) -> Tensor:
        return torch.from_numpy((rng.random_sample(shape) < 1 - probability) / (1 - probability))

    def raised(probability: float, *shape: int) -> Tensor:
        return torch.from_numpy((rng.random_sample(shape) >= probability) / (1 - probability))

    words = kept(how.dropoute, types, 1) if how.dropoute else None
    embedded = kept(how.dropouti, streams, width)
    inputs, hidden = raised(how.dropoutx, streams, width), raised(how.dropouth, streams, width)
    return Masks(words, embedded * inputs, hidden, kept(how.dropout, streams, width))


@pytest.fixture
def double() -> Iterator[None]:
    """Compute in float64, in which rounding cannot hide a difference."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", RECORDED)
def test_a_training_has_the_losses_of_the_released_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths, dropped = Lengths(12), np.random.RandomState(11)
    monkeypatch.setattr(retraining, "random", SimpleNamespace(Random=lambda seed: lengths))
    monkeypatch.setattr(Tensor, "float", lambda values: values)  # logits stay in float64
    monkeypatch.setattr(Dropout, "draw", lambda how, *sizes: masks(dropped, how, *sizes))
    run = Retraining(published()[name], SETTINGS, Recorded("recorded", "recorded", TYPES, ""), 0)
    set_first_weights(run.model)
    run.run()
    recorded = RECORDED[name]
    rows = {part: len(streams(run.data.part(part), count)) for part, count in (("valid", 10), ("test", 1))}
    assert [line["train_loss"] for line in run.lines] == pytest.approx(recorded.train, rel=1e-8)
    printed = [line["valid_loss"] * (rows["valid"] - 1) / rows["valid"] for line in run.lines]
    assert printed == pytest.approx(recorded.valid, rel=1e-8)
    assert run.final("test").loss * (rows["test"] - 1) / rows["test"] == pytest.approx(recorded.test, rel=1e-8)
    assert [line["averaged"] for line in run.lines] == [0, 0, 0, 1, 1, 1]
