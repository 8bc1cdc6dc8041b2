"""What a protocol is: its parts and stages, budgets, search signals, seeds, and how proposals are judged."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.budget import CURRENCIES
from harness.errors import UserError

TRAININGS = "trainings"
"""A limit in trainings is that many times the mean cost of a training on the benchmark, in the benchmark's own currency."""
ALL_METHODS = "*"
"""The entry of a part's settings that is for all its methods."""


@dataclass(frozen=True)
class BudgetRule:
    """A limit of one currency, or of :data:`TRAININGS`. Currency None: no limit, each method has its own schedule.

    The limit is a number, or a number per benchmark.
    """

    currency: str | None = None
    limit: Mapping[str, float] | float = math.inf
    policy: str = "refuse"
    interpolate: bool = False

    def on(self, benchmark: str, mean_cost: float | None = None, clock: str = "seconds") -> dict[str, Any]:
        """Return the rule on one benchmark, as plain values.

        Args:
            mean_cost: mean cost of a training on the benchmark.
            clock: the currency of ``mean_cost``.

        Raises:
            UserError: the rule has no limit for the benchmark.
        """
        limit, currency = self.limit, self.currency
        if isinstance(limit, Mapping):
            if benchmark not in limit:
                raise UserError(f"the budget has no limit for {benchmark}, only for {', '.join(limit)}; say --budget")
            limit = limit[benchmark]
        if currency == TRAININGS:
            if mean_cost is None:
                raise UserError(f"{benchmark} knows no mean cost of a training, so a budget of trainings has no price there")
            limit, currency = limit * mean_cost, clock
        return {
            "currency": currency,
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
    methods: tuple[str, ...] = ()
    """Methods that belong to the protocol; empty: every method of the kind."""
    rows: Mapping[str, list[str]] = field(default_factory=dict)
    """Variants of a method that belong to the protocol. A method without an entry runs all its rows."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Presets: hyperparameters per method, or per row; those of :data:`ALL_METHODS` for each method that has them."""
    changes: Mapping[str, list[str]] = field(default_factory=dict)
    """By row, changes of a hyperparameter, ``field=value``. Each makes another row, as ``--set`` does: ``row[field=value]``."""
    paired: bool = False
    """Rows that differ from a row by hyperparameters, ``row[field=value]``, have its method seeds: they draw the same."""
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
    sets_of: int = 0
    """Searches among which a cell is chosen: of each row, one cell of each set of that many. 0: one cell of all searches."""
    probed: bool = False
    """Train the probed cells, whose accuracy under shared weights is known, instead of the proposed ones."""
    wall_limit_s: float | None = None

    @property
    def trained(self) -> str:
        """Return in words which cells the stage trains."""
        if not self.chosen_by:
            return f"every cell that is {'probed' if self.probed else 'found'}"
        return f"the best cell of each row{f' and {self.sets_of} searches' * bool(self.sets_of)} by {self.chosen_by}"

    def recipe_of(self, row: str) -> str:
        """Return the recipe for the cells that a row's searches proposed: that of the row, of its variant, or of its method."""
        variant = row.partition("[")[0]
        names = (row, variant, variant.partition(":")[0])
        return next((self.recipes[name] for name in names if name in self.recipes), self.recipe)

    def set_of(self, world: int) -> int:
        """Return the number of the set, from 1, that the search of a world belongs to."""
        return world // self.sets_of + 1 if self.sets_of else 1

    def sets(self, worlds: Iterable[int]) -> dict[int, list[int]]:
        """Return the worlds of each set, by number. A set after the first that is not complete is left out."""
        grouped: dict[int, list[int]] = {}
        for world in sorted(worlds):
            grouped.setdefault(self.set_of(world), []).append(world)
        return {number: members for number, members in grouped.items() if number == 1 or len(members) == self.sets_of}


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
        """Return the protocol with another limit: ``seconds=6000``, ``queries=100``, ``trainings=10``.

        Methods that train fit their schedules to it.

        Raises:
            UserError: the text is no budget.
        """
        currency, _, amount = text.partition("=")
        try:
            limit = float(amount)
        except ValueError:
            limit = math.nan
        least = 1 if currency == "queries" else 0
        known = (*CURRENCIES, TRAININGS)
        if currency not in known or not least <= limit < math.inf or limit == 0:
            raise UserError(
                f"budget {text!r} is not CURRENCY=AMOUNT with an amount above zero, such as seconds=6000 or queries=100"
                f" (currencies: {', '.join(known)})"
            )
        parts = []
        for part in self.parts:
            interpolate = part.budget.interpolate and currency == "seconds"
            policy = part.budget.policy if part.kind == "multi-trial" else "fit"
            rule = BudgetRule(currency, limit, policy, interpolate)
            parts.append(dataclasses.replace(part, budget=rule))
        return dataclasses.replace(self, parts=tuple(parts), modified=f"budget {currency}={limit:g}")
