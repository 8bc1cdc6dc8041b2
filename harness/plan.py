"""Protocol and filters -> a priced list of runs. The only place that reads the store before a search."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness import registry, source
from harness.errors import UserError
from harness.method import Method, MethodInfo, skip_reason
from harness.opening import open_benchmark
from harness.problem import Problem
from harness.protocol import Part, Protocol
from harness.seeds import derive
from harness.training import TrainingSide


@dataclass(frozen=True)
class RowSpec:
    """Everything that the runs of one row on one benchmark have in common; plain values, so that it travels to any worker."""

    protocol: str
    benchmark: str
    row: str
    method: str
    """A registered name or the path of a file."""
    kind: str
    settings: Mapping[str, Any]
    budget: Mapping[str, Any]
    search: Mapping[str, Any]
    judge: Mapping[str, Any]
    checksum: str
    record: str
    code: str
    """Digest of the source that a run executes; see :mod:`harness.source`."""
    wall_limit_s: float
    device: str = "cpu"
    threads: int = 1
    """Threads of a run that trains on the processor: with more, sums are added in another order."""
    trained_on: str = ""
    """The data that a method of this kind trains on; nothing where it asks an oracle alone."""

    def plain(self) -> dict[str, Any]:
        """The fields by name, as the store keeps them."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @cached_property
    def identity(self) -> str:
        """Digest of all of this: a change of any field makes new runs."""
        fields = {**self.plain(), "method": None}  # a name or a path: the code says what it is
        return hashlib.sha256(json.dumps(fields, sort_keys=True, default=list).encode()).hexdigest()

    def run(self, world: int) -> RunSpec:
        """The run with world number ``world``: one world seed shared by all methods, and a method seed of its own."""
        return RunSpec(
            run_id=hashlib.sha256(f"{self.identity}:{world}".encode()).hexdigest()[:24],
            world=world,
            world_seed=derive("world", self.benchmark, world),
            method_seed=derive("method", self.row, self.benchmark, world),
        )


RETRAINING = "retraining"
"""The kind of a row of trainings from scratch; any other kind is one of method."""


@dataclass(frozen=True)
class RunSpec:
    """One search of a row, or one training from scratch."""

    run_id: str
    world: int
    """Number of the world, the axis along which methods are paired."""
    world_seed: int
    method_seed: int
    arch: str = ""
    """What is trained from scratch; nothing for a search."""


@dataclass(frozen=True)
class Training:
    """A training of a cell that a search of a row proposed, as one stage of the protocol wants it."""

    stage: str
    spec: RowSpec
    row: str
    """The row whose search proposed the cell."""
    world: int
    """Number of that search."""
    arch: str
    seed: int
    run_id: str
    """Several stages, or several searches that found one cell, may share a run."""


@dataclass
class PlannedRow:
    """A row on a benchmark, its runs, and what of it is already done."""

    spec: RowSpec
    runs: list[RunSpec]
    done: set[str] = field(default_factory=set)

    @property
    def todo(self) -> list[RunSpec]:
        return [run for run in self.runs if run.run_id not in self.done]


@dataclass(frozen=True)
class Opened:
    """A benchmark opened for one part of a protocol; two parts of one benchmark may search it in different ways."""

    part: Part
    benchmark: str
    problem: Problem

    @property
    def training(self) -> TrainingSide | None:
        """Return what methods of the part's kind train on; None if they only query."""
        return None if self.part.kind == "multi-trial" else self.problem.training

    @cached_property
    def _images(self) -> tuple[str, str]:
        try:
            return (self.training.describe() if self.training else ""), ""
        except UserError as error:
            return "", str(error)

    @property
    def trained_on(self) -> str:
        """The data that methods of the part's kind train on; empty for methods that only query. Opens the data."""
        return self._images[0]

    def obstacle(self, method: Method, device: str, named: bool = False) -> str:
        """Return why a row cannot run here, or ``""``; opens the data that it trains on only if nothing else is in the way.

        Args:
            method: the row's method object.
            named: the user asked for the row by name, so that it may take days.
        """
        if self.training and self.training.heavy and device == "cpu" and not named:
            return "takes days without a GPU: --device cuda, or name it with --methods"
        reason = skip_reason(method, self.problem)
        return reason or ("" if registry.benchmark(self.benchmark).embedded else self._images[1])


