"""The recipe of a bundled table: its cells, their networks, and the columns of the table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from benchmarks.bundled.bundle import Bundle, Columns
from benchmarks.bundled.clock import Clock, Floats
from benchmarks.bundled.settings import Settings
from benchmarks.digits_tables.graph import Graph
from benchmarks.digits_tables.shards import Shards


class TableRecipe(ABC):
    """The recipe of one table. A subclass describes one search space.

    A cell is the number of an architecture in the space. Class attributes name the table. The methods define the trained cells
    and their networks. The build sends a recipe to worker processes, so it must be picklable.
    """

    bundle: ClassVar[Bundle]
    """The bundled table that the recipe makes. All seeds are derived from its name."""
    norms: ClassVar[tuple[float, float]]
    """Epsilon and momentum of the batch norms."""

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """The settings of the trainings."""

    @property
    def archive(self) -> Path:
        """The archive of the shards that the bundled table is made of."""
        return Path(__file__).with_name(f"{self.bundle.name.partition('/')[0]}.zip")

    @property
    @abstractmethod
    def cells(self) -> Sequence[int]:
        """The cells to train, one of each isomorphic class, in the order of the build."""

    @abstractmethod
    def features(self, cells: Sequence[int]) -> Floats:
        """Return the counts of the clock's features: (cells, features), columns in the order of ``bundle.prices``."""

    @abstractmethod
    def graph(self, cell: int) -> Graph:
        """Return the network of a cell for the compiled kernels."""

    @abstractmethod
    def plain(self, cell: int) -> nn.Module:
        """Return the network of a cell in PyTorch, with any weights."""

    @abstractmethod
    def initial(self, cell: int, seed: int) -> dict[str, Tensor]:
        """Return the initial parameters of a cell, float32 by name as in ``plain``."""

    @abstractmethod
    def columns(self, clock: Clock) -> Columns:
        """Return the columns of the file of cells, a row per architecture or per trained cell."""

    @abstractmethod
    def statistics(self, shards: Shards, note: Callable[[str], None]) -> str:
        """Return the statistics of the records, as Markdown.

        Args:
            shards: the records.
            note: takes progress messages of the search for the official table.
        """
