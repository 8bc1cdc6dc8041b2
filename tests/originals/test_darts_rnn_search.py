"""Searches for recurrent cells by DARTS, in both orders, against numbers of its released code for the same random numbers.

The released code (``rnn/train_search.py`` in its last version, f276dd3) searched for two epochs on :func:`text` in float64.
Only its sources of random numbers were exchanged. For the second order two lines were changed: its virtual step moves the
matrix that embedding and decoder share (D-100), and its passes leave the norm's running statistics (D-102). The slowness
penalty was 0 there (D-101).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.darts_rnn import task as tasks
from benchmarks.darts_rnn.blocks import streams
from benchmarks.darts_rnn.cell import EDGES
from benchmarks.darts_rnn.corpus import Corpus, Ids
from benchmarks.darts_rnn.dropout import Dropout
from benchmarks.darts_rnn.evaluation import evaluate
from benchmarks.darts_rnn.mixture import MixedStep, mixture
from benchmarks.darts_rnn.supernet import SearchModel
from benchmarks.darts_rnn.task import Settings
from methods.one_shot.parts.architecture import SoftmaxAdam
from methods.one_shot.parts.differentiable import alternate
from methods.one_shot.parts.passes import Forward
from methods.one_shot.parts.search import Search
from tests import made_darts_rnn
from tests.originals.test_darts_rnn import TYPES, Lengths, double, masks, set_first_weights, text

__all__ = ["double"]

WIDTH, STREAMS, LENGTH = 6, 4, 12


class Ended(NamedTuple):
    """What a search has learned after two epochs."""

    logits: float
    """Sum of their magnitudes."""
    weights: float
    """Sum of their magnitudes."""
    valid: float
    """Mean loss of the supernet on the validation text, over the rows (D-95)."""


RECORDED = {
    "darts:bilevel": Ended(1.8053374282, 443.2383540324, 3.4483155268),
    "darts:second_order": Ended(1.8289511134, 443.6960473, 3.4091040676),
}
SLOWNESS = {"darts:bilevel": 0.1, "darts:second_order": 0.0}


class Recorded(Corpus):
    """The text of the recorded searches: as many rows of validation as of training text, so that no state jumps (D-97)."""

    def part(self, name: str) -> Ids:
        return text(*{"train": (0, 16), "valid": (1, 60)}[name])


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("row", RECORDED)
def test_a_search_ends_as_that_of_the_released_code(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths, dropped = Lengths(15), np.random.RandomState(11)
    monkeypatch.setattr(tasks, "corpus", lambda name: Recorded("recorded", "recorded", TYPES, ""))
    monkeypatch.setattr(tasks, "random", SimpleNamespace(Random=lambda seed: lengths))
    monkeypatch.setattr(Dropout, "draw", lambda how, *sizes: masks(dropped, how, *sizes))
    method = made_darts_rnn.method(row, epochs=2, batch=STREAMS * LENGTH, lr=5.0, lr_end=5.0, weight_decay=1e-3)
    view = made_darts_rnn.view(settings=Settings(WIDTH, LENGTH, slowness=SLOWNESS[row]))
    search = Search(view, method, none=True)
    model = search.net.module
    assert isinstance(model, SearchModel)

    def logits(images: Tensor, forward: Forward, *, training: bool = True) -> Tensor:
        """Return the logits without a change to float32."""
        model.train(training)
        return search.net(images, forward.weights, forward.active)

    monkeypatch.setattr(search, "logits", logits)
    set_first_weights(model)
    architecture = SoftmaxAdam(search, 3e-3, 1e-3)
    (values,) = architecture.values
    with torch.no_grad():
        values.copy_(torch.from_numpy(1e-3 * np.random.RandomState(13).normal(size=values.shape)))
    alternate(search, architecture, order="architecture_first", unrolled=row == "darts:second_order")

    (table,) = architecture.probabilities()
    every = mixture(((0, 1, 2, 3),) * len(EDGES), table.detach()[:, 1:], search.device)
    rows = torch.from_numpy(streams(text(1, 60), 10))
    model.eval()
    loss = evaluate(model, MixedStep(model, model.norm, every), rows, LENGTH).loss * (len(rows) - 1) / len(rows)
    ended = Ended(values.abs().sum().item(), search.sgd.flat.abs().sum().item(), loss)
    assert list(ended) == pytest.approx(list(RECORDED[row]), rel=1e-8)
