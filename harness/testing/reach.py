"""The objects that can be reached from an object. No search may reach a test value or a test image from its view."""

from __future__ import annotations

import functools
import sys
import types
from array import array
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt


def is_judge(value: object) -> bool:
    """Return True if ``value`` has the two attributes of a judge."""
    return not isinstance(value, type) and hasattr(value, "score") and hasattr(value, "optimum")


def reachable(root: object) -> Iterator[Any]:
    """Yield every object that can be reached from ``root``, each once, and every float.

    The walk follows attributes, slots, containers, closures, default arguments, bound objects, and the memory of arrays and
    tensors: a slice leads to the whole array that it was cut from. Modules and classes are not entered, because any code can
    import them.
    """
    todo: list[Any] = [root]
    seen: dict[int, Any] = {}  # keeps its values alive, so that no later object gets the id of an earlier one
    memories: set[int] = set()
    while todo:
        value = todo.pop()
        if isinstance(value, (types.ModuleType, type)):
            continue
        if isinstance(value, float):
            yield value
            continue
        if id(value) in seen:
            continue
        seen[id(value)] = value
        yield value
        todo += _next(value)
        memory = _memory(value)
        if memory is not None and memory.ctypes.data not in memories:
            memories.add(memory.ctypes.data)
            todo.append(memory)


def _next(value: Any) -> list[Any]:
    """Return the objects that ``value`` leads to in one step."""
    if isinstance(value, np.ndarray):
        numbers = value.ravel().tolist() if value.dtype.kind not in "biuSU" else []
        return [*numbers, value.base]
    if isinstance(value, (dict, types.MappingProxyType)):
        return [*value.keys(), *value.values(), *_attributes(value)]
    if isinstance(value, (list, tuple, set, frozenset, deque, array)):
        return [*value, *_attributes(value)]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.GeneratorType):
        return list(value.gi_frame.f_locals.values() if value.gi_frame else ())
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, (types.BuiltinMethodType, types.MethodWrapperType)):
        return [value.__self__]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]
        return [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *_attributes(value)]
    return [*_attributes(value), *([value.grad] if _is_tensor(value) and value.is_leaf else [])]


def _attributes(value: Any) -> list[Any]:
    slots = [name for kind in type(value).__mro__ for name in _slots(kind)]
    return [
        *(getattr(value, name) for name in slots if hasattr(value, name)),
        *getattr(value, "__dict__", {}).values(),
    ]


def _slots(kind: type) -> Iterator[str]:
    """Yield the names under which the slots of a class are stored."""
    slots = getattr(kind, "__slots__", ())
    for name in [slots] if isinstance(slots, str) else slots:
        private = name.startswith("__") and not name.endswith("__")
        yield f"_{kind.__name__.lstrip('_')}{name}" if private else name


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")  # without PyTorch in the process there are no tensors
    return torch is not None and isinstance(value, torch.Tensor)


def _memory(value: Any) -> npt.NDArray[Any] | None:
    """Return the memory of a tensor as an array: a slice of the training images shares that of all images."""
    if not _is_tensor(value):
        return None
    import torch

    if value.layout != torch.strided or value.device.type == "meta":
        return None
    memory = torch.empty(0, dtype=value.dtype, device=value.device).set_(value.detach().untyped_storage()).cpu()
    array: npt.NDArray[Any] = (memory.float() if memory.dtype == torch.bfloat16 else memory).numpy()
    return array


def contents(values: list[Any]) -> bytes:
    """Return the bytes of all arrays of numbers among ``values``, one after another."""
    arrays = (value for value in values if isinstance(value, np.ndarray) and value.dtype.kind in "iuf")
    return b"".join(value.tobytes() for value in arrays)
