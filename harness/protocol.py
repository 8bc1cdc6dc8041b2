"""Named protocols: budgets, search signals, seeds, and how proposals are judged. :mod:`harness.protocol_files` reads them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from harness import registry
from harness.budget import CURRENCIES
from harness.errors import UserError
from harness.registry import suggest

DEFAULT = "digits"
MEAN_COST = "mean_cost"
COMMON_QUERIES = 100


@dataclass(frozen=True)
class BudgetRule:
    """A limit of one currency. Currency None: no limit, each method has its own schedule.

    The limit is a number, or a number per benchmark, or ``{"mean_cost": N}``: N times the mean cost of a query.
    """

    currency: str | None = None
    limit: Mapping[str, float] | float = math.inf
    policy: str = "refuse"
    interpolate: bool = False

    def on(self, benchmark: str, mean_cost: float | None = None) -> dict[str, Any]:
        """Return the rule on one benchmark, as plain values.

        Args:
            mean_cost: mean charged seconds of a query on the benchmark.

        Raises:
            UserError: the rule has no limit for the benchmark.
        """
        limit = self.limit
        if isinstance(limit, Mapping) and MEAN_COST in limit:
            if mean_cost is None:
                raise UserError(f"{benchmark} knows no mean cost of a query, which the limit is a multiple of; say --budget")
            limit = limit[MEAN_COST] * mean_cost
        if isinstance(limit, Mapping):
            if benchmark not in limit:
                raise UserError(f"the budget has no limit for {benchmark}, only for {', '.join(limit)}; say --budget")
            limit = limit[benchmark]
        return {
            "currency": self.currency,
            "limit": float(limit),
            "policy": self.policy,
            "interpolate": self.interpolate,
        }


@dataclass(frozen=True)
class Part:
    """Rules for one kind of method under a protocol."""

    kind: str
    benchmarks: tuple[str, ...]
    budget: BudgetRule = BudgetRule()
    search: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, list[str]] = field(default_factory=dict)
    """Variants of a method that belong to the protocol. A method without an entry runs all its rows."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Presets: hyperparameters per method, or per row."""
    seeds: int | None = None
    """Number of seeds; None: that of the protocol."""
    wall_limit_s: float | None = None
    """Limit of real time for one search, in seconds; None: that of the protocol."""


@dataclass(frozen=True)
class Stage:
    """Trainings from scratch of the cells that a part's searches proposed: all, or the cell of each row that a stage chose."""

    name: str
    of: str
    """The kind of the part whose proposals are trained."""
    recipe: str
    """Name of the recipe in the benchmark."""
    recipes: Mapping[str, str] = field(default_factory=dict)
    """Recipes that papers use instead, by method or row."""
    seeds: int = 1
    """Trainings of each cell."""
    first_seed: int = 0
    """First seed; separate from the seeds by which a cell was chosen."""
    split: str = "test"
    """``test``: train on all training images, evaluate on the test set; ``valid``: evaluate on a part of them."""
    data: str = ""
    """Another data set than the searched one."""
    chosen_by: str = ""
    """A stage: of each row, train the cell with the highest mean accuracy in that stage. Empty: train every cell."""
    probed: bool = False
    """Train the probed cells, whose accuracy under shared weights is known, instead of the proposed ones."""
    wall_limit_s: float | None = None

    @property
    def what(self) -> str:
        """Return ``found`` or ``probed``: how searches reached the cells that the stage trains."""
        return "probed" if self.probed else "found"

    def recipe_of(self, row: str) -> str:
        """Return the recipe for the cells that a row's searches proposed."""
        return self.recipes.get(row) or self.recipes.get(row.partition("[")[0].partition(":")[0], self.recipe)


