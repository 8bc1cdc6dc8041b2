"""Searches without a table: the real images and supernet, any row of weight sharing, and no price."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.darts.space import DartsSpace
from benchmarks.darts.task import DartsTask
from benchmarks.nb1shot1.clock import Clock as NB1Shot1Clock
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.task import NB1Shot1Task
from benchmarks.nb201.clock import Clock, Fit
from benchmarks.nb201.space import NB201Space
from benchmarks.nb201.task import NB201Task
from harness import registry
from harness.budget import Ledger
from harness.outcome import Trace
from harness.space import Arch, SearchSpace
from harness.training import Meter
from harness.view import Checkpoint, SearchView

FREE = Fit(0.0, (0.0,) * 5, 1.0, 0.0, 0)


@dataclasses.dataclass
class Search:
    """One search, which has not begun.

    Args:
        space: ``nb201``, ``nb1shot1`` (its first space) or ``darts``.
        row: a row of the registry, such as ``darts:erm``.
        changes: settings that differ from those of the row. Settings that the method does not have are left out.
    """

    space: str
    row: str
    dataset: str
    device: str
    seed: int = 0
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        info = registry.method(self.row.partition(":")[0])
        names = {field.name for field in dataclasses.fields(info.cls)}
        chosen = {name: value for name, value in self.changes.items() if name in names}
        self.settings = registry.settings(info, self.row, self.space, chosen, {})
        self.method = registry.build(info, self.settings)
        self.trace = Trace()

    def run(self, report: Callable[[float], None], checkpoint: Checkpoint | None = None) -> str:
        """Search, and return the text of the architecture.

        Args:
            report: takes the share of the search that is done, after each step.
        """
        space, task = self._opened()
        view = SearchView(
            space, Ledger(), None, self.seed, "self", task=task, trace=self.trace, checkpoint=checkpoint, report=report
        )
        returned: Arch | None = self.method.search(view)
        return space.to_str(returned or self.trace.proposals[-1].arch)

    def _opened(self) -> tuple[SearchSpace, Callable[[Meter], Any]]:
        dataset, seed, device = self.dataset, self.seed, self.device
        if self.space == "nb201":
            return NB201Space(), partial(NB201Task, dataset, Clock(FREE, FREE), seed, device)
        if self.space == "nb1shot1":
            space = NB1Shot1Space(1)
            clock = NB1Shot1Clock(0.0, 0.0, (0.0, 0.0, 0.0), r2=1.0, median_error=0.0, cells=0)
            return space, partial(NB1Shot1Task, dataset, space, clock, seed, device)
        return DartsSpace("single", accepts="mixed"), partial(DartsTask, dataset, seed, device)
