"""The shards of a build: in a folder while the build runs, in one archive per table when it is finished.

A unit of work is a block of cells with a group of seeds. Its records become one shard, which is written atomically under a name
that contains its checksum. After an interruption, even by kill -9, a build continues with the units that have no shard. The
shards do not depend on the number of workers or on interruptions.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.bundled.clock import Clock
from benchmarks.bundled.settings import Settings
from harness.cache import atomic, explain
from harness.errors import UserError

CELLS_PER_SHARD = 32
RECIPES = ("short", "long")
TOP_SHARE = 0.1
EXTRA_SEEDS = 2
"""The best ``TOP_SHARE`` of the cells are trained with this many more seeds."""

_PLAN, _CLOCK = "build.json", "clock.json"
_SHARD = re.compile(r"(main|top)-(\d{4})-([0-9a-f]{16})\.npz")

Shard = dict[str, npt.NDArray[Any]]
"""The records of a unit: ``cells``, ``seeds``, and for each recipe arrays (cells, seeds, ...) named RECIPE_FIELD."""


@dataclass(frozen=True)
class Unit:
    """A block of cells, each to train with every seed of a group."""

    name: str
    cells: tuple[int, ...]
    seeds: tuple[int, ...]


def units(kind: str, cells: Sequence[int], seeds: Sequence[int]) -> list[Unit]:
    """Return the units of a pass: ``main`` over all cells, ``top`` over the best of them."""
    blocks = range(0, len(cells), CELLS_PER_SHARD)
    return [
        Unit(f"{kind}-{number:04}", tuple(cells[start : start + CELLS_PER_SHARD]), tuple(seeds))
        for number, start in enumerate(blocks)
    ]


class Shards(ABC):
    """The records of a build: its plan, its clock and its shards. A subclass defines where the files are."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all files, sorted."""

    @abstractmethod
    def content(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: there is no such file.
        """

    @property
    def plan(self) -> dict[str, Any]:
        """The content of ``build.json``. Raises :class:`UserError` if it is missing or damaged."""
        try:
            return dict(json.loads(self.content(_PLAN)))
        except FileNotFoundError:
            raise UserError(f"{self.path} contains no build (no {_PLAN}); start one with: build --out {self.path}") from None
        except ValueError:
            raise UserError(f"{self.path / _PLAN} is damaged; delete it and repeat the first build command") from None

    def clock(self, prices: Sequence[str] = ()) -> Clock | None:
        """Return the clock of the build, None if it is not measured yet.

        Args:
            prices: the features that the clock must have prices for; empty: any features.

        Raises:
            UserError: the file is damaged, or its clock has prices for other features.
        """
        try:
            return Clock.of(json.loads(self.content(_CLOCK)), prices)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            raise UserError(f"{self.path / _CLOCK} is damaged; delete it and repeat the command 'time'") from None

    def shards(self) -> dict[str, str]:
        """Return the file name of every shard by the name of its unit."""
        return {f"{match[1]}-{match[2]}": match[0] for name in self.names() if (match := _SHARD.fullmatch(name))}

    def read(self, name: str) -> Shard:
        """Return the records in a shard.

        Raises:
            UserError: the file is damaged.
        """
        match, content = _SHARD.fullmatch(name), self.content(name)
        if match is None or hashlib.sha256(content).hexdigest()[:16] != match[3]:
            raise UserError(f"the shard {self.path / name} is damaged (wrong checksum); delete it and build again")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {field: arrays[field] for field in arrays.files}

    def records(self) -> Iterator[tuple[str, Shard]]:
        """Yield the name of every unit with its records."""
        for unit, name in self.shards().items():
            yield unit, self.read(name)


class Folder(Shards):
    """A build in an ordinary folder. It can be interrupted and resumed."""

    def names(self) -> list[str]:
        return sorted(path.name for path in self.path.glob("*") if path.is_file())

    def content(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def settle(self, settings: Settings, seeds: int) -> None:
        """Write the plan of the build. If the folder has a plan, compare it.

        Args:
            settings: the settings of the trainings.
            seeds: trainings of each cell.

        Raises:
            UserError: the folder contains another build.
        """
        wanted = {"settings": asdict(settings), "digest": settings.digest, "seeds": seeds, "cells_per_shard": CELLS_PER_SHARD}
        if (self.path / _PLAN).exists():
            for key, value in self.plan.items():
                if wanted.get(key) != value:
                    raise UserError(f"{self.path} was begun with {key} = {value}, not {wanted.get(key)}; use another --out")
            return
        try:
            with atomic(self.path / _PLAN) as temporary:
                temporary.write_text(json.dumps(wanted, indent=1) + "\n")
        except OSError as error:
            raise explain(error, "start a build") from None

    def write(self, unit: Unit, shard: Shard) -> None:
        """Write the records of a unit atomically."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **shard)  # type: ignore[arg-type]
        content = buffer.getvalue()
        target = self.path / f"{unit.name}-{hashlib.sha256(content).hexdigest()[:16]}.npz"
        with atomic(target) as temporary, temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def write_clock(self, clock: Clock) -> None:
        """Write the clock of the build."""
        try:
            with atomic(self.path / _CLOCK) as temporary:
                temporary.write_text(json.dumps(asdict(clock), indent=1) + "\n")
        except OSError as error:
            raise explain(error, "write the clock") from None

    def pending(self, wanted: Sequence[Unit]) -> list[Unit]:
        """Return the units without a shard.

        Raises:
            UserError: a shard is damaged.
        """
        shards = self.shards()
        for unit in wanted:
            if unit.name in shards:
                self.read(shards[unit.name])
        return [unit for unit in wanted if unit.name not in shards]


class Archive(Shards):
    """A finished build in one zip file."""

    @cached_property
    def _files(self) -> dict[str, bytes]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                return {name: archive.read(name) for name in sorted(archive.namelist())}
        except FileNotFoundError:
            raise UserError(
                f"{self.path} is missing; restore it from the repository, or name a build with --from DIR"
            ) from None
        except zipfile.BadZipFile:
            raise UserError(f"{self.path} is damaged; restore it from the repository") from None

    def names(self) -> list[str]:
        return list(self._files)

    def content(self, name: str) -> bytes:
        try:
            return self._files[name]
        except KeyError:
            raise FileNotFoundError(name) from None


def opened(path: Path) -> Shards:
    """Return the records in ``path``: an archive if its name ends in ``.zip``, else a folder."""
    return Archive(path) if path.suffix == ".zip" else Folder(path)


def pack(shards: Shards, path: Path) -> int:
    """Write plan, clock and shards into one archive and return its size in bytes. Equal files give an equal archive.

    Raises:
        UserError: the archive cannot be written.
    """
    names = sorted({_PLAN, _CLOCK, *shards.shards().values()})
    try:
        with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for name in names:
                member = zipfile.ZipInfo(name)  # its date is fixed
                member.create_system, member.external_attr = 3, 0o644 << 16
                archive.writestr(member, shards.content(name))
    except OSError as error:
        raise explain(error, "write the archive") from None
    return path.stat().st_size


def top_cells(shards: Shards, cells: Sequence[int]) -> list[int]:
    """Return the best tenth of ``cells`` by mean validation of the long recipe, ascending.

    Raises:
        UserError: some cells are not trained yet.
    """
    means: dict[int, float] = {}
    for unit, shard in shards.records():
        if unit.startswith("main"):
            means.update(zip(shard["cells"].tolist(), shard["long_valid"].mean(1).tolist(), strict=True))
    missing = len(cells) - len(means)
    if missing:
        raise UserError(f"{shards.path}: {missing} cells are not trained yet; finish 'build' without --top first")
    best = sorted(means, key=lambda cell: (-means[cell], cell))[: round(TOP_SHARE * len(means))]
    return sorted(best)
