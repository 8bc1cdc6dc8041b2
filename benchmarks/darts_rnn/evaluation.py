"""The loss of a language model on a text. Perplexity is the exponential of the mean loss."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.darts_rnn.blocks import pieces
from benchmarks.darts_rnn.model import LanguageModel, Recurrence


class Score(NamedTuple):
    """How well a model predicts the next tokens of a text."""

    loss: float
    """Mean cross entropy of all predictions, nats. DARTS' code divides by the rows instead, which are one more (D-95)."""
    accuracy: float
    """Share of the predictions whose likeliest token is right, percent."""


@torch.no_grad()
def evaluate(model: LanguageModel, step: Recurrence, rows: Tensor, length: int = 35) -> Score:
    """Return the score on a text, without dropout. The hidden state starts at zero and is carried to the end.

    Args:
        model: the weights.
        step: a step of the cell.
        rows: (rows, streams) int64, the text.
        length: rows of a pass; it does not change the score.
    """
    hidden = model.embedding.new_zeros(rows.shape[1], model.width)
    sums = torch.zeros(2, dtype=torch.float64, device=rows.device)
    for block in pieces(len(rows), length):
        part = rows[block.start : block.start + block.length + 1]
        outputs = model.outputs(part[:-1], hidden, step)
        hidden = outputs[-1]
        logits, targets = model.decode(outputs).flatten(0, 1), part[1:].flatten()
        right = (logits.argmax(1) == targets).sum()
        sums += torch.stack([F.cross_entropy(logits, targets, reduction="sum").double(), right.double()])
    predictions = (len(rows) - 1) * rows.shape[1]
    loss, correct = (sums / predictions).tolist()
    return Score(loss, 100 * correct)
