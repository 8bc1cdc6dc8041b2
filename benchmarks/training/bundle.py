"""A table of a finished build as the harness opens it: its files found, checked, and converted once into the cache.

Nothing here imports torch, and after the first time nothing reads a Parquet file.
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

from benchmarks.training.clock import Clock
from benchmarks.training.table import Columns, Files, read
from harness.cache import Table, TableWriter, cache_root, data_roots
from harness.errors import UserError
from harness.problem import Availability

Converted = tuple[Mapping[str, npt.NDArray[Any]], Mapping[str, Any]]
"""Columns of the cached table, and what else its ``meta.json`` says."""


@dataclass(frozen=True)
class Bundle:
    """Where one benchmark's table lies, and what it becomes."""

    name: str
    """The benchmark's id."""
    files: Files
    place: Path
    """The folder of the package that the files ship in."""
    builder: str
    """The module whose commands make them."""
    size: int
    """How many architectures it answers for."""
    digest: str
    """Of the settings that it is made with; a table of others is refused."""
    prices: Sequence[str]
    """What its clock says the cost of, beside the base."""
    convert: Callable[[Mapping[str, Columns], Mapping[str, Any]], Converted]
    """From the files by name and the manifest."""
    conversion: int = 1
    """To be raised where ``convert`` changes, so that tables in the cache are made anew."""

    def folder(self) -> Path:
        """Where the files lie: a data folder that has them (a build of one's own), else the one of the package."""
        return next((root for root in data_roots() if (root / self.files.manifest).is_file()), self.place)

    def availability(self) -> Availability:
        """Reads the manifest only."""
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
        """The table in the cache, converted first where it is not there yet.

        Raises :class:`UserError` where a file is missing, damaged or of other settings.
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
                return Table(target)  # another process converted it meanwhile

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
            remedy = f"take it from the repository again, or repeat 'python -m {self.builder} assemble'"
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


def of_class(values: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Of each architecture the value of its row, NaN where that is -1."""
    return np.where(rows >= 0, values[rows], np.nan)
