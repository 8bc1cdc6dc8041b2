"""The compiled kernels train NAS-Bench-101's network as PyTorch does, to the last digits of float64."""

from __future__ import annotations

import pytest
import torch

from benchmarks.digits_tables import native
from benchmarks.digits_tables.nb1shot1 import network_graph
from benchmarks.digits_tables.schedule import SgdSchedule
from benchmarks.nb1shot1.cell import Cell
from benchmarks.nb1shot1.macro import Macro
from benchmarks.nb1shot1.network import Network, initial_parameters
from tests.unit.test_nb101_network import CELLS, SMALL, samples

SGD = SgdSchedule(rate=0.2)
EPOCHS, STEPS, BATCH = 2, 3, 32


@pytest.mark.skipif(not native.fits(BATCH, torch.float64), reason="no C compiler")
@pytest.mark.parametrize(
    ("cell", "macro"),
    [
        *((cell, SMALL) for cell in CELLS.values()),
        *((cell, SMALL) for cell in samples(3)),
        (CELLS["cut"], Macro(width=7, depth=2, channels=3, size=8, stem=3)),
    ],
)
def test_compiled_kernels_train_the_plain_network(cell: Cell, macro: Macro) -> None:
    generator = torch.Generator().manual_seed(1)
    shape = (EPOCHS, STEPS * BATCH, macro.channels, macro.size, macro.size)
    images = torch.randn(shape, generator=generator, dtype=torch.float64)
    labels = torch.randint(10, shape[:2], generator=generator)
    initial = initial_parameters(cell, macro, 3)
    compiled = native.Network(network_graph(cell, macro), initial, BATCH, torch.float64)
    native.train(compiled, EPOCHS, SGD, lambda epoch: native.blocked(images[epoch], labels[epoch], BATCH), lambda _: None)

    plain = Network(cell, macro).load(initial).double()
    optimiser = torch.optim.SGD(plain.parameters(), SGD.rate, SGD.momentum, weight_decay=SGD.decay, nesterov=True)
    for epoch in range(EPOCHS):
        for step, (x, y) in enumerate(zip(images[epoch].split(BATCH), labels[epoch].split(BATCH), strict=True)):
            optimiser.param_groups[0]["lr"] = SGD.at((epoch + step / STEPS) / EPOCHS)
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(plain(x), y).backward()
            optimiser.step()

    trained = compiled.parameters()
    for name, value in plain.named_parameters():
        torch.testing.assert_close(trained[name], value.data, rtol=1e-7, atol=1e-8)
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(plain.eval()(images[0]), labels[0], reduction="sum").item()
    assert compiled.evaluate(native.blocked(images[0], labels[0], BATCH))[1] == pytest.approx(expected, rel=1e-8)
