"""The language model computes what DARTS' formulas say, and its dropouts have the shapes and sizes of the original."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.darts_rnn.blocks import streams
from benchmarks.darts_rnn.cell import ACTIVATIONS, cell_of, inputs
from benchmarks.darts_rnn.dropout import NO_MASKS, Dropout, Masks
from benchmarks.darts_rnn.evaluation import evaluate
from benchmarks.darts_rnn.model import CellStep, LanguageModel, slowness
from benchmarks.darts_rnn.published import published
from harness.space import Arch

TYPES, WIDTH, STREAMS, LENGTH = 50, 8, 3, 6
CPU = torch.device("cpu")
PLAIN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "identity": lambda x: x,
}


def model(scale: float = 10.0, seed: int = 1) -> LanguageModel:
    """Return a small model in double precision with large weights, so that nothing is nearly linear."""
    built = LanguageModel(TYPES, WIDTH, seed=seed).double()
    with torch.no_grad():
        for value in built.parameters():
            value.mul_(scale)
    return built


def tokens(length: int = LENGTH) -> Tensor:
    return torch.randint(TYPES, (length, STREAMS), generator=torch.Generator().manual_seed(2))


def by_hand(net: LanguageModel, arch: Arch, words: np.ndarray, masks: Masks) -> np.ndarray:
    """Return the hidden states (length, streams, width) by the formulas, token by token, in NumPy."""

    def factor(mask: Tensor | None) -> np.ndarray | float:
        return 1.0 if mask is None else mask.double().numpy()

    embedding, first = (value.detach().numpy() for value in (net.embedding, net.first))
    hidden, states = np.zeros((words.shape[1], WIDTH)), []
    for row in words:
        x = (factor(masks.words) * embedding)[row] * factor(masks.inputs)
        c, v = np.split(np.concatenate([x, hidden * factor(masks.hidden)], 1) @ first, 2, 1)
        nodes = [hidden + PLAIN["sigmoid"](c) * (np.tanh(v) - hidden)]
        for node in range(1, 9):
            terms = []
            for number, source in inputs(arch, node):
                c, v = np.split(nodes[source] * factor(masks.hidden) @ net.matrix(node).detach().numpy(), 2, 1)
                terms.append(nodes[source] + PLAIN["sigmoid"](c) * (PLAIN[ACTIVATIONS[number]](v) - nodes[source]))
            nodes.append(np.mean(terms, 0))
        hidden = np.mean(nodes[1:], 0)
        states.append(hidden)
    return np.stack(states)


MIXED = cell_of([[(0, 0), (3, 0)], [(1, 0), (2, 1)], [(3, 2)], *[[(0, 1), (1, 1), (2, 3)]] * 5])


@pytest.mark.parametrize("arch", [*published().values(), MIXED], ids=[*published(), "mixed"])
@pytest.mark.parametrize("dropped", [False, True])
def test_the_model_computes_the_formulas(arch: Arch, dropped: bool) -> None:
    net, words = model(), tokens()
    masks = Dropout(dropoute=0.3).draw(STREAMS, WIDTH, TYPES, torch.Generator().manual_seed(3), CPU) if dropped else NO_MASKS
    outputs = net.outputs(words, torch.zeros(STREAMS, WIDTH).double(), CellStep(net, arch), masks)
    np.testing.assert_allclose(outputs.detach(), by_hand(net, arch, words.numpy(), masks), atol=1e-12)
    logits = outputs.detach().numpy() @ net.embedding.detach().numpy().T + net.shift.detach().numpy()
    np.testing.assert_allclose(net.decode(outputs).detach(), logits, atol=1e-12)


def test_a_vanished_node_has_no_part_in_the_mean() -> None:
    net = model()
    arch = cell_of([[(0, 0)], [], [(1, 2)], [(2, 1)], *[[]] * 4])  # nodes 1 and 4; node 3 reads node 2, which has no input
    one_node = cell_of([[(0, 0)], [], [], [(2, 1)], *[[]] * 4])
    start = torch.zeros(STREAMS, WIDTH).double()
    outputs = net.outputs(tokens(), start, CellStep(net, arch))
    torch.testing.assert_close(outputs, net.outputs(tokens(), start, CellStep(net, one_node)))


def test_first_values_depend_on_the_seed_and_are_in_range() -> None:
    net, again, other = (LanguageModel(TYPES, WIDTH, seed=seed) for seed in (1, 1, 2))
    for value, same, different in zip(net.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(value, same) and value.abs().max() <= 0.04
        assert value is net.shift or not torch.equal(value, different)
    assert not net.shift.any() and net.embedding.abs().max() > 0.038


def test_an_untrained_model_knows_nothing() -> None:
    net = LanguageModel(TYPES, WIDTH)
    rows = torch.randint(TYPES, (200, 4), generator=torch.Generator().manual_seed(0))
    score = evaluate(net, CellStep(net, published()["DARTS_V1"]), rows)
    assert math.exp(score.loss) == pytest.approx(TYPES, rel=0.01)


@pytest.mark.parametrize("length", [1, 7, 35, 1000])
def test_evaluating_in_pieces_of_any_length_gives_the_same_score(length: int) -> None:
    net, rows = model(), torch.from_numpy(streams(np.arange(300) ** 2 % TYPES, STREAMS))
    step = CellStep(net, published()["DARTS_V2"])
    outputs = net.outputs(rows[:-1], torch.zeros(STREAMS, WIDTH).double(), step)
    logits, targets = net.decode(outputs).flatten(0, 1), rows[1:].flatten()
    score = evaluate(net, step, rows, length)
    assert score.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, targets).item(), abs=1e-12)
    assert score.accuracy == pytest.approx(100 * (logits.argmax(1) == targets).double().mean().item())


def test_streams_do_not_mix() -> None:
    net, order = model(), torch.tensor([2, 0, 1])
    step, start = CellStep(net, published()["DARTS_V2"]), torch.zeros(STREAMS, WIDTH).double()
    masks = Dropout().draw(STREAMS, WIDTH, TYPES, torch.Generator().manual_seed(3), CPU)
    moved = Masks(*(mask if mask is None or mask.shape[0] == TYPES else mask[order] for mask in masks))
    plain = net.outputs(tokens(), start, step, masks)
    torch.testing.assert_close(net.outputs(tokens()[:, order], start, step, moved), plain[:, order])


def test_masks_drop_with_their_probability_and_keep_the_mean() -> None:
    masks = Dropout(dropoute=0.1).draw(200, 300, 5000, torch.Generator().manual_seed(0), CPU)
    assert masks.words is not None and masks.words.shape == (5000, 1)
    for mask, expected in ((masks.words, 0.1), (masks.inputs, 1 - 0.8 * 0.25), (masks.hidden, 0.25), (masks.outputs, 0.75)):
        assert mask is not None
        assert (mask == 0).float().mean().item() == pytest.approx(expected, abs=0.02)
        assert mask.max().item() == pytest.approx(1 / (1 - expected))
    assert Dropout(0, 0, 0, 0, 0).draw(2, 3, 4, torch.Generator(), CPU) == NO_MASKS


def test_slowness_is_the_mean_square_of_the_steps() -> None:
    outputs = torch.tensor([1.0, 3.0, 2.0]).view(3, 1, 1).expand(3, 2, 4)
    assert slowness(outputs).item() == (4 + 1) / 2
    assert slowness(outputs[:1]).item() == 0
