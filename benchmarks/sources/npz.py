"""Read requested columns of an NPZ archive: plain numbers and text only, of a bounded size."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from harness.look import opened, peek


def names(path: Path) -> list[str]:
    """Return the names of the columns."""
    with peek(path) as file, zipfile.ZipFile(file) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def read_columns(path: Path, wanted: Iterable[str], most: int) -> dict[str, npt.NDArray[Any]]:
    """Return columns by name.

    Args:
        most: largest size of a column in bytes.

    Raises:
        ValueError: a column is too large, or has Python objects. The readers raise other errors on damaged files.
    """
    columns = {}
    with opened(path) as file, zipfile.ZipFile(file) as archive:
        if len(set(archive.namelist())) < len(archive.namelist()):
            raise ValueError("a column occurs twice")
        for name in wanted:
            with archive.open(f"{name}.npy") as member:
                columns[name] = _array(name, member, most)
    return columns


def _array(name: str, member: IO[bytes], most: int) -> npt.NDArray[Any]:
    version = np.lib.format.read_magic(member)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(member)
    if dtype.hasobject or dtype.fields is not None:
        raise ValueError(f"column {name} has Python objects")
    size = math.prod(shape) * dtype.itemsize
    if not 0 <= size <= most:
        raise ValueError(f"column {name} has {size:,} bytes")
    data = member.read(size + 1)
    if len(data) != size:
        raise ValueError(f"column {name} has {'more' if len(data) > size else 'fewer'} bytes than it says")
    member.read(1)  # zipfile compares the checksum when it reads the end
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
