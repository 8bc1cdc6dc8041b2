"""Training steps on the digits: cells with a backward pass written by hand, against cells differentiated by PyTorch."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import pytest
import torch
import torch.nn.functional as F

from benchmarks.nb201 import supernet as module
from benchmarks.nb201.macro import DIGITS
from benchmarks.nb201.space import EDGES, OPS
from methods.one_shot.parts.sgd import Sgd

PAIRS = 11
CELLS = 12


def steps(kind: str) -> Callable[[], None]:
    """Return a function that takes :data:`CELLS` steps."""
    net = module.Supernet(replace(DIGITS, affine=False), seed=0)
    sgd, rng = Sgd(net.module, 0.9, 5e-4, True), random.Random(0)
    images = torch.randn(64, 1, 8, 8).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(64) % 10
    cells = [tuple((rng.randrange(len(OPS)),) for _ in EDGES) for _ in range(CELLS)]
    table = torch.full((len(EDGES), len(OPS)), 1 / len(OPS)).requires_grad_()

    def weights() -> None:
        for cell in cells:
            sgd.zero()
            active = (cell,) if kind == "single cells" else None
            tables = None if kind == "single cells" else [table.detach()]
            F.cross_entropy(net(images, tables, active), labels).backward()
            sgd.clip(5.0)
            sgd.step(0.025)

    def architecture() -> None:
        for _ in cells:
            with sgd.fixed():
                torch.autograd.grad(F.cross_entropy(net(images, [table]), labels), table)

    return architecture if kind == "architecture" else weights


@pytest.mark.bench
@pytest.mark.parametrize("kind", ["single cells", "mixture", "architecture"])
def test_ratio_of_steps(kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    run = steps(kind)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(PAIRS + 1):
        for fuses in (False, True):
            with monkeypatch.context() as patch:
                if not fuses:
                    patch.setattr(module, "_on_processor", lambda x: False)
                begin = time.process_time()
                run()
                seconds[fuses].append(time.process_time() - begin)
    ratio = median(old / new for old, new in zip(seconds[False][1:], seconds[True][1:], strict=True))
    with capsys.disabled():
        print(f"\n{kind}: {ratio:.2f} times as fast (median of {PAIRS} pairs, processor time)")
