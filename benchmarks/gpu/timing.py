"""Time calls and training steps on a device, whose work may go on after a call returns."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.counts import Count
from benchmarks.gpu.pieces import Unavailable
from harness.device import keep_compiled

WARM = 3
PROFILED = 3
"""Number of steps whose kernels are counted."""


def needs_cuda(device: str, what: str) -> None:
    """Raise :class:`Unavailable` on a CPU."""
    if device == "cpu":
        raise Unavailable(f"{what} needs CUDA")


def prepare_compiler(out: Path) -> None:
    """Let the next training compile, and keep the result. PyTorch compiles a function only so often before it gives up."""
    keep_compiled(out / "compiled")
    torch._dynamo.reset()


def wait(device: str) -> None:
    """Wait until the device has done its work."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def usable(device: str) -> bool:
    """Return whether this process can still use a device. A fault in a kernel, or in a recording, may end that for good."""
    try:
        wait(device)
        if device != "cpu":
            torch.cuda.empty_cache()
    except RuntimeError:
        return False
    return True


def seconds(call: Callable[[], object], device: str, least: float = 0.1) -> float:
    """Return the mean seconds of a call, over as many calls as take at least ``least`` seconds."""
    for _ in range(WARM):
        call()
    wait(device)
    calls = 1
    while True:
        started = time.perf_counter()
        for _ in range(calls):
            call()
        wait(device)
        total = time.perf_counter() - started
        if total >= least:
            return total / calls
        calls = max(2 * calls, int(1.2 * calls * least / max(total, 1e-6)))


def recorded(call: Callable[[], object], device: str, times: int) -> Callable[[], object]:
    """Return a call that repeats ``call``, on a GPU as a graph, so that launching takes no time."""

    def repeat() -> None:
        for _ in range(times):
            call()

    if device == "cpu":
        return repeat
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM):  # kernels are chosen now
            call()
    with torch.cuda.graph(graph, stream=stream):
        repeat()
    return graph.replay


class Enough(BaseException):
    """The steps that were needed are done."""


class Clock:
    """Callback of each step of a training. It takes the time of some steps, counts the kernels of some, and ends the training.

    Args:
        device: the device of the training.
        window: seconds to measure.
        most: number of steps to measure at most.
        ready: called before the measurement, so that trainings side by side start it together.
    """

    def __init__(self, device: str, window: float, most: int, ready: Callable[[], object] = lambda: None) -> None:
        self._device, self._window, self._most, self._ready = device, window, most, ready
        self._calls, self._started, self.steps, self.seconds, self.kernels = 0, 0.0, 0, 0.0, 0.0
        self._counter: Any = None

    def __call__(self, share: float = 0.0) -> None:
        self._calls += 1
        if self._calls == 2 * WARM:  # recordings of steps begin after some steps
            wait(self._device)
            self._ready()
            self._started = time.perf_counter()
        elif self._calls > 2 * WARM and not self.steps:
            done = self._calls - 2 * WARM
            if done >= self._most or time.perf_counter() - self._started > self._window:
                wait(self._device)
                self.steps, self.seconds = done, time.perf_counter() - self._started
                self._count()
        elif self.steps and self._calls == 2 * WARM + self.steps + PROFILED:
            wait(self._device)
            self.kernels = self._counted() / PROFILED
            raise Enough

    def _count(self) -> None:
        if self._device == "cpu":
            self._counter = Count()
        else:
            self._counter = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
        self._counter.__enter__()

    def _counted(self) -> int:
        self._counter.__exit__(None, None, None)
        if self._device == "cpu":
            return int(self._counter.work.kernels)
        return sum(event.device_type.name == "CUDA" for event in self._counter.events())
