"""What can be reached from an object: a search's view must lead to no test value."""

from __future__ import annotations

import functools
import types
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.problem import Judge


class _JudgeMeta(type):
    def __instancecheck__(cls, value: object) -> bool:
        return not isinstance(value, type) and hasattr(value, "score") and hasattr(value, "optimum")


class JudgeLike(metaclass=_JudgeMeta):
    """Anything with the judge's two attributes."""

    contract = Judge


def reachable(root: object) -> Iterator[Any]:
    """Every value that can be reached from ``root`` by attributes, slots, containers, closures, defaults, bound objects.

    Modules and classes are not entered: any code can import them.
    """
    todo, seen = [root], set()
    while todo:
        value = todo.pop()
        if isinstance(value, (types.ModuleType, type)):
            continue
        if isinstance(value, float):
            yield value
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, np.ndarray):
            todo += value.ravel().tolist()
        elif isinstance(value, dict):
            todo += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset, array)):
            todo += value
        elif isinstance(value, functools.partial):
            todo += [value.func, *value.args, *value.keywords.values()]
        elif isinstance(value, types.GeneratorType):
            todo += list(value.gi_frame.f_locals.values() if value.gi_frame else ())
        elif isinstance(value, types.MethodType):
            todo += [value.__self__, value.__func__]
        elif isinstance(value, types.FunctionType):
            todo += [*(cell.cell_contents for cell in value.__closure__ or ()), *(value.__defaults__ or ())]
        else:
            slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
            todo += [getattr(value, name) for name in slots if hasattr(value, name)]
            todo += list(getattr(value, "__dict__", {}).values())
