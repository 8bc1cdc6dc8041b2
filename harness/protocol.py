"""Named protocols, read from ``benchmarks/protocols.toml``: a budget, a search signal, seeds, and what judges."""

from __future__ import annotations

import dataclasses
import importlib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from harness.budget import CURRENCIES, POLICIES
from harness.problem import UserError
from harness.registry import suggest

DEFAULT = "digits"
MEAN_COST = "mean_cost"


@dataclass(frozen=True)
class BudgetRule:
    """What binds: ``limit`` of ``currency``; ``None`` binds nothing (own schedule).

    The limit is a number, or one per benchmark, or ``{"mean_cost": N}``: N times what a query costs there on average.
    """

    currency: str | None = None
    limit: Mapping[str, float] | float = math.inf
    policy: str = "refuse"
    interpolate: bool = False

    def on(self, benchmark: str, mean_cost: float | None = None) -> dict[str, Any]:
        """The rule on one benchmark, as plain values.

        ``mean_cost`` is the mean charged seconds of a query there. Raises :class:`UserError` where the limit needs it and the
        benchmark knows none.
        """
        limit = self.limit
        if isinstance(limit, Mapping) and MEAN_COST in limit:
            if mean_cost is None:
                raise UserError(f"{benchmark} knows no mean cost of a query, which the limit is a multiple of; say --budget")
            limit = limit[MEAN_COST] * mean_cost
        return {
            "currency": self.currency,
            "limit": float(limit[benchmark] if isinstance(limit, Mapping) else limit),
            "policy": self.policy,
            "interpolate": self.interpolate,
        }


@dataclass(frozen=True)
class Part:
    """What one kind of method does under a protocol."""

    kind: str
    benchmarks: tuple[str, ...]
    budget: BudgetRule = BudgetRule()
    search: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, list[str]] = field(default_factory=dict)
    """Variants of a method that belong to the protocol; a method not named runs all its rows."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Presets: hyperparameters per method, or per row."""
    seeds: int | None = None
    """Where this kind runs another number of seeds than the protocol says."""
    wall_limit_s: float | None = None
    """Where this kind may take another real time."""


@dataclass(frozen=True)
class Stage:
    """Trainings from scratch of what a part's searches proposed: every cell, or of each row the one another stage chose."""

    name: str
    of: str
    """The kind of the part whose proposals are trained."""
    recipe: str
    """The benchmark's name of it."""
    recipes: Mapping[str, str] = field(default_factory=dict)
    """Of methods, or of single rows, that their papers train in another way."""
    seeds: int = 1
    """Trainings of each cell."""
    first_seed: int = 0
    """Where the seeds begin: apart from those by which a cell was chosen."""
    split: str = "test"
    """``test``: all training images, held against the test set; ``valid``: a part of the training images held out."""
    data: str = ""
    """Another data set than the searched one."""
    chosen_by: str = ""
    """Of each row the cell with the highest mean accuracy in this stage; nothing: every cell."""
    probed: bool = False
    """Trains what searches probed instead of what they proposed: cells whose accuracy under shared weights is known."""
    wall_limit_s: float | None = None

    @property
    def what(self) -> str:
        """What searches do with the cells that it trains, in a word."""
        return "probed" if self.probed else "found"

    def recipe_of(self, row: str) -> str:
        """The recipe for the cells that a row's searches find."""
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
    """What follows the searches, in order."""
    paper: str = ""
    comparable: bool = True
    """Whether published numbers were made under these rules."""
    modified: str = ""
    """What the command line changed of it, in words."""

    def with_budget(self, text: str) -> Protocol:
        """The same protocol under ``currency=amount`` (``seconds=6000``, ``queries=100``). Raises :class:`UserError`."""
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
    """All protocols, by name."""
    file = Path(importlib.import_module("benchmarks").__path__[0]) / "protocols.toml"
    return {name: _protocol(name, table) for name, table in tomllib.loads(file.read_text()).items()}


def protocol(name: str) -> Protocol:
    """The protocol of that name. Raises :class:`UserError`."""
    known = protocols()
    if name not in known:
        raise UserError(f"no protocol {name!r}{suggest(name, known)}   (there are {', '.join(known)})")
    return known[name]


def _protocol(name: str, table: Mapping[str, Any]) -> Protocol:
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    parts = tuple(
        _part(key, value) for key, value in table.items() if isinstance(value, dict) and key not in ("judge", "stages")
    )
    stages = tuple(Stage(name=key, **value) for key, value in table.get("stages", {}).items())
    for number, stage in enumerate(stages):
        if stage.chosen_by and stage.chosen_by not in [one.name for one in stages[:number]]:
            raise ValueError(f"protocols.toml: stage {name}.{stage.name} is chosen by {stage.chosen_by!r}, no stage before it")
    return Protocol(name=name, judge=table["judge"], parts=parts, stages=stages, **plain)


def _part(key: str, table: Mapping[str, Any]) -> Part:
    """A part is named after its kind, or says its kind where there are several of one."""
    rule = BudgetRule(**table.get("budget", {}))
    if isinstance(rule.limit, Mapping) and MEAN_COST in rule.limit and rule.currency != "seconds":
        raise ValueError(f"protocols.toml: a limit in mean costs is one of seconds, not of {rule.currency}")
    if rule.policy not in POLICIES:
        raise ValueError(f"protocols.toml: budget policy {rule.policy!r} is not one of {', '.join(POLICIES)}")
    rest = {key: value for key, value in table.items() if key not in ("budget", "benchmarks", "kind")}
    return Part(kind=table.get("kind", key), benchmarks=tuple(table["benchmarks"]), budget=rule, **rest)
