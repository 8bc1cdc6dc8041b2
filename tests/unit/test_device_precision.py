"""Searches in the reduced precision of a GPU, on a CPU: what is reduced, and what must not be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.darts import task as darts
from benchmarks.darts.search_network import MixedCell, Mixture
from benchmarks.nb201 import supernet as nb201
from harness.device import REDUCED, autocast, exact, precision
from methods.one_shot.parts.architecture import SoftmaxAdam
from methods.one_shot.parts.search import Search
from methods.one_shot.parts.sparse import SparseWeights
from methods.one_shot.parts.unrolled import unrolled_gradient
from tests import made_darts, made_search
from tests.made_search import small

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]

SPACES = {"nb201": made_search, "darts": made_darts}


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(darts.MACROS, "digits", made_darts.MACRO)


def correction(row: str) -> Tensor:
    """Return what the second order adds to the architecture gradient of a fresh search."""
    method = made_search.method(row)
    search = Search(made_search.view(), method)
    architecture: Any = SparseWeights(search, method) if row.startswith("sparse") else SoftmaxAdam(search, 3e-4, 1e-3)
    (train, valid), *_ = search.task.pairs(16, 0)
    rate, parts = search.lr, []
    for search.lr in (rate, 0.0):
        parts.append(torch.cat([part.flatten() for part in unrolled_gradient(search, architecture, train, valid)]))
    return parts[0] - parts[1]


@pytest.mark.parametrize("row", ["darts:second_order", "sparse_nas:adam"])
def test_second_order_is_as_good_in_reduced_precision(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The displaced weights differ by a part of a step of bfloat16. A difference of their gradients would be noise."""
    expected = correction(row)
    monkeypatch.setitem(REDUCED, "cpu", torch.bfloat16)
    assert torch.cosine_similarity(correction(row), expected, dim=0) > 0.99 and expected.abs().max() > 0


def test_exact_arithmetic_ends_with_its_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REDUCED, "cpu", torch.bfloat16)
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    with pytest.raises(KeyError), exact():
        with exact():
            pass
        with autocast("cpu"):
            assert precision("cpu") == torch.float32 and not torch.is_autocast_enabled("cpu")
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("highest", False)
        raise KeyError
    with autocast("cpu"):
        assert precision("cpu") == torch.bfloat16 and torch.is_autocast_enabled("cpu")
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


def factors(mixture: Any) -> list[Tensor]:
    """Return the weights of operations in a mixture of either space."""
    if isinstance(mixture, nb201.Mixture):
        return [weight for by_op in mixture.weight or () for weight in by_op.values()]
    return [weight for weight in mixture.weights if weight is not None]


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("space", "row"),
    [
        ("nb201", "darts:bilevel"),
        ("nb201", "xnas"),
        ("darts", "darts:bilevel"),
        ("darts", "xnas"),
        ("darts", "ista_nas:one_stage"),
    ],
)
def test_images_of_cells_and_weights_of_operations_have_one_precision(
    space: str, row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, numbers or one for each image, do not make sums of nodes float32. No operation's weight is more exact."""
    kinds: set[torch.dtype] = set()
    weights: list[Tensor] = []
    for cell in (nb201._Cell, MixedCell):
        forward: Any = cell.forward

        def noted(self: Any, *args: Any, forward: Any = forward) -> Tensor:
            images: Tensor = forward(self, *args)
            kinds.add(images.dtype)
            weights.extend(factors(next(arg for arg in args if isinstance(arg, (nb201.Mixture, Mixture)))))
            return images

        monkeypatch.setattr(cell, "forward", noted)
    monkeypatch.setitem(REDUCED, "cpu", torch.bfloat16)
    made: Any = SPACES[space]
    made.search(row, epochs=1, batch=16, **({"drop_path": 0.3, "continued": 2} if row.startswith("ista") else {}))
    assert kinds == {torch.bfloat16}
    assert weights and all(torch.equal(weight, weight.bfloat16().to(weight.dtype)) for weight in weights)
    if space == "nb201":  # they multiply images, and a GPU gives a product with a number of float32 in float32
        assert {weight.dtype for weight in weights} == {torch.bfloat16}
