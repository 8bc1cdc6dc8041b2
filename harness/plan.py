"""A protocol and filters make a plan: the list of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from harness import registry, source
from harness.errors import UserError
from harness.hyperparameters import types_of
from harness.method import Method, MethodInfo, skip_reason
from harness.opening import open_benchmark
from harness.problem import Problem
from harness.protocol import ALL_METHODS, Part, Protocol
from harness.spec import RowSpec, RunSpec
from harness.training import TrainingSide


@dataclass(frozen=True)
class Training:
    """A training from scratch of an architecture that a search of a row proposed, for one stage of the protocol."""

    stage: str
    spec: RowSpec
    row: str
    """The row whose search proposed the architecture."""
    world: int
    """Number of that search."""
    arch: str
    seed: int
    run_id: str
    """Several stages may share a run, and so may several searches that proposed the same architecture."""


@dataclass
class PlannedRow:
    """A row on a benchmark, its runs, and the ids of those that are done."""

    spec: RowSpec
    runs: list[RunSpec]
    done: set[str] = field(default_factory=set)

    @property
    def todo(self) -> list[RunSpec]:
        return [run for run in self.runs if run.run_id not in self.done]


@dataclass(frozen=True)
class Opened:
    """A benchmark opened for one part of a protocol. Two parts may search the same benchmark in different ways."""

    part: Part
    benchmark: str
    problem: Problem

    @property
    def training(self) -> TrainingSide | None:
        """Return the training side for methods of the part's kind; None if they only query."""
        return None if self.part.kind == "multi-trial" else self.problem.training

    @cached_property
    def _images(self) -> tuple[str, str]:
        try:
            return (self.training.describe() if self.training else ""), ""
        except UserError as error:
            return "", str(error)

    @property
    def trained_on(self) -> str:
        """Return the data that methods of the part's kind train on; empty for methods that only query. Opens the data."""
        return self._images[0]

    @property
    def budget(self) -> dict[str, Any]:
        """Return the budget of a search as plain values. Raises :class:`UserError` if the benchmark has no such limit."""
        return self.part.budget.on(self.benchmark, self.problem.mean_cost, self.problem.clock_currency)

    def obstacle(self, method: Method, device: str, named: bool = False) -> str:
        """Return why a row cannot run here, or ``""``. Opens the data that it trains on only if no other reason is found first.

        Args:
            method: the row's method object.
            named: the user requested the row by name, so it may take days.
        """
        if self.training and self.training.heavy and device == "cpu" and not named:
            return "takes days without a GPU: --device cuda, or name it with --methods"
        reason = self._unaffordable() or skip_reason(method, self.problem)
        return reason or ("" if registry.benchmark(self.benchmark).embedded else self._images[1])

    def _unaffordable(self) -> str:
        """Return why the budget can limit no search here, or ``""``."""
        try:
            currency = self.budget["currency"]
        except UserError as error:
            return str(error)
        if self.training is None or currency is None or currency in self.training.currencies:
            return ""
        return f"trains and is charged {', '.join(sorted(self.training.currencies))} here, not {currency}"


@dataclass
class Plan:
    """The runs of a command."""

    protocol: Protocol
    rows: list[PlannedRow]
    device: str = "cpu"
    threads: int = 1
    opened: dict[tuple[str, str], Opened] = field(default_factory=dict)
    """By benchmark and kind of method, the parts that are open; see :meth:`open`."""
    closed: dict[tuple[str, str], str] = field(default_factory=dict)
    """Reasons why parts cannot be opened, by benchmark and kind of method."""
    skipped: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Reasons why rows (or stages) cannot run, by benchmark, kind of method, and row (or stage)."""
    trainings: list[Training] = field(default_factory=list)
    """Trainings of the stages after the search whose inputs are known; see :mod:`harness.stages`."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Descriptions of the trainings of stages whose inputs do not exist yet, by stage."""

    @property
    def todo(self) -> int:
        return sum(len(row.todo) for row in self.rows)

    def tables(self) -> list[str]:
        """Return the tables that are looked up, one line each."""
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
            known = [
                opened for opened in self.opened.values() if opened.benchmark == benchmark and opened.part.search == part.search
            ]
            problem = known[0].problem if known else open_benchmark(benchmark, part.search, self.protocol.judge)
            self.opened[key] = Opened(part, benchmark, problem)
        return self.opened[key]

    def problem(self, spec: RowSpec) -> Problem:
        """Return the problem of a planned search."""
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
            budget=opened.budget,
            search=dict(part.search),
            judge=dict(self.protocol.judge),
            checksum=problem.checksum,
            record=problem.record,
            code=source.of_search(info.file, problem, part.kind),
            wall_limit_s=part.wall_limit_s or self.protocol.wall_limit_s,
            device=device,
            threads=self.threads if opened.trained_on else 1,
            trained_on=opened.trained_on,
            paired=part.paired,
        )


