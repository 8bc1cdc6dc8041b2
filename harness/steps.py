"""Steps of a training that a GPU records once, in a CUDA graph, and then replays.

A step of a small network has thousands of kernels, and the host takes longer to start them than the GPU to run them. A replay
starts all of them at once.

A recording reads and writes fixed addresses. Each call therefore copies its inputs into the same tensors, and a number that
changes from call to call is an input as well, which the step reads as a tensor. What is constant is part of the recording.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from harness.device import recorded, upload
from harness.replay import Notes

Number = float | Tensor
"""A number of a step: as it was passed, or () float64 on the device if steps are recorded."""
Result = TypeVar("Result")
Recording = tuple[Result, Callable[[], None]]
"""The result of a recorded function, and a call that replays it into the tensors of this result."""

WARM = 3
"""Number of calls before the recording. They make what later calls use: workspaces, momenta, choices of kernels."""


@runtime_checkable
class Parts(Protocol):
    """An input that is made of tensors, such as a batch whose images are made in the step."""

    def tensors(self) -> Sequence[Tensor]:
        """Return the tensors."""
        ...

    def of(self, tensors: Sequence[Tensor]) -> Any:
        """Return the same with other tensors of the same shapes."""
        ...


class Recorder(Protocol):
    """How a kind of device records. All steps of a training share a recorder: one of them runs at a time."""

    def apart(self, function: Callable[[], Result]) -> Result:
        """Return ``function()``, run where recordings are made."""
        ...

    def record(
        self, function: Callable[[], Result], generators: Iterable[torch.Generator]
    ) -> tuple[Result, Callable[[], None]]:
        """Record ``function()``. Nothing is computed before the first replay.

        Args:
            generators: random generators that the function may draw from.
        """
        ...


class CudaRecorder:
    """Records CUDA graphs. They share a pool of memory, and a stream that is not the current one."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._pool: Any = None
        self._graphs: weakref.WeakSet[torch.cuda.CUDAGraph] = weakref.WeakSet()

    def apart(self, function: Callable[[], Result]) -> Result:
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                return function()
        finally:
            current.wait_stream(self._stream)  # also for a step that its budget ends: what it has begun is still running

    def record(
        self, function: Callable[[], Result], generators: Iterable[torch.Generator]
    ) -> tuple[Result, Callable[[], None]]:
        graph = torch.cuda.CUDAGraph()
        if not self._graphs:
            self._pool = torch.cuda.graph_pool_handle()  # PyTorch refuses a pool whose graphs are all gone

        def capture() -> Result:
            for generator in generators:
                graph.register_generator_state(generator)
            # other threads of the process may load images meanwhile
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                return function()

        result = self.apart(capture)  # PyTorch leaves the stream of a capture that fails the current one; this does not
        self._graphs.add(graph)
        return result, graph.replay


RECORDERS: Final[dict[str, Callable[[torch.device], Recorder]]] = {"cuda": CudaRecorder}
"""By kind of device."""


def recorder(device: torch.device) -> Recorder | None:
    """Return what records the steps of a training on ``device``; None if :mod:`harness.device` says that none does."""
    return RECORDERS[device.type](device) if recorded(device) else None


class Step(Generic[Result]):
    """A step of a training: a function of tensors and numbers, which changes a training in place.

    Without a recorder it is the function. With a recorder, the first calls run, the next one is recorded, and all later calls
    are replays. A call whose inputs have other shapes than those of the first call, such as the smaller last batch of an epoch,
    always runs.

    Args:
        function: the step. It reads and writes the same tensors in each call, apart from its inputs; it never waits for the
            device; and it does the same operations in each call with the same ``key``.
        recorder: see :func:`recorder`.
    """

    def __init__(self, function: Callable[..., Result], recorder: Recorder | None) -> None:
        self._function, self._recorder = function, recorder
        self._layout: list[tuple[torch.Size, torch.dtype] | None] = []
        self._inputs: list[Tensor] = []
        self._key: Hashable = None
        self.forget()

    def forget(self) -> None:
        """Forget the recording, because the step does other operations or reads other tensors from now on."""
        self._warmed, self._notes = 0, Notes()
        self._recording: Recording[Result] | None = None

    def __call__(self, *inputs: Any, key: Hashable = None) -> Result:
        """Do the step. The tensors of the result are valid until the next call of a step with this recorder.

        Args:
            inputs: tensors, floats, :class:`Parts`, and tuples or lists of them.
            key: what the operations of the step depend on. Another key than in the last call begins another recording.
        """
        if self._recorder is None:
            return self._function(*inputs)
        leaves = list(_leaves(inputs))
        layout = [(leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else None for leaf in leaves]
        if not self._layout:
            self._prepare(leaves, layout)
        if layout != self._layout:
            return self._recorder.apart(lambda: self._function(*inputs))
        if key != self._key:
            self._key = key
            self.forget()
        self._fill(leaves)

        def body() -> Result:
            return self._function(*_filled(inputs, iter(self._inputs)))

        if self._recording is not None:
            for call in self._notes.calls:
                call()
        elif self._warmed < WARM:
            self._warmed += 1
            with self._notes.taken(calls=False):
                return self._recorder.apart(body)
        else:
            generators = [value for value in self._notes.held.values() if isinstance(value, torch.Generator)]
            self._notes.calls.clear()  # of a recording that failed
            with self._notes.taken(calls=True):
                self._recording = self._recorder.record(body, generators)
        result, replay = self._recording
        replay()
        return result

    def _prepare(self, leaves: Sequence[Tensor | float], layout: list[tuple[torch.Size, torch.dtype] | None]) -> None:
        """Make the tensors that the step reads its inputs from."""
        self._layout = layout
        device = next(leaf.device for leaf in leaves if isinstance(leaf, Tensor))
        self._numbers = torch.zeros(layout.count(None), dtype=torch.float64, device=device)
        numbers = iter(self._numbers.unbind())
        self._inputs = [torch.empty_like(leaf) if isinstance(leaf, Tensor) else next(numbers) for leaf in leaves]

    def _fill(self, leaves: Sequence[Tensor | float]) -> None:
        for fixed, leaf in zip(self._inputs, leaves, strict=True):
            if isinstance(leaf, Tensor):
                fixed.copy_(leaf)
        if numbers := [leaf for leaf in leaves if not isinstance(leaf, Tensor)]:
            self._numbers.copy_(upload(torch.tensor(numbers, dtype=torch.float64), self._numbers.device))


def _leaves(value: Any) -> Iterator[Tensor | float]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, Parts):
        yield from value.tensors()
    else:
        yield float(value)


def _filled(value: Any, leaves: Iterator[Tensor]) -> Any:
    """Return ``value`` with these leaves."""
    if isinstance(value, (tuple, list)):
        return tuple(_filled(part, leaves) for part in value)
    if isinstance(value, Parts):
        return value.of([next(leaves) for _ in value.tensors()])
    return next(leaves)


def like(number: Number, tensor: Tensor) -> Number:
    """Return a number in the precision of a tensor. A float has it anyway in an operation on a tensor."""
    return number.to(tensor.dtype) if isinstance(number, Tensor) else number
