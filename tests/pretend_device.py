"""A pretend accelerator: tensors that are on the CPU and say that they are on the device ``pretend:0``.

Every operation has its real values, so whole searches and trainings run. What a GPU refuses is refused: tensors of two
devices, and a generator of another device. What makes the host wait for a GPU is counted: reading a value back, a mask as an
index, and a copy from ordinary memory to the device. In a recording all of this is refused, as a GPU does.

Limits: it uses an API of PyTorch that may change (:func:`missing`); ``torch.inference_mode`` is replaced by ``torch.no_grad``;
saved tensors are read back on the CPU. It has no reduced precision; ``harness.device.REDUCED`` lets a test have it on the CPU.
"""

# The classes of PyTorch that this file replaces have no usable types.
# mypy: ignore-errors

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils import backend_registration as registration
from torch.utils._python_dispatch import TorchDispatchMode

from harness import device as harness_device
from harness import steps
from harness.steps import Step

NAME = "pretend"
PROJECT = Path(__file__).parents[1]
SETUP = "_setup_privateuseone_for_python_backend"
UNIQUE = {"unique_dim", "_unique", "_unique2", "unique_consecutive"}
READS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "bincount", "multinomial", *UNIQUE}
"""Operations whose result, or its shape, the host has to know."""
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_"}
"""Operations whose second argument has the indices of the dimensions."""

_Generator, _tensor, _as_tensor, _new_tensor = torch.Generator, torch.tensor, torch.as_tensor, torch.Tensor.new_tensor
_inference_mode, _load = torch.inference_mode, torch.load


def missing() -> bool:
    """Return whether this PyTorch lacks the API that a device written in Python needs."""
    return not hasattr(registration, SETUP)


@cache
def device() -> torch.device:
    """Register the device in this process, and return it."""

    class Module(registration._DummyBackendModule):
        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.bfloat16]

        def synchronize(self, device: object = None) -> None:
            pass

    getattr(registration, SETUP)(NAME, Module())
    return torch.device(NAME, 0)


