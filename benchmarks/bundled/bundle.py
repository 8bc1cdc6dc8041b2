"""Bundled tables: find the files of a table, check them, and convert them once into the cache.

This module imports no torch. After the first conversion it reads no Parquet file.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.bundled.clock import Clock
from harness.cache import Table, TableWriter, cache_root, data_roots, sha256
from harness.errors import UserError
from harness.problem import Availability

Columns = dict[str, npt.NDArray[Any]]
Converted = tuple[Mapping[str, npt.NDArray[Any]], Mapping[str, Any]]
"""Columns of the cached table, and the entries that are added to its ``meta.json``."""


@dataclass(frozen=True)
class Files:
    """The names of a table's files."""

    prefix: str

    @property
    def cells(self) -> str:
        """The file with a row per architecture."""
        return f"{self.prefix}_cells.parquet"

    @property
    def final(self) -> str:
        """The file with the results after the last epoch, a row per trained cell and seed."""
        return f"{self.prefix}_final.parquet"

    @property
    def curves(self) -> str:
        """The file with the validation accuracy after every epoch, a row per trained cell and seed."""
        return f"{self.prefix}_curves.parquet"

    @property
    def manifest(self) -> str:
        """The file with the settings, the clock, and the checksums of the other files."""
        return f"{self.prefix}.json"


@dataclass(frozen=True)
class Bundle:
    """One bundled table: its files, and their conversion."""

    name: str
    """The benchmark's id."""
    files: Files
    place: Path
    """The folder of the package that contains the files."""
    builder: str
    """The command that makes the files, without ``python -m``."""
    size: int
    """Number of architectures of the search space."""
    digest: str
    """Digest of the settings that the table is made with. :meth:`open` refuses a table of other settings."""
    prices: Sequence[str]
    """The features that the table's clock has a price for."""
    convert: Callable[[Mapping[str, Columns], Mapping[str, Any]], Converted]
    """Returns the content of the cached table. It takes the columns by name of their file, and the manifest."""
    conversion: int = 1
    """Version of ``convert``. Raise it when ``convert`` changes, so that cached tables are converted again."""

    def folder(self) -> Path:
        """Return the folder of the files: the first data folder that contains a manifest, else the package's."""
        return next((root for root in data_roots() if (root / self.files.manifest).is_file()), self.place)

    def availability(self) -> Availability:
        """Return whether the table can be opened. This reads only the manifest."""
        where = self.folder()
        if not (where / self.files.manifest).is_file():
            return Availability(False, f"not built yet: `python -m {self.builder} build` makes it")
        try:
            least, most = self._manifest(where)["seeds"]
        except UserError as error:
            return Availability(False, str(error))
        origin = "bundled" if where == self.place else f"found: {where}"
        seeds = f"{least} to {most} seeds" if least < most else f"{least} seeds"
        return Availability(True, f"{origin}, {self.size // 1000} {self.size % 1000:03} architectures, {seeds}")

    def open(self) -> Table:
        """Return the cached table. Convert the files first if the table is not in the cache.

        Raises:
            UserError: a file is missing, damaged or of other settings.
        """
        where = self.folder()
        manifest = self._manifest(where)
        identity = hashlib.sha256(json.dumps([self.conversion, manifest["files"]], sort_keys=True).encode()).hexdigest()
        target = cache_root() / self.name.replace("/", "-") / identity[:12]
        if (target / "meta.json").is_file():
            return Table(target)
        columns, meta = self.convert(
            {file: read(where / file, checksum) for file, checksum in manifest["files"].items()}, manifest
        )
        with TableWriter(target) as writer:
            for column, values in columns.items():
                writer.add(column, values)
            try:
                return writer.commit({**self._meta(manifest), **meta})
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                return Table(target)  # another process has converted the files in the meantime

    def _manifest(self, where: Path) -> dict[str, Any]:
        path = where / self.files.manifest
        try:
            manifest = json.loads(path.read_text())
            if manifest["digest"] != self.digest:
                raise UserError(
                    f"{path} is of a table with other settings ({manifest['digest']}, here {self.digest}); remove it"
                )
            if set(manifest["files"]) != {self.files.cells, self.files.final, self.files.curves}:
                raise KeyError("files")
            Clock.of(manifest["clock"], self.prices)
        except FileNotFoundError:
            raise UserError(f"{self.name} is {self.availability().text}") from None
        except (ValueError, KeyError, TypeError):
            remedy = f"restore it from the repository, or repeat 'python -m {self.builder} assemble'"
            raise UserError(f"{path} is damaged; {remedy}") from None
        return dict(manifest)

    def _meta(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        least, most = manifest["seeds"]
        seeds = f"{least} to {most} seeds" if least < most else f"{least} seeds"
        return {
            "benchmark": self.name,
            "kind": f"{self.name}, {seeds}, settings {manifest['digest']}, packed at {manifest['commit']}",
            "source": {"files": manifest["files"], "shards": manifest["shards"]},
            "n": self.size,
        }


def read(path: Path, checksum: str) -> Columns:
    """Return the columns of one Parquet file by name.

    Raises:
        UserError: the file is missing, or its SHA-256 is not ``checksum``.
    """
    import pyarrow.parquet as pq

    try:
        intact = sha256(path) == checksum
    except FileNotFoundError:
        raise UserError(f"{path} is missing; restore it from the repository, or repeat 'assemble'") from None
    if not intact:
        raise UserError(f"{path} is damaged (wrong checksum); restore it from the repository, or repeat 'assemble'")
    table = pq.read_table(path)
    return {name: table.column(name).to_numpy() for name in table.column_names}


def of_class(values: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the value of each architecture: (architectures,), NaN for an architecture without a row.

    Args:
        values: (rows,).
        rows: the row of each architecture; -1: no row.
    """
    return np.where(rows >= 0, values[rows], np.nan)
