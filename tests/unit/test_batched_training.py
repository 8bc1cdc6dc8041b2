"""Networks trained side by side are the networks trained alone, to the last digits of float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.nb201.batched_network import BatchedNetwork
from benchmarks.nb201.graph import network_graph
from benchmarks.nb201.network import Macro, Network, initial_parameters
from benchmarks.training import native
from benchmarks.training.batched import Sgd, evaluate, train
from benchmarks.training.graph import Graph
from harness.space import Arch

MACRO = Macro(width=4, depth=1, channels=1, size=8, stem=1, reduction="pool")
SGD = Sgd(rate=0.2)
EPOCHS, STEPS, BATCH = 3, 4, 12

NOTHING, IDENTITY = (0,) * 6, (1,) * 6
CELLS = (
    NOTHING,
    IDENTITY,
    (3,) * 6,
    (4,) * 6,
    (0, 0, 3, 0, 2, 4),  # convolutions fed by nothing: their norms' shifts are all there is
    (0, 3, 3, 0, 0, 1),  # a dead node beside a live one
    (3, 3, 3, 0, 0, 0),  # everything computed, nothing used
    (2, 0, 3, 4, 1, 2),
    (1, 4, 2, 3, 3, 4),
)


def _epochs(replicas: int, macro: Macro = MACRO, batch: int = BATCH) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    shape = (STEPS, batch, macro.size, macro.size, replicas * macro.channels)
    return [
        (
            torch.randn(shape, generator=generator, dtype=torch.float64).permute(0, 1, 4, 2, 3),
            torch.randint(macro.classes, (STEPS, replicas, batch), generator=generator),
        )
        for _ in range(EPOCHS)
    ]


def _alone(cell: Arch, initial: dict[str, Tensor], epochs: list[tuple[Tensor, Tensor]], replica: int, macro: Macro) -> Network:
    network = Network(cell, macro).load(initial).double()
    optimiser = torch.optim.SGD(network.parameters(), SGD.rate, SGD.momentum, weight_decay=SGD.decay, nesterov=True)
    channels = slice(replica * macro.channels, (replica + 1) * macro.channels)
    for epoch, (images, labels) in enumerate(epochs):
        for step in range(STEPS):
            optimiser.param_groups[0]["lr"] = SGD.at((epoch + step / STEPS) / len(epochs))
            optimiser.zero_grad()
            logits = network(images[step, :, channels].contiguous())
            torch.nn.functional.cross_entropy(logits, labels[step, replica]).backward()
            optimiser.step()
    return network.eval()


def assert_same(cells: tuple[Arch, ...], macro: Macro = MACRO) -> None:
    epochs = _epochs(len(cells), macro)
    initial = [initial_parameters(cell, macro, seed) for seed, cell in enumerate(cells)]
    together = BatchedNetwork(cells, macro, initial, torch.float64)
    train(together, EPOCHS, SGD, epochs.__getitem__, lambda _: None)
    x = epochs[0][0][0]
    logits = together.forward(x, training=False)
    for replica, cell in enumerate(cells):
        network = _alone(cell, initial[replica], epochs, replica, macro)
        channels = slice(replica * macro.channels, (replica + 1) * macro.channels)
        torch.testing.assert_close(logits[replica], network(x[:, channels]), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("cell", CELLS)
def test_replicas_of_a_cell(cell: Arch) -> None:
    assert_same((cell,) * 2)


def test_different_cells() -> None:
    assert_same(CELLS)


@settings(max_examples=4, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 6), min_size=1, max_size=4))
def test_any_cells(cells: list[Arch]) -> None:
    assert_same(tuple(cells))


OTHER_SKELETONS = (
    Macro(width=4, depth=2, channels=3, size=8, stem=3, reduction="pool"),
    Macro(width=7, depth=1, channels=1, size=8, stem=1, reduction="pool", affine=False),
)


@pytest.mark.parametrize("macro", OTHER_SKELETONS)
def test_other_skeletons(macro: Macro) -> None:
    assert_same(((3, 0, 2, 4, 0, 1), (0, 2, 3, 1, 3, 4)), macro)


def test_the_paper_s_reduction_is_refused() -> None:
    with pytest.raises(ValueError, match="residual"):
        BatchedNetwork([IDENTITY], Macro(), [initial_parameters(IDENTITY, Macro(), 0)])


def test_evaluation_counts_whatever_the_chunks() -> None:
    initial = [initial_parameters((3,) * 6, MACRO, seed) for seed in (0, 1)]
    network = BatchedNetwork([(3,) * 6] * 2, MACRO, initial, torch.float64)
    images = torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = torch.arange(50) % 10
    correct, loss = evaluate(network, images, labels, chunk=7)
    for seed in (0, 1):
        logits = Network((3,) * 6, MACRO).load(initial[seed]).double().eval()(images)
        assert correct[seed] == (logits.argmax(1) == labels).sum()
        torch.testing.assert_close(loss[seed], torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))


@pytest.mark.skipif(not native.fits(32, torch.float64), reason="no C compiler")
@pytest.mark.parametrize(
    ("cell", "macro"), [*((cell, MACRO) for cell in CELLS), *((CELLS[-1], macro) for macro in OTHER_SKELETONS)]
)
def test_compiled_kernels_train_the_network_trained_alone(cell: Arch, macro: Macro) -> None:
    epochs = _epochs(1, macro, batch=32)
    initial = initial_parameters(cell, macro, 7)
    network = native.Network(network_graph(cell, macro), initial, 32, torch.float64)

    def batches(epoch: int) -> native.Images:
        images, labels = epochs[epoch]
        return native.blocked(images.flatten(0, 1), labels.flatten(), 32)

    native.train(network, EPOCHS, SGD, batches, lambda _: None)
    alone = _alone(cell, initial, epochs, 0, macro)
    images, labels = epochs[0][0].flatten(0, 1)[:50], epochs[0][1].flatten()[:50]  # 50: the last batch is not whole
    with torch.no_grad():
        logits = alone(images)
    correct, loss = network.evaluate(native.blocked(images, labels, 32))
    assert correct == (logits.argmax(1) == labels).sum()
    assert loss == pytest.approx(torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item(), rel=1e-9)
    trained = network.parameters()
    for name, value in alone.named_parameters():
        if value.grad is not None and name in trained:
            torch.testing.assert_close(trained[name], value.data, rtol=1e-8, atol=1e-9)


def test_without_a_compiler_there_are_no_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", str(tmp_path / "cc"))
    native.kernels.cache_clear()
    try:
        assert not native.fits(128, torch.float32)
        assert "torch" in native.describe(torch.float32)
        with pytest.raises(ValueError, match="no kernels for batches of 128"):
            native.Network(network_graph(IDENTITY, MACRO), initial_parameters(IDENTITY, MACRO, 0), 128)
    finally:
        native.kernels.cache_clear()


@pytest.mark.skipif(not native.fits(128, torch.float32), reason="no C compiler")
def test_no_kernels_for_a_batch_that_is_not_whole_vectors() -> None:
    assert not native.fits(31, torch.float32)
    with pytest.raises(ValueError, match="no kernels for batches of 31"):
        native.Network(network_graph(IDENTITY, MACRO), initial_parameters(IDENTITY, MACRO, 0), 31)


def test_a_graph_refuses_what_its_backward_pass_could_not_undo() -> None:
    graph = Graph(4, 8)
    x = graph.norm(graph.convolution(graph.input, "conv", 4, 1), "norm")
    both = graph.value(4, 8)
    graph.copy(x.part(0, 2), both.part(0, 2))
    with pytest.raises(ValueError, match="of which some are not written"):
        graph.copy(x, both)
    with pytest.raises(ValueError, match="ReLU is added to nothing"):
        graph.relu(x.part(0, 2), both.part(0, 2))


def test_a_graph_uses_memory_again() -> None:
    graph = network_graph((3,) * 6, MACRO)
    steps = graph.forward() + graph.backward()
    places, vectors = graph.places(steps, blocks=2)
    assert len(set(places.values())) < 0.6 * len(places)
    last: dict[int, tuple[int, bool]] = {}
    for step in steps:  # whatever is read is what was last written there
        for value in step.values:
            key = value.buffer, value.gradient
            place = places[key]
            assert place < vectors
            first_use = next(s for s in steps if any((v.buffer, v.gradient) == key for v in s.values)) is step
            if first_use:
                last[place] = key
            assert last[place] == key


def test_the_cosine_begins_at_the_rate_and_ends_at_nothing() -> None:
    assert Sgd(rate=0.4).at(0) == 0.4
    assert Sgd(rate=0.4).at(0.5) == pytest.approx(0.2)
    assert Sgd(rate=0.4).at(1) == pytest.approx(0)