@dataclass
class Plan:
    """What a command is going to do."""

    protocol: Protocol
    rows: list[PlannedRow]
    device: str = "cpu"
    threads: int = 1
    opened: dict[tuple[str, str], Opened] = field(default_factory=dict)
    """By benchmark and kind of method, the parts that are open; see :meth:`open`."""
    closed: dict[tuple[str, str], str] = field(default_factory=dict)
    """By benchmark and kind of method, why a part cannot be opened here."""
    skipped: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """By benchmark, kind of method, and row (or stage), why it cannot run here."""
    trainings: list[Training] = field(default_factory=list)
    """Of the stages after the search, as far as their inputs are known; see :mod:`harness.stages`."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Stages whose inputs are still to be made, and what they will train."""

    @property
    def todo(self) -> int:
        return sum(len(row.todo) for row in self.rows)

    def tables(self) -> list[str]:
        """Return which tables are looked up, one line each."""
        names: dict[str, dict[str, None]] = {}
        for opened in self.opened.values():
            if table := opened.problem.facts.table:
                names.setdefault(table, {})[opened.benchmark] = None
        return [f"{', '.join(benchmarks)}: {table}" for table, benchmarks in names.items()]

    @property
    def total(self) -> int:
        return sum(len(row.runs) for row in self.rows)

    def open(self, part: Part, benchmark: str) -> Opened:
        """Return the benchmark opened for a part, from memory the second time. Raises :class:`UserError` if it cannot be."""
        key = benchmark, part.kind
        if key not in self.opened:
            known = [one for one in self.opened.values() if one.benchmark == benchmark and one.part.search == part.search]
            problem = known[0].problem if known else open_benchmark(benchmark, part.search, self.protocol.judge)
            self.opened[key] = Opened(part, benchmark, problem)
        return self.opened[key]

    def problem(self, spec: RowSpec) -> Problem:
        """Return the problem that a planned search meets."""
        return self.opened[spec.benchmark, spec.kind].problem

    def spec(self, opened: Opened, row: str, info: MethodInfo, settings: Mapping[str, Any], device: str) -> RowSpec:
        """Return the specification of a row as the present code would run it."""
        part, problem = opened.part, opened.problem
        return RowSpec(
            protocol=self.protocol.name,
            benchmark=opened.benchmark,
            row=row,
            method=info.reference,
            kind=part.kind,
            settings=settings,
            budget=part.budget.on(opened.benchmark, problem.mean_cost),
            search=dict(part.search),
            judge=dict(self.protocol.judge),
            checksum=problem.checksum,
            record=problem.record,
            code=source.of_search(info.file, problem, part.kind),
            wall_limit_s=part.wall_limit_s or self.protocol.wall_limit_s,
            device=device,
            threads=self.threads if opened.trained_on else 1,
            trained_on=opened.trained_on,
        )


