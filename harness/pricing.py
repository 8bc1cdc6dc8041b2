"""Print the runs of a plan and their price: ``--dry-run`` from stored runs, ``--price`` from a timed start of each row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness import machine
from harness.engine import Job, local
from harness.outcome import TOO_SMALL
from harness.pace import Work, duration, seconds_left
from harness.plan import Plan, PlannedRow
from harness.spec import RETRAINING

SAMPLE_S = 1.0
"""Seconds for which a search is timed after its first sign of progress."""
MEMORY_SHARE = 0.8
"""Share of the free memory that all timed searches together may take."""

Costs = Mapping[str, tuple[int, float]]
"""By row identity, runs that are done and the real seconds that they took."""


def show(plan: Plan, costs: Costs, workers: int) -> None:
    """Print the plan as a table, priced by the stored runs of each row."""
    methods = _count(len({row.spec.method for row in plan.rows if row.spec.kind != RETRAINING}), "method")
    names = list(dict.fromkeys(row.spec.benchmark for row in plan.rows))
    rows = _count(len(plan.rows), "row")
    runs = f"{plan.total:,} {'searches and trainings' if plan.trainings else 'searches'}"
    print(f"{plan.protocol.name}: {rows} ({methods}), {runs} on {', '.join(names)}; {plan.total - plan.todo:,} done")
    width = _width(plan)
    print(f"  {'row':{width}}{'done':>7}{'to do':>8}  {'budget each':24}takes about")
    shown = names[0] if len(names) == 1 else ""
    for planned in plan.rows:
        if planned.spec.benchmark != shown:
            shown = planned.spec.benchmark
            print(f"  {shown}")
        rule = planned.spec.budget
        amount = f"{rule['limit']:{',.0f' if 10 <= rule['limit'] < 1e9 else '.3g'}}"
        limit = f"{amount} charged {rule['currency']}" if rule["currency"] else "own schedule"
        done, todo = len(planned.runs) - len(planned.todo), len(planned.todo)
        print(f"  {planned.spec.row:{width}}{done:>7,}{todo:>8,}  {limit:23} {_about(planned, costs)}")
    for (benchmark, _, row), reason in plan.skipped.items():
        where = f" on {benchmark}" if len({name for name, _ in plan.opened}) > 1 else ""
        print(f"  {row:{width}}{'–':>7}{'–':>8}  not measured here{where}: {reason}")
    trained = any(opened.problem.retraining for opened in plan.opened.values())
    for stage in plan.protocol.stages if trained else ():
        if stage.name in plan.waiting or not plan.trainings:
            trainings = _count(stage.seeds, "training")
            print(f"  then {stage.name}: {stage.trained}, {trainings} from scratch, priced once it is known")
    print(f"  {'total':{width}}{plan.total - plan.todo:>7,}{plan.todo:>8,}  {'':24}{_total(plan, costs, workers)}")


def measure(plan: Plan, costs: Costs, workers: int) -> None:
    """Time a start of every row whose price is unknown, one line each, and print the total."""
    unknown = [row for row in plan.rows if row.todo and row.spec.identity not in costs]
    measured = dict(costs)
    if unknown:
        print(f"timing the start of {_count(len(unknown), 'row')} (Ctrl-C stops it):", flush=True)
    names = {row.spec.identity: f"{row.spec.benchmark}  {row.spec.row}" for row in unknown}
    width = max(map(len, names.values()), default=0) + 2
    rows = {row.spec.identity: row for row in unknown}
    for identity, seconds, trouble in _sampled(unknown, workers):
        if seconds is None:
            about = trouble
        else:
            measured[identity] = 1, seconds
            about = f"{duration(seconds)} each, {_about(rows[identity], measured)} in all"
        print(f"  {names[identity]:{width}}{about}", flush=True)
    failing = [row for row in unknown if row.spec.identity not in measured]
    print(f"  {'total':{width}}{_total(plan, measured, workers, without=failing)}")


def _sampled(rows: Sequence[PlannedRow], workers: int) -> Iterator[tuple[str, float | None, str]]:
    """Yield by row identity the real seconds that one of its runs takes with all workers busy, or None with the reason."""
    memory = int(MEMORY_SHARE * machine.free_memory() / workers)
    with machine.bounded_memory(memory):  # the workers inherit it
        for finished in local(_samples(rows), workers):
            if isinstance(finished, list):
                continue
            spec, _, result = finished
            if result.status in ("done", "sampled"):
                yield spec.identity, result.wall_seconds, ""
            elif result.status == TOO_SMALL:
                yield spec.identity, None, f"the budget is too small: it {result.error}"
            elif "MemoryError" in result.error or "allocate memory" in result.error:
                yield spec.identity, None, f"needs more than {memory / 1e9:.1f} GB, the share of one worker"
            else:
                yield spec.identity, None, "fails at its first search"


def _samples(rows: Iterable[PlannedRow]) -> Iterator[Job]:
    for row in rows:
        run = row.runs[0] if row.spec.kind == RETRAINING else row.spec.run(-1)
        yield Job(row.spec, (run,), sample_s=SAMPLE_S)


def _about(row: PlannedRow, costs: Costs) -> str:
    if not row.todo:
        return "done"
    if row.spec.identity not in costs:
        return "unknown: --price measures it"
    runs, seconds = costs[row.spec.identity]
    return duration(seconds / runs * len(row.todo))


def _total(plan: Plan, costs: Costs, workers: int, without: Sequence[PlannedRow] = ()) -> str:
    rows = [row for row in plan.rows if row not in without]
    known = [row for row in rows if not row.todo or row.spec.identity in costs]
    works = [Work(row.spec.identity, len(row.todo), *costs.get(row.spec.identity, (0, 0.0))) for row in known]
    missing = sum(len(row.todo) for row in rows if row not in known)
    unknown = f"{missing:,} runs of unknown price"
    if missing and not any(work.left for work in works):
        return unknown
    text = f"{duration(seconds_left(works, workers) or 0.0)} on {_count(workers, 'worker')}"
    return f"{text}, and {unknown}" if missing else text


def _width(plan: Plan) -> int:
    return max([len(row.spec.row) for row in plan.rows] + [len(row) for *_, row in plan.skipped] + [6]) + 2


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
