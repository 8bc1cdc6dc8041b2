"""Killed in mid-search, every weight-sharing method resumes to the same end as an uninterrupted search."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checkpoint import File
from harness.training import Meter
from methods.one_shot.parts import search as frame
from tests import made_search
from tests.made_search import small

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]


class Killed(BaseException):
    """Stands for the death of the process."""


class Counter:
    """Counts passes, and raises :class:`Killed` after ``last`` of them."""

    def __init__(self, last: float = float("inf")) -> None:
        self.count, self.last = 0, last

    def __call__(self, charge: Meter) -> Meter:
        def counted(queries: int = 0, seconds: float = 0.0, epochs: float = 0.0, macs: float = 0.0, **extra: float) -> None:
            self.count += 1
            if self.count > self.last:
                raise Killed
            charge(queries, seconds, epochs, macs, **extra)

        return counted


QUICK = {"rsps", "gaea_gdas", "enas", "conas", "ista_nas:two_stage"}
"""A row of each kind of training; the others are slow."""


@pytest.mark.parametrize(
    "row", [row if row in QUICK else pytest.param(row, marks=pytest.mark.slow) for row in made_search.rows()]
)
def test_a_killed_search_resumes_to_the_same_end(row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "CHECKPOINT_SHARE", float("inf"))
    passes = Counter()
    expected = made_search.search(row, made_search.view(meter=passes))
    for share in (0.7, 0.98):
        file = File(tmp_path / f"{share}.ckpt", "a run")
        with pytest.raises(Killed):
            made_search.search(row, made_search.view(checkpoint=file, meter=Counter(int(share * passes.count))))
        resumed = Counter()
        assert made_search.search(row, made_search.view(checkpoint=file, meter=resumed)) == expected
        assert resumed.count < passes.count, "it went on from where it was"


def test_another_seed_ends_elsewhere() -> None:
    """Otherwise the comparison above could not fail."""
    ends = {repr(made_search.search("rsps", made_search.view(seed))) for seed in range(3)}
    assert len(ends) == 3
