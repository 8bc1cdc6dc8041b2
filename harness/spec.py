"""The identity of a run: the specification of its row, and the seeds of its world and its method."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.seeds import derive


@dataclass(frozen=True)
class RowSpec:
    """Everything that the runs of one row on one benchmark share. Plain values: it travels to any worker."""

    protocol: str
    benchmark: str
    row: str
    method: str
    """A registered name or the path of a file."""
    kind: str
    settings: Mapping[str, Any]
    budget: Mapping[str, Any]
    """``currency``, ``limit``, ``policy`` and ``interpolate``; see :class:`harness.protocol.BudgetRule`."""
    search: Mapping[str, Any]
    judge: Mapping[str, Any]
    checksum: str
    """Hash of the table or the images of the benchmark."""
    record: str
    """The seed record that a query returns: ``drawn``, ``mean``, or a sentence."""
    code: str
    """Digest of the source that a run executes; see :mod:`harness.source`."""
    wall_limit_s: float
    device: str = "cpu"
    threads: int = 1
    """Threads of a run that trains on the processor. With another number, sums are added in another order."""
    trained_on: str = ""
    """Description of the images that the row trains on; empty if its method only queries."""
    paired: bool = False
    """The row ``row[field=value]`` has the method seeds of ``row``: the two draw the same in the same world."""

    def plain(self) -> dict[str, Any]:
        """Return the fields by name, as the store keeps them; ``paired`` only if it is true."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if not self.paired:
            del fields["paired"]  # the identity of a row that is not paired is older than the field
        return fields

    @cached_property
    def identity(self) -> str:
        """Return the digest of all fields but ``method``: a change of any of them makes new runs."""
        fields = {**self.plain(), "method": None}  # a name or a path; `code` identifies it
        return hashlib.sha256(json.dumps(fields, sort_keys=True, default=list).encode()).hexdigest()

    def run(self, world: int) -> RunSpec:
        """Return the run in world number ``world``. All methods share its world seed; the method seed is the row's."""
        drawn_as = self.row.partition("[")[0] if self.paired else self.row
        return RunSpec(
            run_id=hashlib.sha256(f"{self.identity}:{world}".encode()).hexdigest()[:24],
            world=world,
            world_seed=derive("world", self.benchmark, world),
            method_seed=derive("method", drawn_as, self.benchmark, world),
        )


def limit(spec: Mapping[str, Any]) -> str:
    """Return the limit of the searches of a plain row, as ``--budget`` names it; empty for its own schedule."""
    budget = spec["budget"]
    return f"{budget['currency']}={budget['limit']:.12g}" if budget["currency"] else ""


RETRAINING = "retraining"
"""The kind of a row of trainings from scratch. Any other kind is a kind of method."""


@dataclass(frozen=True)
class RunSpec:
    """One search of a row, or one training from scratch."""

    run_id: str
    world: int
    """Number of the world, the axis along which methods are paired."""
    world_seed: int
    method_seed: int
    arch: str = ""
    """The architecture that is trained from scratch; empty for a search."""
