"""The piece ``steps``: images a second of training steps: network × variant × batch × trainings side by side."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F

from benchmarks.darts.data import open_data
from benchmarks.darts.network import Network
from benchmarks.darts.published import named
from benchmarks.darts.recipe import Recipe, recipe
from benchmarks.darts.retraining import Retraining
from benchmarks.gpu import networks
from benchmarks.gpu.counts import Work
from benchmarks.gpu.facts import mps_runs
from benchmarks.gpu.pieces import Case, Numbers, Run, Unavailable
from benchmarks.gpu.roofline import Variant, device, kernels
from benchmarks.gpu.searches import ROWS, Row, opened, work
from benchmarks.gpu.timing import Clock, Enough, needs_cuda, prepare_compiler
from harness.device import RECORDED, prepare

CELL: Final = "DARTS_V2"
SMALL: Final = ("width=4", "depth=3", "auxiliary=0", "cutout=2")
START_S: Final = 300.0
"""Seconds in which trainings side by side must begin together."""


class Steps(NamedTuple):
    """What a case measures."""

    row: Row | None
    """The search; None: training DARTS_V2 from scratch."""
    variant: Variant | None
    """None: a plain loop in float32, without this project's trainer, NCHW."""
    batch: int
    together: int = 1
    mps: bool = False

    @property
    def name(self) -> str:
        what = CELL if self.row is None else self.row.name
        many = f", {self.together} processes{' under MPS' if self.mps else ''}" if self.together > 1 else ""
        return f"{what}, {self.variant or 'plain float32 loop'}, batch {self.batch}{many}"


def _all(small: bool) -> Iterator[Steps]:
    if small:
        plain: tuple[Variant | None, ...] = (None, "eager", "compiled", "graph")
        yield from (Steps(None, variant, 16) for variant in plain)
        yield from (Steps(None, "eager", 16, 2), Steps(None, "eager", 16, 2, True), Steps(ROWS[0], "eager", 64))
        return
    alone: tuple[Variant | None, ...] = (None, "eager", "graph", "compiled", "compiled graph")
    yield from (Steps(None, variant, 96) for variant in alone)
    for row, batch in ((ROWS[1], 64), (ROWS[0], 64), (ROWS[5], 256), (ROWS[7], 64)):
        variants: tuple[Variant, ...] = ("eager", "graph") if row.recorded else ("eager",)
        yield from (Steps(row, variant, batch) for variant in variants)
    for together in (2, 4):
        yield from (Steps(None, variant, 96, together, True) for variant in ("eager", "graph", "compiled graph"))
    yield from (Steps(None, "graph", 96, 4), Steps(ROWS[1], "graph", 64, 4, True), Steps(ROWS[0], "eager", 64, 4, True))
    yield from (Steps(None, variant, batch) for batch in (64, 256) for variant in ("eager", "compiled graph"))
    yield from (Steps(row, "eager", 256) for row in (ROWS[1], ROWS[7]))


def cases(run: Run) -> list[Case]:
    """Return the cases."""
    return [Case(steps.name, partial(_predict, steps, run), partial(_measure, steps, run)) for steps in _all(run.small)]


def _recipe(batch: int, small: bool) -> Recipe:
    return recipe("darts").changed([*(SMALL if small else ()), f"batch={batch}"])


def _work(steps: Steps, run: Run) -> Work:
    """Return the work of a step, without the optimiser, the augmentation and the draws of drop-path."""
    if steps.row is not None:
        return work(steps.row, steps.batch, run.small)
    macro = _recipe(steps.batch, run.small).macro(10, *((1, 8) if run.small else (3, 32)))
    return networks.retraining(CELL, macro, steps.batch, True, steps.variant is not None and not run.small)


def _predict(steps: Steps, run: Run) -> Numbers:
    step, variant = _work(steps, run), steps.variant or "eager"
    rate = steps.batch / device(run.device).seconds(step, variant, steps.together)
    return {"images/s": rate, "kernels": kernels(step, variant)}


def _measure(steps: Steps, run: Run) -> Numbers:
    variant = steps.variant or "eager"
    if variant.startswith("compiled"):
        needs_cuda(run.device, "compilation")
    if variant.endswith("graph"):
        needs_cuda(run.device, "a graph")
    with _mps(run.device) if steps.mps else contextlib.nullcontext():
        rates = [_alone(steps, run)] if steps.together == 1 else _side_by_side(steps, run)
    images, memory = sum(rate["images/s"] for rate in rates), rates[0]["GiB"]
    step, limit = _work(steps, run), device(run.device)
    least = max(limit.arithmetic(step), limit.memory(step, variant))
    return {
        "images/s": images,
        "kernels": rates[0]["kernels"],
        "share of the roofline, %": 100 * images * least / steps.batch,
        "peak GiB of each": "needs CUDA" if memory is None else memory,
    }


