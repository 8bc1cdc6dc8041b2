"""A search reports progress within an epoch, so that a search with epochs of hours can be watched, and priced in seconds."""

from __future__ import annotations

import pytest

from tests import made_search
from tests.made_search import small

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]

EPOCHS, STEPS = 2, 4


@pytest.mark.parametrize("row", made_search.rows())
@pytest.mark.slow
def test_every_batch_of_an_epoch_moves_the_share(row: str) -> None:
    shares: list[float] = []
    view = made_search.view()
    view._report = shares.append
    made_search.search(row, view, epochs=EPOCHS, batch=made_search.SIZES["train"] // STEPS)
    first = [share for share in shares if share < 1 / EPOCHS]
    assert len(set(first)) >= STEPS - 1
    assert shares == sorted(shares)
    assert 0 < shares[0] < 1 / EPOCHS
    assert shares[-1] <= 1
