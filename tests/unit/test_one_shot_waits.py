"""Within an epoch no method waits for its device: numbers and masks are read back at the end of epochs only."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.nb201 import supernet
from tests import made_search
from tests.made_search import small

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]

READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal", "aten::is_nonzero"}


class Reads(TorchDispatchMode):
    """Counts calls that would make the host wait for a GPU. Counters of optimisers are on the host and do not count."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masked = func.name() in ("aten::index.Tensor", "aten::index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if (func.name() in READS or masked) and not self._by_optimiser():
            self.count += 1
        return func(*args, **(kwargs or {}))

    @staticmethod
    def _by_optimiser() -> bool:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if "torch/optim" in frame.f_code.co_filename:
                return True
            frame = frame.f_back
        return False


def reads(row: str, batch: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Count the waits of a search whose epochs have 32 images."""
    mode = Reads()
    with monkeypatch.context() as patch:
        for name in ("tolist", "item", "numpy", "cpu"):
            patch.setattr(torch.Tensor, name, counted(getattr(torch.Tensor, name), mode))
        patch.setattr(supernet, "_on_processor", lambda x: False)  # a GPU computes the other cells
        with mode:
            made_search.search(row, epochs=1, batch=batch)
    return mode.count


def counted(plain: Any, mode: Reads) -> Any:
    def wrapper(self: torch.Tensor, *args: Any) -> Any:
        mode.count += not Reads._by_optimiser()
        return plain(self, *args)

    return wrapper


DRAWN = ("gdas", "gaea_gdas", "gaea_gdas:released")
"""These methods draw on the device, so each pass waits for its sample."""


@pytest.mark.parametrize("row", [row for row in made_search.rows() if row not in (*DRAWN, "enas")])
@pytest.mark.slow
def test_more_steps_make_no_more_waits(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reads(row, 8, monkeypatch) == reads(row, 16, monkeypatch)


def test_the_count_can_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of GDAS is read back at each of a step's two passes: two more steps are four more."""
    assert reads("gdas", 8, monkeypatch) == reads("gdas", 16, monkeypatch) + 4