def _alone(steps: Steps, run: Run, ready: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """Return images a second, kernels of a step and peak memory of one training in this process."""
    clock = Clock(run.device, 4.0, 4 if run.small else 10_000, ready)
    cuda = run.device != "cpu"
    gc.collect()  # what the last case has left
    if cuda:
        torch.cuda.reset_peak_memory_stats(run.device)
    try:
        with _as(steps.variant, run.device):
            _train(steps, run, clock)
    except Enough:
        pass
    gib = torch.cuda.max_memory_allocated(run.device) / 2**30 if cuda else None
    return {"images/s": clock.steps * steps.batch / clock.seconds, "kernels": clock.kernels, "GiB": gib}


@contextlib.contextmanager
def _as(variant: Variant | None, kind: str) -> Iterator[None]:
    """Let the steps of trainings be recorded as graphs, or not, in the body."""
    if kind == "cpu":
        yield
        return
    before = set(RECORDED)
    (RECORDED.add if variant and variant.endswith("graph") else RECORDED.discard)("cuda")
    try:
        yield
    finally:
        RECORDED.clear()
        RECORDED.update(before)


def _train(steps: Steps, run: Run, clock: Clock) -> None:
    """Train until the clock ends it."""
    if steps.row is not None:
        opened(steps.row, run, batch=steps.batch).run(clock)
        return
    how = _recipe(steps.batch, run.small)
    data = open_data("digits" if run.small else "cifar10", "test", run.device)
    if steps.variant is None:
        _plain(how, data, run.device, clock)
    mode = "default" if steps.variant is not None and steps.variant.startswith("compiled") else ""
    if mode:
        prepare_compiler(run.out)
    training = Retraining(named(CELL), how, data, 0, run.device, mode)
    while True:
        training.train_epoch(clock)


def _plain(how: Recipe, data: Any, kind: str, clock: Clock) -> None:
    """Train in float32, NCHW, with PyTorch's default optimiser: the loop that one writes first."""
    network = Network(named(CELL), how.macro(data.classes, data.channels, data.size)).to(kind).train()
    optimizer = torch.optim.SGD(network.parameters(), how.lr, how.momentum, weight_decay=how.weight_decay)
    probability, chance = torch.tensor(how.drop_path / 2, device=kind), torch.Generator(kind).manual_seed(0)
    while True:
        for images, labels in data.epoch(0, how.batch, how.cutout):
            keep = network.drop_path(len(labels), probability, chance)
            logits, auxiliary = network(images.float().contiguous(), keep)
            loss = F.cross_entropy(logits, labels)
            total = loss if auxiliary is None else loss + how.auxiliary * F.cross_entropy(auxiliary, labels)
            optimizer.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), how.clip)
            optimizer.step()
            clock()


def _side_by_side(steps: Steps, run: Run) -> list[dict[str, Any]]:
    """Return the measurements of trainings in processes of their own, which start together."""
    context: Any = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(steps.together), context.Queue()
    workers = [
        context.Process(target=_work_in, args=(steps, run, barrier, results), daemon=True) for _ in range(steps.together)
    ]
    for worker in workers:
        worker.start()
    try:
        rates = [results.get(timeout=START_S) for _ in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
    if errors := [rate["error"] for rate in rates if "error" in rate]:
        raise RuntimeError(next((error for error in errors if "BrokenBarrier" not in error), errors[0]))
    return rates


def _work_in(steps: Steps, run: Run, barrier: Any, results: Any) -> None:
    try:
        prepare(run.device)
        results.put(_alone(steps, run, partial(barrier.wait, START_S)))
    except Exception as error:
        barrier.abort()
        results.put({"error": f"{type(error).__name__}: {error}"})


@contextlib.contextmanager
def _mps(kind: str) -> Iterator[None]:
    """Let the processes that start in the body share the GPU by NVIDIA's Multi-Process Service.

    Raises:
        Unavailable: there is none.
    """
    needs_cuda(kind, "MPS")
    if mps_runs():
        yield
        return
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None:
        raise Unavailable("nvidia-cuda-mps-control is not installed")
    names = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(dict.fromkeys(names, folder))
        said = Path(folder) / "said"  # a pipe would stay open as long as the daemon that the command leaves behind
        try:
            with said.open("w") as file:
                started = subprocess.run([control, "-d"], stdout=file, stderr=subprocess.STDOUT, timeout=30)
            if started.returncode:
                raise Unavailable(f"MPS does not start: {said.read_text(errors='replace').strip()[:200]}")
            yield
        finally:
            subprocess.run([control], input="quit\n", capture_output=True, text=True, timeout=60)
            for name in names:
                os.environ.pop(name)