@dataclass(frozen=True)
class Selection:
    """Rows of a protocol's parts that a command selects, and the hyperparameters that it changes."""

    methods: Sequence[str] = ()
    """``method``, ``method:variant`` or ``file.py``; empty: every row of a part."""
    everything: bool = False
    """Every row of a part, and the rows of ``methods``."""
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """``{method: {field: text}}`` from ``--set``."""


@dataclass(frozen=True)
class Resolved:
    """A row on an opened benchmark with its hyperparameters."""

    name: str
    """The row, with the hyperparameters that ``--set`` changed: ``reinforce[lr=0.1]``."""
    info: MethodInfo
    method: Method
    settings: Mapping[str, Any]
    named: bool
    """The user requested the row by name."""
    changed_by: frozenset[str] = frozenset()
    """The names in :attr:`Selection.settings` that apply to the row."""


def make(
    protocol: Protocol,
    *,
    methods: Sequence[str] = (),
    everything: bool = False,
    benchmarks: Sequence[str] = (),
    seeds: int | None = None,
    settings: Mapping[str, Mapping[str, str]] | None = None,
    device: str = "cpu",
    threads: int = 1,
    report_only: bool = False,
) -> Plan:
    """Return the plan for ``protocol`` restricted to the named methods and benchmarks.

    Args:
        methods: ``method``, ``method:variant`` or ``file.py``; empty means every row of the protocol.
        everything: every row of the protocol, and the rows of ``methods``.
        benchmarks: ids or their first part (``nb201``); empty means all of the protocol's.
        seeds: number of worlds; None means the protocol's number.
        settings: ``{method: {field: text}}`` from ``--set``; a row's name contains the settings that it changes.
        report_only: nothing will run. A benchmark without data is then an entry of ``closed``, and a plan may have no rows.

    Raises:
        UserError: an unknown name, missing data, a setting that changes no row, or nothing to run.
    """
    selection = Selection(methods, everything, settings or {})
    wanted = _benchmarks(protocol, benchmarks)
    plan = Plan(protocol, [], device, threads)
    used: set[str] = set()
    for part in protocol.parts:
        rows = _rows(part, selection)
        for benchmark in part.benchmarks if rows else ():
            if benchmark not in wanted:
                continue
            try:
                opened = plan.open(part, benchmark)
            except UserError as error:
                if not report_only:
                    raise
                plan.closed[benchmark, part.kind] = str(error)
                continue
            worlds = range(seeds or part.seeds or protocol.seeds)
            for row, info in rows.items():
                resolved = _resolve(opened, row, info, selection)
                used |= resolved.changed_by
                _add(plan, opened, resolved, worlds)
                for change in part.changes.get(row, ()):
                    _add(plan, opened, _resolve(opened, row, info, _changed(selection, row, change)), worlds)
    for name in selection.settings.keys() - used:
        raise _changes_nothing(name, selection)
    if not plan.rows and not report_only:
        raise _nothing_to_run(plan, methods)
    return plan


def _rows(part: Part, selection: Selection) -> dict[str, MethodInfo]:
    """Return the selected rows of a part, in the protocol's order; rows that only the user named come last."""
    if not selection.methods:
        return rows_of(part)
    named = rows_of(part, selection.methods)
    return {**rows_of(part), **named} if selection.everything else named


def _resolve(opened: Opened, row: str, info: MethodInfo, selection: Selection) -> Resolved:
    """Return a row with its hyperparameters on an opened benchmark.

    Raises:
        UserError: a hyperparameter is unknown or has an impossible value.
    """
    texts, names = registry.texts_for(info, row, selection.settings)
    values = registry.settings(info, row, opened.problem.space.name, preset(opened.part, row), texts)
    named = bool(selection.methods) and row in rows_of(opened.part, selection.methods)
    return Resolved(registry.altered(info, row, texts), info, registry.build(info, values), values, named, frozenset(names))


def _changed(selection: Selection, row: str, change: str) -> Selection:
    """Return the selection with one more ``--set``, which the protocol makes. Raises :class:`UserError`."""
    name, equals, text = change.partition("=")
    if not equals:
        raise UserError(f"the change {change!r} of {row} in the protocol is not of the form field=value")
    settings = {**selection.settings, row: {**selection.settings.get(row, {}), name: text}}
    return replace(selection, settings=settings)


