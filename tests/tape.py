"""A recorder of steps on the CPU that does what a CUDA graph does: it repeats operations on the same tensors, and nothing else.

A recording notes every operation below autograd with its tensors. Its effects are then undone, because a GPU computes nothing
while it records. A replay does the operations again, with the numbers of the recording, into the tensors of the recording. So
a step that forgets to read an input from its fixed tensor, or to write a state in place, differs from the step that runs. So
does what reads memory of a recording too late: another replay may have written there, and the tape writes NaN. What a GPU
refuses to record is refused: reading a value back, copying from ordinary memory, and a generator that the recording does not
know.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from tests.pretend_device import INDEXED, READS, drawn_from

Result = TypeVar("Result")
Call = tuple[Any, Any, dict[str, Any], list[Tensor], list[bool]]
"""An operation, its arguments, its results, and whether each of them has new memory."""


class TapeRecorder:
    """See :class:`harness.steps.Recorder`."""

    replays: ClassVar[int] = 0
    recordings: ClassVar[int] = 0

    def __init__(self, device: torch.device) -> None:
        assert device.type == "cpu"
        self._tapes: weakref.WeakSet[Tape] = weakref.WeakSet()

    def apart(self, function: Callable[[], Result]) -> Result:
        return function()

    def record(
        self, function: Callable[[], Result], generators: Iterable[torch.Generator]
    ) -> tuple[Result, Callable[[], None]]:
        TapeRecorder.recordings += 1
        states = [(generator, generator.get_state()) for generator in generators]
        tape = Tape({generator._cdata for generator, _ in states})  # type: ignore[attr-defined]
        try:
            with tape:
                result = function()
        finally:
            tape.undo()
            for generator, state in states:
                generator.set_state(state)
        self._tapes.add(tape)

        def replay() -> None:
            for other in self._tapes:
                if other is not tape:
                    other.spoil()
            tape.replay()

        return result, replay


class Tape(TorchDispatchMode):
    """The operations of the body, and the memory that they found.

    Args:
        generators: addresses of the random generators that they may draw from.
    """

    def __init__(self, generators: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generators = generators
        self._calls: list[Call] = []
        self._made: set[int] = set()
        """Addresses of the memory that the operations allocated; it stays allocated."""
        self._found: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        """Other memory by its address, with a copy of what it was before."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, named = func._schema.name.removeprefix("aten::"), kwargs or {}
        masks = name in INDEXED and any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
        if name in READS or name == "lift_fresh" or masks:
            raise RuntimeError(f"{name}: a GPU cannot record this")
        if torch.Tag.nondeterministic_seeded in func.tags and not drawn_from(args, named) <= self._generators:
            raise RuntimeError(f"{name}: a GPU cannot record a generator that is not held")
        for value in _tensors((args, named)):
            memory = value.untyped_storage()
            if memory.data_ptr() not in self._made | self._found.keys():
                self._found[memory.data_ptr()] = memory, memory.clone()
        # an operation may change the shape of a tensor in place later; a view keeps it
        fixed = pytree.tree_map_only(Tensor, torch.ops.aten.alias.default, (args, named))
        out = func(*args, **named)
        if torch.Tag.inplace_view not in func.tags:
            results = [torch.ops.aten.alias.default(value) for value in _tensors(out)]
            known = self._made | self._found.keys()
            fresh = [value.untyped_storage().data_ptr() not in known for value in results]
            self._made |= {value.untyped_storage().data_ptr() for value, new in zip(results, fresh, strict=True) if new}
            self._calls.append((func, *fixed, results, fresh))
        return out

    def undo(self) -> None:
        """Set all memory that existed before to what it was. What was allocated has no values yet."""
        for memory, before in self._found.values():
            memory.copy_(before)
        self._found.clear()
        self.spoil()

    @torch.no_grad()
    def spoil(self) -> None:
        """Set all numbers in the memory that the operations allocated to NaN."""
        for *_, results, fresh in self._calls:
            for value, new in zip(results, fresh, strict=True):
                if new and value.is_floating_point():
                    value.fill_(math.nan)

    @torch.no_grad()
    def replay(self) -> None:
        TapeRecorder.replays += 1
        for func, args, named, results, fresh in self._calls:
            for value, new, again in zip(results, fresh, _tensors(func(*args, **named)), strict=True):
                if new:
                    value.copy_(again)


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in pytree.tree_leaves(values) if isinstance(value, Tensor)]
