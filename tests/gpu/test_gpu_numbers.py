"""The GPU computes what the CPU computes: in float32 to rounding; the second order also in reduced precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.darts.published import published
from benchmarks.darts.recipe import Recipe
from benchmarks.darts.retraining import Retraining
from methods.one_shot.parts.architecture import SoftmaxAdam
from methods.one_shot.parts.search import Search
from methods.one_shot.parts.sparse import SparseWeights
from methods.one_shot.parts.unrolled import unrolled_gradient
from tests import made_darts, made_nb1shot1_search, made_search
from tests.gpu.conftest import data

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("small")]

CELL = published()["DARTS_V2"]
RECIPE = Recipe("tiny", epochs=2, batch=16, width=4, depth=3, auxiliary=0.0, cutout=2, drop_path=0.3)
SPACES = {"nb201": made_search, "nb1shot1": made_nb1shot1_search, "darts": made_darts}


def batch(seed: int, device: str, count: int = 16) -> tuple[Tensor, Tensor]:
    """Return the same images and labels on any device."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 1, 8, 8, generator=generator).contiguous(memory_format=torch.channels_last)
    return images.to(device), (torch.arange(count) % 3).to(device)


def close(values: Tensor, expected: Tensor, tolerance: float = 1e-4) -> bool:
    """Return whether two tensors of any devices differ by at most ``tolerance`` of the norm."""
    return float((values.cpu() - expected.cpu()).norm()) <= tolerance * float(expected.norm())


@pytest.mark.usefixtures("float32")
def test_a_step_from_scratch_is_that_of_the_cpu(device: str) -> None:
    def stepped(kind: str) -> Tensor:
        training = Retraining(CELL, RECIPE, data(kind), 5, kind)
        images, labels = batch(0, kind)
        keep = training.network.drop_path(16, torch.tensor(0.3), torch.Generator().manual_seed(1)).to(kind)
        training.network.train()
        loss = F.cross_entropy(training.network(images, keep)[0], labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(training.network.parameters(), 0.1)
        before = torch.cat([value.detach().flatten() for value in training.network.parameters()])
        training.optimizer.step()
        return torch.cat([value.detach().flatten() for value in training.network.parameters()]) - before

    expected = stepped("cpu")
    assert close(stepped(device), expected) and not close(2 * expected, expected)


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize("space", SPACES)
def test_a_pass_of_a_supernet_is_that_of_the_cpu(space: str, device: str) -> None:
    def gradients(kind: str) -> Tensor:
        made: Any = SPACES[space]
        net = made.view(device=kind).task.supernet()
        shapes = [(decision.rows, len(decision.options)) for decision in net.decisions]
        generator = torch.Generator().manual_seed(3)
        tables = [torch.rand(shape, generator=generator).to(kind).requires_grad_() for shape in shapes]
        images, labels = batch(1, kind)
        net.module.train()
        F.cross_entropy(net(images, tables), labels).backward()
        values = [value.grad for value in (*net.module.parameters(), *tables) if value.grad is not None]
        return torch.cat([value.flatten() for value in values])

    assert close(gradients(device), gradients("cpu"))


def correction(row: str, kind: str) -> Tensor:
    """Return what the second order adds to the architecture's gradient of a new search."""
    method = made_search.method(row)
    search = Search(made_search.view(device=kind), method)
    architecture: Any = SparseWeights(search, method) if row.startswith("sparse") else SoftmaxAdam(search, 3e-4, 1e-3)
    rate, parts = search.lr, []
    for search.lr in (rate, 0.0):
        gradients = unrolled_gradient(search, architecture, batch(2, kind), batch(3, kind))
        parts.append(torch.cat([part.flatten() for part in gradients]))
    return (parts[0] - parts[1]).float().cpu()


ORDERS = pytest.mark.parametrize("row", ["darts:second_order", "sparse_nas:adam"])


@ORDERS
@pytest.mark.usefixtures("float32")
def test_the_second_order_is_that_of_the_cpu(row: str, device: str) -> None:
    assert torch.cosine_similarity(correction(row, device), correction(row, "cpu"), dim=0) > 0.99


@ORDERS
def test_the_second_order_is_as_good_in_reduced_precision(row: str, device: str) -> None:
    """The displaced weights differ by a part of a step of bfloat16. A difference of their gradients would be noise."""
    assert torch.cosine_similarity(correction(row, device), correction(row, "cpu"), dim=0) > 0.99