def _add(plan: Plan, opened: Opened, resolved: Resolved, worlds: Iterable[int]) -> None:
    """Add a row to the plan, or the reason why it cannot run. A row that ``--set`` made equal to another is added once."""
    if any((row.spec.benchmark, row.spec.row) == (opened.benchmark, resolved.name) for row in plan.rows):
        return
    reason = opened.obstacle(resolved.method, plan.device, resolved.named)
    if reason:
        plan.skipped[opened.benchmark, opened.part.kind, resolved.name] = reason
        return
    spec = plan.spec(opened, resolved.name, resolved.info, resolved.settings, plan.device)
    plan.rows.append(PlannedRow(spec, [spec.run(world) for world in worlds]))


def _changes_nothing(name: str, selection: Selection) -> UserError:
    """Return the error for a ``--set`` that changes no row."""
    info = next(iter(registry.select_rows([name]).values()))
    settings = " ".join(f"--set {name}.{field}={text}" for field, text in selection.settings[name].items())
    methods = ",".join(selection.methods)
    runs = f"--methods {methods} does not run {info.name}" if methods else f"{info.name} does not run here"
    return UserError(f"{settings} changes no row: {runs}")


def _nothing_to_run(plan: Plan, methods: Sequence[str]) -> UserError:
    """Return the error for a plan without rows, with the reasons."""
    kinds = ", ".join(sorted({part.kind for part in plan.protocol.parts}))
    named = ", ".join(f"{row} is a {info.kind} method" for row, info in registry.select_rows(methods).items())
    why = _reasons(plan) or f"it runs {kinds} methods there, and {named or 'there is none'}"
    return UserError(f"nothing to run under {plan.protocol.name}: {why}")


def _reasons(plan: Plan) -> str:
    """Return why rows cannot run, each reason once; with the benchmarks, unless the reason is the same on all of them."""
    places: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for (benchmark, _, row), reason in plan.skipped.items():
        rows, benchmarks = places.setdefault(reason, ({}, {}))
        rows[row] = benchmarks[benchmark] = None
    everywhere = {benchmark for benchmark, *_ in plan.skipped}
    where = {reason: "" if set(names) == everywhere else f" on {', '.join(names)}" for reason, (_, names) in places.items()}
    return "; ".join(f"{', '.join(rows)}{where[reason]} {reason}" for reason, (rows, _) in places.items())


def _benchmarks(protocol: Protocol, names: Sequence[str]) -> list[str]:
    """Return the ids of the named benchmarks that the protocol searches. Raises :class:`UserError` for any other name."""
    offered = list(dict.fromkeys(benchmark for part in protocol.parts for benchmark in part.benchmarks))
    if not names:
        return offered
    wanted = []
    for name in names:
        matching = [benchmark for benchmark in offered if benchmark == name or benchmark.startswith(f"{name}/")]
        if not matching:
            registry.matching(name)  # raises for an unknown name
            raise UserError(f"protocol {protocol.name} does not search {name}; it searches {', '.join(offered)}")
        wanted += matching
    return wanted


def rows_of(part: Part, methods: Sequence[str] = ()) -> dict[str, MethodInfo]:
    """Return the rows of a part: those of ``methods``, those of the part's methods, or those of every method of its kind."""
    if methods:
        return {row: info for row, info in registry.select_rows(methods, part.rows).items() if info.kind == part.kind}
    names = part.methods or [info.name for info in registry.methods().values() if info.kind == part.kind]
    return registry.select_rows(names, part.rows)


def preset(part: Part, row: str) -> dict[str, Any]:
    """Return the hyperparameters that the protocol sets for a row: for all methods, for its method, then for the row itself.

    Those for all methods are for the methods of the project and of installed packages that have such a field.

    Raises:
        UserError: no method of the part's kind has a field that is set for all.
    """
    name = row.partition(":")[0]
    common = part.settings.get(ALL_METHODS, {})
    fields = {info.name: types_of(info.cls) for info in registry.methods().values() if common and info.kind == part.kind}
    for field_name in common:
        if not any(field_name in types for types in fields.values()):
            raise UserError(f"the protocol sets {field_name!r} for all {part.kind} methods, and none has such a setting")
    of_all = {key: value for key, value in common.items() if key in fields.get(name, {})}
    return {**of_all, **part.settings.get(name, {}), **part.settings.get(row, {})}
