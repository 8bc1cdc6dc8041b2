"""The compiled kernels train NAS-Bench-201's network as PyTorch does, to the last digits of float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.digits_tables import native
from benchmarks.digits_tables.graph import Graph
from benchmarks.digits_tables.nb201 import network_graph
from benchmarks.digits_tables.schedule import SgdSchedule
from benchmarks.nb201.macro import Macro
from benchmarks.nb201.network import Network, initial_parameters
from harness.space import Arch

MACRO = Macro(width=4, depth=1, channels=1, size=8, stem=1, reduction="pool")
SGD = SgdSchedule(rate=0.2)
EPOCHS, STEPS, BATCH = 3, 4, 32

NOTHING, IDENTITY = (0,) * 6, (1,) * 6
CELLS = (
    NOTHING,
    IDENTITY,
    (3,) * 6,
    (4,) * 6,
    (0, 0, 3, 0, 2, 4),  # convolutions of zeros: only the shifts of their norms matter
    (0, 3, 3, 0, 0, 1),  # a dead node next to a live node
    (3, 3, 3, 0, 0, 0),  # everything computed, nothing used
    (2, 0, 3, 4, 1, 2),
    (1, 4, 2, 3, 3, 4),
)
SKELETONS = (
    Macro(width=4, depth=2, channels=3, size=8, stem=3, reduction="pool"),
    Macro(width=7, depth=1, channels=1, size=8, stem=1, reduction="pool", affine=False),
)

Epochs = list[tuple[Tensor, Tensor]]


def _epochs(macro: Macro) -> Epochs:
    generator = torch.Generator().manual_seed(5)
    shape = (STEPS, BATCH, macro.channels, macro.size, macro.size)
    return [
        (
            torch.randn(shape, generator=generator, dtype=torch.float64),
            torch.randint(macro.classes, (STEPS, BATCH), generator=generator),
        )
        for _ in range(EPOCHS)
    ]


def _in_torch(cell: Arch, initial: dict[str, Tensor], epochs: Epochs, macro: Macro) -> Network:
    network = Network(cell, macro).load(initial).double()
    optimiser = torch.optim.SGD(network.parameters(), SGD.rate, SGD.momentum, weight_decay=SGD.decay, nesterov=True)
    for epoch, (images, labels) in enumerate(epochs):
        for step in range(STEPS):
            optimiser.param_groups[0]["lr"] = SGD.at((epoch + step / STEPS) / len(epochs))
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(images[step]), labels[step]).backward()
            optimiser.step()
    return network.eval()


@pytest.mark.skipif(not native.fits(BATCH, torch.float64), reason="no C compiler")
@pytest.mark.parametrize(("cell", "macro"), [*((cell, MACRO) for cell in CELLS), *((CELLS[-1], macro) for macro in SKELETONS)])
def test_compiled_kernels_train_the_plain_network(cell: Arch, macro: Macro) -> None:
    epochs = _epochs(macro)
    initial = initial_parameters(cell, macro, 7)
    network = native.Network(network_graph(cell, macro), initial, BATCH, torch.float64)

    def batches(epoch: int) -> native.Images:
        images, labels = epochs[epoch]
        return native.blocked(images.flatten(0, 1), labels.flatten(), BATCH)

    native.train(network, EPOCHS, SGD, batches, lambda _: None)
    plain = _in_torch(cell, initial, epochs, macro)
    images, labels = epochs[0][0].flatten(0, 1)[:50], epochs[0][1].flatten()[:50]  # 50: the last batch is not full
    with torch.no_grad():
        logits = plain(images)
    correct, loss = network.evaluate(native.blocked(images, labels, BATCH))
    assert correct == (logits.argmax(1) == labels).sum()
    assert loss == pytest.approx(torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item(), rel=1e-9)
    trained = network.parameters()
    for name, value in plain.named_parameters():
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
def test_no_kernels_for_a_batch_that_is_not_full_vectors() -> None:
    assert not native.fits(31, torch.float32)
    with pytest.raises(ValueError, match="no kernels for batches of 31"):
        native.Network(network_graph(IDENTITY, MACRO), initial_parameters(IDENTITY, MACRO, 0), 31)


def test_the_paper_s_reduction_is_refused() -> None:
    with pytest.raises(ValueError, match="residual"):
        network_graph(IDENTITY, Macro())


def test_a_graph_refuses_layers_without_a_backward_pass() -> None:
    graph = Graph(4, 8)
    x = graph.norm(graph.convolution(graph.input, "conv", 4, 1), "norm")
    both = graph.value(4, 8)
    graph.copy(x.part(0, 2), both.part(0, 2))
    with pytest.raises(ValueError, match="channels that are not written"):
        graph.copy(x, both)
    with pytest.raises(ValueError, match="ReLU cannot be added"):
        graph.relu(x.part(0, 2), both.part(0, 2))


def test_a_graph_reuses_memory() -> None:
    graph = network_graph((3,) * 6, MACRO)
    steps = graph.forward() + graph.backward()
    places, vectors = graph.places(steps, blocks=2)
    assert len(set(places.values())) < 0.6 * len(places)
    last: dict[int, tuple[int, bool]] = {}
    for step in steps:  # every value that is read was the last one written to its place
        for value in step.values:
            key = value.buffer, value.gradient
            place = places[key]
            assert place < vectors
            first_use = next(s for s in steps if any((v.buffer, v.gradient) == key for v in s.values)) is step
            if first_use:
                last[place] = key
            assert last[place] == key


def test_the_cosine_begins_at_the_rate_and_ends_at_zero() -> None:
    assert SgdSchedule(rate=0.4).at(0) == 0.4
    assert SgdSchedule(rate=0.4).at(0.5) == pytest.approx(0.2)
    assert SgdSchedule(rate=0.4).at(1) == pytest.approx(0)
