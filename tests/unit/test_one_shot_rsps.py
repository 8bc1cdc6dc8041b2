"""Random search with weight sharing: the images that rank its cells."""

from __future__ import annotations

from typing import Any

import pytest

from harness import registry
from harness.budget import Ledger
from methods.one_shot.parts.search import Search
from methods.one_shot.rsps import Rsps
from tests import made_search
from tests.made_search import small

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]


@pytest.mark.parametrize("images", ["plain", "augmented"])
def test_the_images_that_rank_its_cells_are_a_choice(images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-66. The batches of the ranking are the first that a candidate is scored on."""
    shown: list[tuple[int, str]] = []
    validation = Search.validation

    def noted(self: Search, batch: int, images: Any, stream: str, first: int = 0) -> Any:
        shown.append((batch, images))
        return validation(self, batch, images, stream, first)

    monkeypatch.setattr(Search, "validation", noted)
    method = Rsps(epochs=1, batch=16, candidates=3, selection_batch=8, probed=0, ranked_on=images)
    method.search(made_search.view())
    assert shown == [(8, images)]


@pytest.mark.parametrize(("space", "images"), [("nb201", "plain"), ("nb1shot1", "augmented"), ("darts", "augmented")])
def test_each_space_ranks_as_its_code_does(space: str, images: str) -> None:
    """D-66."""
    settings = registry.settings(registry.method("rsps"), "rsps", space, {}, {})
    assert settings["ranked_on"] == images


@pytest.mark.parametrize("policy", ["refuse", "fit"])
def test_a_probed_cell_of_a_fitted_search_sees_each_image_once(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a fitted budget it sees them under several draws of noise."""
    shown: list[int] = []
    validate = Search.validate

    def noted(self: Search, forward: Any, images: int = 0) -> Any:
        shown.append(min(images, self.task.images["plain"]))
        return validate(self, forward, images)

    monkeypatch.setattr(Search, "validate", noted)
    view = made_search.view(ledger=Ledger("seconds", 1e3 if policy == "refuse" else 0.2, policy))
    Rsps(epochs=1, batch=16, candidates=3, selection_batch=8, probed=2).search(view)
    once = made_search.SIZES["valid"]
    assert shown[-2:] == [once if policy == "fit" else view.task.images["plain"]] * 2
    assert view.task.images["plain"] > once
