"""Open the pickled batches of CIFAR and ImageNet16: plain data and arrays of plain numbers. Everything else is refused."""

from __future__ import annotations

import math
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from harness.errors import UserError
from harness.unpickle import NotPlain, PlainUnpickler, load_plain


class PickledArray:
    """Substitute for ``numpy.ndarray`` in a pickle: shape, number type and bytes. :meth:`array` builds the NumPy array."""

    def __init__(self) -> None:
        self._parts: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._parts = state

    def array(self) -> npt.NDArray[Any]:
        """Return the array, read-only. Raises :class:`UserError` if its parts contradict each other."""
        try:
            _, shape, dtype, fortran, data = self._parts
            kind = np.dtype(dtype.order + dtype.code)
            raw = data.encode("latin1") if isinstance(data, str) else bytes(data)  # Python 2 spelled bytes as text
            if math.prod(shape) * kind.itemsize != len(raw):
                raise ValueError(shape)
            return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")
        except (ValueError, TypeError, AttributeError, OverflowError):
            raise UserError("an array in it is garbled") from None


def _ndarray(*_: object) -> None:
    """Replace the class ``numpy.ndarray``, which pickles name but do not call."""
    raise NotPlain("the pickle asks for numpy.ndarray, which is not plain data")


def _reconstruct(kind: object, *_: object) -> PickledArray:
    if kind is not _ndarray:
        raise NotPlain(f"the pickle asks for an array of class {kind!r}, which is not plain data")
    return PickledArray()


class ArrayUnpickler(PlainUnpickler):
    """Unpickler of plain containers, numbers, and :class:`PickledArray` in place of arrays. Text of Python 2 is Latin-1."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return _ndarray
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _reconstruct
        return super().find_class(module, name)


def load_batch(file: IO[bytes]) -> dict[str, Any]:
    """Return the dictionary in a batch file. Raises :class:`UserError` as :func:`harness.unpickle.load_plain` does."""
    batch = load_plain(file, ArrayUnpickler)
    if not isinstance(batch, dict):
        raise UserError(f"it has a {type(batch).__name__}, not a dictionary")
    return batch
