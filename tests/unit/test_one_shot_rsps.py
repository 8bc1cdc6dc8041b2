"""Random search with weight sharing: the images that rank its cells."""

from __future__ import annotations

from typing import Any

import pytest

from harness import registry
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