@dataclass(frozen=True)
class Protocol:
    """A named protocol."""

    name: str
    title: str
    seeds: int
    wall_limit_s: float
    judge: Mapping[str, Any]
    parts: tuple[Part, ...]
    stages: tuple[Stage, ...] = ()
    """The stages after the searches, in order."""
    paper: str = ""
    comparable: bool = True
    """True if published numbers were made under these rules."""
    modified: str = ""
    """Changes by the command line, in words."""

    def with_budget(self, text: str) -> Protocol:
        """Return the protocol with another limit: ``seconds=6000``, ``queries=100``. Raises :class:`UserError`."""
        currency, _, amount = text.partition("=")
        try:
            limit = float(amount)
        except ValueError:
            limit = math.nan
        least = 1 if currency == "queries" else 0
        if currency not in CURRENCIES or not least <= limit < math.inf or limit == 0:
            raise UserError(
                f"budget {text!r} is not CURRENCY=AMOUNT with an amount above zero, such as seconds=6000 or queries=100"
                f" (currencies: {', '.join(CURRENCIES)})"
            )
        parts = []
        for part in self.parts:
            interpolate = part.budget.interpolate and currency == "seconds"
            rule = dataclasses.replace(part.budget, currency=currency, limit=limit, interpolate=interpolate)
            parts.append(dataclasses.replace(part, budget=rule))
        return dataclasses.replace(self, parts=tuple(parts), modified=f"budget {currency}={limit:g}")


@cache
def protocols() -> dict[str, Protocol]:
    """Return all protocols of the project and of installed packages, by name."""
    from harness import protocol_files

    return {name: rules for name, (rules, _) in protocol_files.everywhere().items()}


def protocol(name: str) -> Protocol:
    """Return the protocol of that name, or in a file: ``./mine.toml``, ``./mine.toml:NAME``. Raises :class:`UserError`."""
    known = protocols()
    if ".toml" in name:
        return _in_file(name)
    if name not in known:
        raise UserError(f"no protocol {name!r}{suggest(name, known)}   (there are {', '.join(known)})")
    return known[name]


def _in_file(text: str) -> Protocol:
    from harness import protocol_files

    path, _, wanted = text.rpartition(".toml")
    file, wanted = Path(f"{path}.toml"), wanted.removeprefix(":")
    registered = protocol_files.everywhere()
    declared = protocol_files.protocols_in(file)
    if not wanted and len(declared) == 1:
        wanted = next(iter(declared))
    if wanted not in declared:
        raise UserError(
            f"{file} has the protocols {', '.join(declared)}; pass --protocol {file}:NAME{suggest(wanted, declared)}"
        )
    if wanted in registered and registered[wanted][1].resolve() != file.resolve():
        raise UserError(f"{file}: a protocol {wanted!r} is already in {registered[wanted][1]}; rename yours")
    return declared[wanted]


def chosen(name: str | None, benchmarks: Sequence[str]) -> Protocol:
    """Return the protocol of a command: the named one; else the default; else common rules if no protocol names the benchmarks.

    Args:
        benchmarks: ids of the benchmarks, or their first part, that the command names.

    Raises:
        UserError: no such protocol, or the benchmarks have several.
    """
    if name:
        return protocol(name)
    offered = {id for part in protocol(DEFAULT).parts for id in part.benchmarks}
    unlisted = [name for name in benchmarks if not any(id == name or id.startswith(f"{name}/") for id in offered)]
    ids = [id for name in unlisted for id in registry.matching(name)]
    if not ids:
        return protocol(DEFAULT)
    under = [rules.name for rules in protocols().values() if any(id in part.benchmarks for part in rules.parts for id in ids)]
    if under:
        raise UserError(f"{', '.join(unlisted)}: pass --protocol with one of {', '.join(under)}")
    if len(unlisted) < len(benchmarks):
        raise UserError(
            f"no protocol names {', '.join(unlisted)}: name it alone, for common rules, or pass --protocol FILE.toml"
        )
    return common(ids)


def common(benchmarks: Sequence[str]) -> Protocol:
    """Return rules for benchmarks that no protocol names: a common number of queries; own schedules for methods that train."""
    kinds = dict.fromkeys(kind for id in benchmarks for kind in registry.benchmark(id).kinds)
    parts = [
        Part(
            kind,
            tuple(id for id in benchmarks if kind in registry.benchmark(id).kinds),
            BudgetRule("queries", COMMON_QUERIES) if kind == "multi-trial" else BudgetRule(),
            wall_limit_s=None if kind == "multi-trial" else 86_400,
            seeds=None if kind == "multi-trial" else 3,
        )
        for kind in kinds
    ]
    title = f"Common rules: {COMMON_QUERIES} queries for each search that looks up, own schedules for what trains"
    return Protocol("common", title, seeds=10, wall_limit_s=600, judge={}, parts=tuple(parts), comparable=False)