def make(
    protocol: Protocol,
    *,
    methods: Sequence[str] = (),
    everything: bool = False,
    benchmarks: Sequence[str] = (),
    seeds: int | None = None,
    given: Mapping[str, Mapping[str, str]] | None = None,
    device: str = "cpu",
    threads: int = 1,
    report_only: bool = False,
) -> Plan:
    """The plan for ``protocol`` restricted to the named methods and benchmarks.

    Args:
        methods: ``method``, ``method:variant`` or ``file.py``; none means every row of the protocol.
        everything: every row of the protocol, and those of ``methods``.
        benchmarks: ids or their first part (``nb201``); none means all of the protocol's.
        seeds: how many worlds; none means the protocol's number.
        given: ``{method: {setting: text}}`` from ``--set``; the rows it changes are named after the change.
        report_only: nothing will run: a benchmark without data stands in ``closed``, and a plan without rows is no error.

    Raises:
        UserError: an unknown name, or data that is not there.
    """
    given = given or {}
    used: set[str] = set()
    wanted = _benchmarks(protocol, benchmarks)
    plan = Plan(protocol, [], device, threads)
    for part in protocol.parts:
        named = rows_of(part, methods) if methods else {}
        rows = {**rows_of(part), **named} if everything or not methods else named
        for benchmark_id in [one for one in part.benchmarks if one in wanted] if rows else []:
            try:
                opened = plan.open(part, benchmark_id)
            except UserError as error:
                if not report_only:
                    raise
                plan.closed[benchmark_id, part.kind] = str(error)
                continue
            for row, info in rows.items():
                texts, names = registry.texts_for(info, row, given)
                used |= names
                values = registry.settings(info, row, opened.problem.space.name, preset(part, row), texts)
                name = registry.altered(info, row, texts)
                if (benchmark_id, name) in {(planned.spec.benchmark, planned.spec.row) for planned in plan.rows}:
                    continue  # variants that --set made equal
                reason = opened.obstacle(registry.build(info, values), device, named=row in named)
                if reason:
                    plan.skipped[benchmark_id, part.kind, name] = reason
                    continue
                spec = plan.spec(opened, name, info, values, device)
                worlds = range(seeds or part.seeds or protocol.seeds)
                plan.rows.append(PlannedRow(spec, [spec.run(world) for world in worlds]))
    for name in given.keys() - used:
        _refuse_setting(name, given[name], methods)
    if not plan.rows and not report_only:
        kinds = ", ".join(sorted({part.kind for part in protocol.parts}))
        others = ", ".join(f"{row} is a {info.kind} method" for row, info in registry.select_rows(methods).items())
        why = _reasons(plan) or f"it runs {kinds} methods there, and {others or 'there is none'}"
        raise UserError(f"nothing to run under {protocol.name}: {why}")
    return plan


def _refuse_setting(name: str, fields: Mapping[str, str], methods: Sequence[str]) -> None:
    """A setting that changes no row is a mistake."""
    info = next(iter(registry.select_rows([name]).values()))
    settings = " ".join(f"--set {name}.{field}={text}" for field, text in fields.items())
    runs = f"--methods {','.join(methods)} does not run {info.name}" if methods else f"{info.name} does not run here"
    raise UserError(f"{settings} changes no row: {runs}")


def _reasons(plan: Plan) -> str:
    """Why rows cannot run, once per reason; the benchmarks are named if the reason does not hold on all of them."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for (benchmark, _, row), reason in plan.skipped.items():
        rows, benchmarks = found.setdefault(reason, ({}, {}))
        rows[row] = benchmarks[benchmark] = None
    everywhere = {benchmark for benchmark, *_ in plan.skipped}
    where = {reason: "" if set(names) == everywhere else f" on {', '.join(names)}" for reason, (_, names) in found.items()}
    return "; ".join(f"{', '.join(rows)}{where[reason]} {reason}" for reason, (rows, _) in found.items())


def _benchmarks(protocol: Protocol, names: Sequence[str]) -> list[str]:
    offered = list(dict.fromkeys(one for part in protocol.parts for one in part.benchmarks))
    if not names:
        return offered
    wanted = []
    for name in names:
        matching = [one for one in offered if one == name or one.startswith(f"{name}/")]
        if not matching:
            registry.matching(name)  # an unknown name says so
            raise UserError(f"protocol {protocol.name} does not search {name}; it searches {', '.join(offered)}")
        wanted += matching
    return wanted


def rows_of(part: Part, methods: Sequence[str] = ()) -> dict[str, MethodInfo]:
    """Rows of ``part``: those asked for, else those of every registered method of its kind."""
    if methods:
        return {row: info for row, info in registry.select_rows(methods, part.rows).items() if info.kind == part.kind}
    mine = [info.name for info in registry.methods().values() if info.kind == part.kind]
    return registry.select_rows(mine, part.rows)


def preset(part: Part, row: str) -> dict[str, Any]:
    """What the protocol sets for a row: of its method, then of the row itself."""
    return {**part.settings.get(row.partition(":")[0], {}), **part.settings.get(row, {})}
