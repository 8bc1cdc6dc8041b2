"""Open pickles of unknown origin. Plain containers and NumPy scalars are allowed; everything else is refused by name.

A pickle is a program that may call every function that it can import. With this module it can only call the constructors below.
"""

from __future__ import annotations

import collections
import pickle
import re
from collections.abc import Callable
from typing import IO, Any, NoReturn

import numpy as np

from harness.errors import UserError


class NotPlain(UserError):
    """A pickle that needs more than plain data."""


class _Dtype:
    """Substitute for ``numpy.dtype(...)`` in a pickle: the type of a scalar, never a real dtype that a pickle could change."""

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch(r"[biuf][1248]", code):
            _refuse(f"a numpy scalar of type {code!r}")
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">", "=", "|"):
            self.order = state[1]


def _scalar(dtype: _Dtype, data: bytes) -> bool | int | float:
    """Return a NumPy scalar as the Python number of the same value."""
    number: bool | int | float = np.frombuffer(data, dtype.order + dtype.code, count=1)[0].item()
    return number


def _latin1(text: str, encoding: str) -> bytes:
    """Return bytes from encoded text, the form of bytes in pickles of protocol 2."""
    if encoding != "latin1":
        _refuse(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _refuse(what: str) -> NoReturn:
    raise NotPlain(f"the pickle asks for {what}, which is not plain data")


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("_codecs", "encode"): _latin1,
} | {("builtins", kind.__name__): kind for kind in (dict, list, tuple, set, frozenset, int, float, bytes)}


class PlainUnpickler(pickle.Unpickler):
    """Unpickler of plain containers and numbers. Raises :class:`NotPlain` with the name of any other object in a pickle."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "__builtin__":  # the spelling of protocol 2
            module = "builtins"
        try:
            return _ADMITTED[module, name]
        except KeyError:
            _refuse(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        _refuse("tensors (trained weights)")


def load_plain(file: IO[bytes], unpickler: Callable[[IO[bytes]], PlainUnpickler] = PlainUnpickler) -> Any:
    """Return the next object of ``file``, and leave the file at its end. ``unpickler`` may admit more than plain data.

    Raises:
        NotPlain: the pickle needs an object that is not plain data.
        UserError: the pickle is damaged. Both messages are one clause without the name of the file, which the caller knows.
        OSError: the system could not read. An error of a damaged compressed stream has no number and becomes a UserError.
    """
    try:
        return unpickler(file).load()
    except UserError:
        raise
    except EOFError:
        raise UserError("it stops before its end") from None
    except MemoryError:
        raise UserError("it needs more memory than is available, or its lengths are garbled") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise UserError(f"it cannot be decompressed ({error})") from None
    except Exception as error:  # garbled opcodes raise almost any exception
        stopped = "truncated" in str(error) or "ran out" in str(error).lower()
        raise UserError("it stops before its end" if stopped else f"it is no intact pickle ({error})") from None