def _is_pretend(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


class Generator(_Generator):
    """A generator that remembers its device. Its numbers are those of a CPU generator with the same seed."""

    on_device: ClassVar[set[int]] = set()
    """The generators of the device, by the address of PyTorch's own object: operations receive a new Python object."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        made = _Generator.__new__(cls, "cpu")
        made._device = globals()["device"]() if _is_pretend(device) else torch.device(device)
        (cls.on_device.add if _is_pretend(device) else cls.on_device.discard)(made._cdata)
        return made

    @property
    def device(self) -> torch.device:
        where: torch.device = self._device
        return where


class Tensor(torch.Tensor):
    """A tensor of the device. ``inner`` has the values."""

    inner: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Tensor:
        made: Tensor = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype, device=device()
        )
        made.inner = inner
        return made

    def __repr__(self, **_: Any) -> str:
        return f"{NAME}({self.inner!r})"

    def __getitem__(self, index: Any) -> torch.Tensor:
        parts = index if isinstance(index, tuple) else (index,)
        return super().__getitem__(tuple(tensor(part, device=NAME) if isinstance(part, list) else part for part in parts))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.cpu().__reduce_ex__(protocol)

    @property
    def data(self) -> torch.Tensor:
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        torch.Tensor.data.__set__(self, value)
        self.inner = value.inner  # PyTorch replaces the storage, and does not know of this one

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert Pretend.current is not None, f"{func} on a tensor of the device, outside of Pretend"
        return Pretend.current.run(func, args, kwargs or {})  # a backward pass has threads, which do not see the mode


def drawn_from(args: Any, named: dict[str, Any]) -> set[int]:
    """Return the address of the generator among the arguments of a random operation; 0: that of PyTorch."""
    generators = [value for value in (*args, *named.values()) if isinstance(value, _Generator)]
    return {generator._cdata for generator in generators} or {0}


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any) -> torch.Tensor:
    made = _tensor(data, dtype=dtype)
    return (made.to(device) if device is not None else made).requires_grad_(requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> torch.Tensor:
    if not isinstance(data, torch.Tensor):
        return tensor(data, dtype=dtype, device=device)
    return data.to(device=device or data.device, dtype=dtype or data.dtype)


def new_tensor(self: torch.Tensor, data: Any, *, dtype: Any = None, device: Any = None, **_: Any) -> torch.Tensor:
    return tensor(data, dtype=dtype or self.dtype, device=device or self.device)


def load(file: Any, map_location: Any = None, **how: Any) -> Any:
    """Load a saved object. All its tensors come to the device ``map_location``, as those of a GPU do."""
    if not _is_pretend(map_location):
        return _load(file, map_location, **how)
    return pytree.tree_map_only(torch.Tensor, lambda value: value.to(map_location), _load(file, "cpu", **how))


class Pretend(TorchDispatchMode):
    """A context in which the device exists. It counts waits and uploads by the line of the project that makes them."""

    current: ClassVar[Pretend | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()
        self.recordings = 0
        self.held: set[int] | None = None
        """Addresses of the generators that a recording may draw from; None: nothing is recorded now."""

    def counts(self) -> tuple[int, int]:
        """Return the numbers of waits and of uploads so far."""
        return self.waits.total(), self.uploads.total()

    def __enter__(self) -> Pretend:
        device()
        Pretend.current = self
        torch.Generator, torch.inference_mode, torch.load = Generator, torch.no_grad, load
        torch.tensor, torch.as_tensor, torch.Tensor.new_tensor = tensor, as_tensor, new_tensor
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        torch.Generator, torch.inference_mode, torch.load = _Generator, _inference_mode, _load
        torch.tensor, torch.as_tensor, torch.Tensor.new_tensor = _tensor, _as_tensor, _new_tensor
        super().__exit__(*error)
        Pretend.current = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.run(func, args, kwargs or {})

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Check and count an operation, and do it on the CPU."""
        target = kwargs.get("device")
        leaves, enters = target is not None and not _is_pretend(target), _is_pretend(target)
        ours: dict[int, Tensor] = {}
        plain: list[torch.Tensor] = []

        def inner(value: Any) -> Any:
            if isinstance(value, Tensor):
                ours[id(value.inner)] = value
                return value.inner
            if isinstance(value, torch.Tensor):
                plain.append(value)
            elif isinstance(value, (list, tuple)):
                return [inner(item) for item in value]
            return value

        positional = [inner(value) for value in args]
        named = {name: inner(value) for name, value in kwargs.items()}
        on_device = enters or bool(ours and not leaves)
        if ours or on_device:
            self._check(func, args, kwargs.get("generator"), plain, leaves)
        if enters:
            named["device"] = torch.device("cpu")
        out = func(*positional, **named)
        if not on_device:
            return out
        if isinstance(out, torch.Tensor):  # an operation in place returns its argument
            return ours[id(out)] if id(out) in ours else Tensor(out)
        return pytree.tree_map_only(torch.Tensor, lambda value: ours[id(value)] if id(value) in ours else Tensor(value), out)

    def _check(self, func: Any, args: Sequence[Any], generator: Any, plain: list[torch.Tensor], leaves: bool) -> None:
        name = func._schema.name.removeprefix("aten::")
        random = self.held is not None and torch.Tag.nondeterministic_seeded in func.tags
        if random and (generator is None or generator._cdata not in self.held):
            raise RuntimeError(f"{name}: a GPU cannot record a generator that is not held")
        if isinstance(generator, _Generator) and generator._cdata not in Generator.on_device:
            raise RuntimeError(f"{name}: the generator is not on the device {NAME}")
        if name == "_to_copy":
            (self._wait if leaves else self._upload if plain else lambda kind: None)("copy")
        elif name == "copy_":
            if plain:
                (self._upload if isinstance(args[0], Tensor) else self._wait)("copy")
        elif name in INDEXED:
            for index in args[1]:
                if index is not None and index.dtype in (torch.bool, torch.uint8):
                    self._wait("a mask as an index")
                elif index is not None and not isinstance(index, Tensor):
                    self._upload("an index")
        elif name in READS or (name == "repeat_interleave" and func._overloadname == "Tensor"):
            self._wait(name)
        elif any(value.dim() or torch.Tag.pointwise not in func.tags for value in plain):
            raise RuntimeError(f"{name}: tensors on {NAME}:0 and on the CPU, {[tuple(value.shape) for value in plain]}")

    def _wait(self, kind: str) -> None:
        self._note(kind, self.waits)

    def _upload(self, kind: str) -> None:
        self._note(kind, self.uploads)

    def _note(self, kind: str, counter: Counter[str]) -> None:
        if self.held is not None:
            raise RuntimeError(f"{kind}: a GPU cannot record this")
        counter[f"{kind}: {_line()}"] += 1


class Recorder:
    """See :class:`harness.steps.Recorder`. What is recorded runs, so it must not be replayed; what a GPU refuses is refused."""

    def __init__(self, device: torch.device) -> None:
        assert _is_pretend(device)

    def apart(self, function: Callable[[], Any]) -> Any:
        return function()

    def record(self, function: Callable[[], Any], generators: Iterable[torch.Generator]) -> tuple[Any, Callable[[], None]]:
        assert Pretend.current is not None
        Pretend.current.recordings += 1
        Pretend.current.held = {generator._cdata for generator in generators}
        try:
            return function(), lambda: None
        finally:
            Pretend.current.held = None


def record_each_other_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the device record each other call of a step. No recording is replayed."""
    calls: Counter[int] = Counter()
    called = Step.__call__

    def call(self: Step[Any], *inputs: Any, key: Any = None) -> Any:
        calls[id(self)] += 1
        return called(self, *inputs, key=(key, (calls[id(self)] - 1) // 2))

    monkeypatch.setattr(Step, "__call__", call)
    monkeypatch.setattr(steps, "WARM", 1)
    monkeypatch.setitem(steps.RECORDERS, NAME, Recorder)
    monkeypatch.setattr(harness_device, "RECORDED", {NAME})


def _line() -> str:
    """Return the innermost line of the project that runs now."""
    frame = sys._getframe()
    while frame := frame.f_back:
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(PROJECT) and file.name != Path(__file__).name:
            return f"{file.relative_to(PROJECT)}:{frame.f_lineno}"
    return "PyTorch"
