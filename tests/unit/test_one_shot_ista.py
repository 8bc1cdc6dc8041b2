"""ISTA-NAS on NAS-Bench-201: a signal that passes small weights, a tolerance per step, and no linear start."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.nb201.network import BN_EPS, Cell
from benchmarks.nb201.space import NB201Space
from benchmarks.nb201.task import NB201Task
from benchmarks.nb201.training import NB201TrainingSide
from harness import registry
from methods.one_shot.parts.ista import Codes
from methods.one_shot.parts.search import Search
from tests import made_search
from tests.made_search import small

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]

SPACE = NB201Space()


def begun(seed: int = 0, row: str = "ista_nas:two_stage", **changes: Any) -> tuple[Search, Codes]:
    """Return a search that has trained nothing yet, and its codes."""
    settings = made_search.method(row, **changes)
    search = Search(made_search.view(seed), settings, none=False, **({"normed": True} if settings.normed else {}))
    return search, Codes(search, settings)


def signal(search: Search, codes: Codes) -> float:
    """Return the variance that enters the last norm in a pass of the first connections."""
    variances: list[float] = []
    network: Any = search.net.module
    hook = network.norm.register_forward_pre_hook(lambda module, inputs: variances.append(float(inputs[0].var())))
    with torch.no_grad():
        search.logits(search.task.plain("valid", 16, 0)[0], codes.forward())
    hook.remove()
    return variances[0]


# -- norms (D-43) ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_small_weights_let_the_signal_through_with_the_norms_and_not_without_them(seed: int) -> None:
    """D-43. What the last norm receives must be above its epsilon."""
    search, codes = begun(seed)
    weights = (codes.forward().weights or ())[0]
    assert 0 < float(weights.detach().abs().max()) < 0.02
    assert signal(search, codes) > 5 * BN_EPS
    assert signal(*begun(seed, normed=False)) < BN_EPS / 5


def test_only_ista_nas_asks_for_the_norms_and_only_on_nas_bench_201(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-43."""
    asked: dict[str, bool] = {}
    supernet = NB201Task.supernet

    def noted(self: Any, **choices: Any) -> Any:
        asked[row] = choices.get("normed", False)
        return supernet(self, **choices)

    monkeypatch.setattr(NB201Task, "supernet", noted)
    for row in ("ista_nas:one_stage", "ista_nas:two_stage", "conas", "darts:erm"):
        made_search.search(row, epochs=1)
    assert asked == {"ista_nas:one_stage": True, "ista_nas:two_stage": True, "conas": False, "darts:erm": False}
    row = "ista_nas:two_stage"
    made_search.search(row, epochs=1, normed=False)
    assert not asked[row]
    info = registry.method("ista_nas")
    assert not registry.settings(info, row, "darts", {}, {}).get("normed", False)


def test_a_space_without_the_norms_is_skipped_if_they_are_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NB201TrainingSide, "choices", frozenset())
    assert "normed" in (made_search.skipped("ista_nas:two_stage") or "")
    assert made_search.skipped("ista_nas:two_stage", normed=False) is None


# -- the tolerance (D-44) --------------------------------------------------------------------------------------------------


def test_a_node_settles_by_its_movement_per_step() -> None:
    """D-44. An epoch of all images of CIFAR-10 in batches of 96 has 521 steps; there the limit is the released one, exactly."""
    method = made_search.method("ista_nas:one_stage", batch=96)
    assert -(-50_000 // method.batch) == 521
    assert method.tolerance(521) == method.settled == 1e-3
    assert method.tolerance(22) == pytest.approx(22 * method.tolerance(1)) == pytest.approx(4.22e-5, rel=1e-3)
    assert made_search.method("ista_nas:one_stage", settled_steps=0).tolerance(22) == 1e-3


def test_the_search_counts_the_steps_of_its_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-44. The small task has 48 images, three steps of 16; the first epoch is not looked at."""
    limits: list[float | None] = []
    recover = Codes.recover

    def noted(self: Codes, tolerance: float | None = None) -> None:
        limits.append(tolerance)
        recover(self, tolerance)

    monkeypatch.setattr(Codes, "recover", noted)
    made_search.search("ista_nas:one_stage", epochs=3, settled_steps=6, settled=1e-9)
    assert limits == [None, 5e-10, 5e-10]
    limits.clear()
    made_search.search("ista_nas:two_stage", epochs=2)
    assert limits == [None, None], "two stages have no end but the last epoch"


@pytest.mark.parametrize("steps", [521, 0])
def test_few_steps_do_not_settle_a_node_unless_the_limit_is_per_epoch(steps: int) -> None:
    """D-44. Three steps of Adam at 3e-4 move b by a thousandth at most, so that every node settles at once."""
    view = made_search.view()
    made_search.search("ista_nas:one_stage", view, epochs=6, settled_steps=steps, arch_lr=1e-5)
    epochs = [line["epoch"] for line in view.trace.scalars if "epoch" in line]
    assert (len(epochs) == 6) is bool(steps)


# -- the start (D-45) ------------------------------------------------------------------------------------------------------


def test_a_cell_is_linear_without_a_convolution_between_input_and_output() -> None:
    """Checked on the computed cell: it is linear in its input, or zero."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2, 3, 4, 4, generator=generator) for _ in range(2))
    rng, seen = random.Random(0), {True: 0, False: 0}
    cells = [SPACE.sample(rng) for _ in range(150)] + [(1, 1, 4, 1, 1, 4), (3, 0, 0, 1, 0, 3), (0, 1, 3, 0, 0, 1)]
    for arch in cells:
        torch.manual_seed(1)
        cell = Cell(arch, 3, affine=False)

        def value(x: Tensor, cell: Cell = cell) -> Tensor:
            with torch.no_grad():
                output: Tensor = cell(x)
                return output

        assert SPACE.is_linear(arch) == torch.allclose(value(a + 2 * b), value(a) + 2 * value(b), atol=1e-4), arch
        seen[SPACE.is_linear(arch)] += 1
    assert min(seen.values()) > 5


def test_a_linear_start_is_drawn_again() -> None:
    """D-45. The number of draws is logged, and the start depends on the seed alone."""
    linear = [seed for seed in range(60) if SPACE.is_linear(begun(seed, redraw=False)[1].arch())]
    assert linear and len(linear) < 20
    for seed in linear:
        first, second = begun(seed)[1], begun(seed)[1]
        assert not SPACE.is_linear(first.arch()) and first.redrawn >= 1
        assert all(torch.equal(a, b) for a, b in zip(first.matrices, second.matrices, strict=True))
    other = next(seed for seed in range(60) if seed not in linear)
    assert begun(other)[1].redrawn == 0 == begun(other, redraw=False)[1].redrawn
    view = made_search.view(linear[0])
    made_search.search("ista_nas:two_stage", view, epochs=1)
    assert view.trace.scalars[0]["redrawn"] >= 1


def test_a_node_needs_a_connection() -> None:
    with pytest.raises(Exception, match="connections = 0 must be at least 1"):
        made_search.method("ista_nas:two_stage", connections=0)
