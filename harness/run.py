"""The command line: ``python -m harness.run``."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness import command, completion, engines, machine, packages, protocols, provenance, registry
from harness.engine import Engine, Surroundings
from harness.errors import UserError
from harness.outcome import TOO_SMALL
from harness.plan import Plan, make
from harness.protocol import Protocol

if TYPE_CHECKING:
    from harness.store import Store

EPILOG = f"""
\b
Methods, benchmarks and protocols, and whether they can run here:
  python -m harness.run --list
What would run, and how long it would take:
  python -m harness.run --protocol nb201-2020 --dry-run
  python -m harness.run --protocol nb201-2020 --price
From another terminal: the progress of a sweep, and a page of its results so far:
  python -m harness.run --status
  python -m harness.run --protocol nb201-2020 --report
Run it, resume it, report it:
  python -m harness.run --protocol nb201-2020 --seeds 500
Every number and claim of the papers, with what the stored runs say (--out again for another store):
  python -m harness.run --scoreboard
Your own method: does it keep the contract, and how does it compare:
  python -m harness.run --check ./my_method.py
  python -m harness.run --methods ./my_method.py --seeds 50
Every row, and yours:
  python -m harness.run --all --methods ./my_method.py --benchmarks nb201/digits --seeds 3
Another hyperparameter:
  python -m harness.run --methods reinforce --set reinforce.lr=0.1

Finished runs are kept in OUT/runs.sqlite and never repeated; the same command continues where it stopped.
Exit codes: {command.EXIT_CODES}.
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog=EPILOG)
def run(
    all_: Annotated[bool, typer.Option("--all", help="Every row of the protocol; with --methods, those too.")] = False,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Rules of the comparison, or their FILE.toml. [default: {protocols.DEFAULT}]",
            autocompletion=completion.protocol,
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Methods, rows (method:variant) or files (./mine.py), comma-separated.",
            autocompletion=completion.methods,
        ),
    ] = None,
    benchmarks: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Benchmarks, or their first part (nb201).", autocompletion=completion.benchmarks),
    ] = None,
    seeds: Annotated[int | None, typer.Option(metavar="N", min=1, help="Searches per row. [default: the protocol's]")] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="CURRENCY=AMOUNT", help="Another limit: seconds=6000, queries=100, trainings=10.")
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The table to look up: its path, or the start of its kind's name.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="METHOD.FIELD=VALUE", help="A hyperparameter; repeatable."),
    ] = None,
    engine: Annotated[str, typer.Option(metavar="local|ray|slurm", help="This machine's cores, or a cluster.")] = "local",
    slurm: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of sbatch, with --engine slurm: partition=gpu; repeatable."),
    ] = None,
    gpus_per_run: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of a GPU for each run, on a cluster with --device cuda.")
    ] = 1.0,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Processes. [default: one per usable core; with cuda, as many as fit]"),
    ] = None,
    threads: Annotated[
        int, typer.Option(metavar="N", min=1, help="Threads of each run that trains; another number gives other last digits.")
    ] = 1,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Device of methods that train.")] = "cpu",
    outs: Annotated[
        list[Path] | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder for the store and the reports; --scoreboard reads several. [default: results]"
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its known price; run nothing.")] = False,
    price: Annotated[
        bool, typer.Option("--price", help="As --dry-run; begin a search of each row whose price is unknown, to time it.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Print what is done, running and failed in DIR, and when it will end; run nothing.")
    ] = False,
    report: Annotated[bool, typer.Option("--report", help="Write the page of what is done so far; run nothing.")] = False,
    scoreboard: Annotated[
        bool, typer.Option("--scoreboard", help="Write DIR/scoreboard.md: every result that the papers print, and ours.")
    ] = False,
    report_to: Annotated[
        Path | None, typer.Option("--report-to", metavar="DIR", help="Folder for the page. [default: that of --out]")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Print methods, benchmarks and protocols.")] = False,
    check: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Test a method (or ./mine.py) or a benchmark against the contract."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Print why runs failed; run nothing.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Do failed runs again.")] = False,
    if_found: Annotated[
        bool, typer.Option("--if-found", help="Leave out benchmarks whose data is not here, and say so.")
    ] = False,
) -> None:
    """Run search methods on benchmarks under one budget, and report them next to the papers' numbers."""
    from harness import choice

    choice.choose(table)
    out, *more = outs or [Path("results")]
    if more and not scoreboard:
        raise UserError("--out names several folders; only --scoreboard reads more than one")
    around = Surroundings(threads=threads)  # before a user's file is imported, which may change folder and environment
    if list_:
        _list()
    elif check:
        _check(check)
    elif failed or status:
        _look(out, failures=failed)
    elif scoreboard:
        _scoreboard([out, *more], report_to or out)
    else:
        if not (all_ or protocol or methods or benchmarks):
            raise UserError(
                "nothing to do: pass --all, --protocol, --methods or --benchmarks   (--help explains, --list shows all)"
            )
        if device not in ("cpu", "cuda"):
            raise UserError(f"device {device!r} is not cpu or cuda")
        if device == "cuda" and engine == "local" and not (dry_run or report):
            around = replace(around, gpus=machine.gpus())
            if not workers:
                from harness import replicas

                room, workers = replicas.shared(around.gpus, machine.cores())
                around = replace(around, room=room)
        named = _names("--methods", methods)
        searched = [registry.spelled(name) for name in _names("--benchmarks", benchmarks)]
        runs_on = engines.choose(engine, around, out, slurm or (), gpus_per_run)
        rules = protocols.chosen(protocol, searched)
        if budget:
            rules = rules.with_budget(budget)
        if choice.chosen():
            from harness import library

            library.check_choice()
        plan = make(
            rules,
            methods=named,
            everything=all_,
            benchmarks=searched if report else _with_data(rules, searched, if_found),
            seeds=seeds,
            settings=_settings(set_ or [], named),
            device=device,
            threads=threads,
            report_only=report,
        )
        os.chdir(around.folder)
        for line in plan.tables():
            print(line, file=sys.stderr)
        workers = workers or machine.cores()
        if dry_run or price:
            _price(plan, out, workers, measure=price)
        elif report:
            _report_only(plan, out, report_to or out)
        else:
            _carry_out(plan, out, runs_on, workers, retry_failed=retry_failed, report_to=report_to)


def _list() -> None:
    """Print methods, benchmarks and protocols."""
    from harness import show

    show.everything()


def _check(name: str) -> None:
    """Check a method or a benchmark against the contract. Exit with code 1 if it breaks it."""
    from harness import show

    if not show.contract(name):
        raise typer.Exit(1)


def _look(out: Path, *, failures: bool) -> None:
    """Print why runs of a store failed, or where its commands stand."""
    from harness import show, status
    from harness.store import Store

    with Store(out, write=False) as store:
        if not store.path.exists():
            print(f"no runs in {out}")
        elif failures:
            show.failures(store)
        else:
            status.show(store)


def _scoreboard(outs: Sequence[Path], to: Path) -> None:
    """Write the scoreboard of the stores of some folders."""
    from contextlib import ExitStack

    from harness import scoreboard
    from harness.store import Store

    with ExitStack() as stack:
        stores = [stack.enter_context(Store(out, write=False)) for out in outs]
        _say_written([scoreboard.write(to, stores)])


def _names(option: str, values: Sequence[str] | None) -> list[str]:
    """Return the names in an option's comma-separated values. Refuse an option that is passed without a name."""
    names = registry.split(values or [])
    if values and not names:
        raise UserError(f"{option} names nothing; leave it out to mean all")
    return names


def _carry_out(
    plan: Plan, out: Path, engine: Engine, workers: int, *, retry_failed: bool = False, report_to: Path | None = None
) -> None:
    from harness import pages
    from harness.progress import progress
    from harness.stages import extend
    from harness.store import Store
    from harness.sweep import sweep

    ran, to = False, report_to or out
    with pages.rewritten(plan, out, to) as stop, Store(out, provenance.gather()) as store:
        again = retry_failed
        while True:  # once for the searches, and once for every stage that reads the results of the stage before
            extend(plan, store)
            statuses = store.statuses()
            for row in plan.rows:
                bad = [run.run_id for run in row.runs if statuses.get(run.run_id, "done") not in ("done", TOO_SMALL)]
                if again and bad:
                    store.forget(bad)
                    row.done -= set(bad)
            if not plan.todo:
                break
            again = False
            try:
                with progress(plan.rows, store, workers) as display:
                    sweep(plan, store, engine, workers, display)
            except KeyboardInterrupt:
                stop()
                _report_if_any(plan, store, to)
                raise
            ran = True
        if not ran:
            print(f"all {plan.total} runs were done before; writing the report", file=sys.stderr)
        stop()
        _say_written(pages.write(plan, store, to))
        statuses = store.statuses()
    ends = [statuses.get(run.run_id) for row in plan.rows for run in row.runs]
    if too_small := ends.count(TOO_SMALL):
        print(f"{too_small} of {plan.total} runs had too small a budget (--failed shows what they need)", file=sys.stderr)
    not_done = [status for status in ends if status not in ("done", TOO_SMALL)]
    if not_done:
        print(f"{len(not_done)} of {plan.total} runs failed (--failed shows why)", file=sys.stderr)
        raise typer.Exit(1)


def _price(plan: Plan, out: Path, workers: int, *, measure: bool) -> None:
    from harness import pricing
    from harness.stages import extend
    from harness.store import Store

    with Store(out, write=False) as store:
        extend(plan, store)
        costs = store.costs()
    pricing.show(plan, costs, workers)
    if measure:
        pricing.measure(plan, costs, workers)


def _report_only(plan: Plan, out: Path, to: Path) -> None:
    from harness import pages
    from harness.stages import extend
    from harness.store import Store

    with Store(out, write=False) as store:
        if not store.path.exists():
            raise UserError(f"no runs in {out}; --out names the folder of the store")
        extend(plan, store)
        _say_written(pages.write(plan, store, to))
    print(f"{plan.total - plan.todo} of {plan.total} runs are done", file=sys.stderr)


def _report_if_any(plan: Plan, store: Store, to: Path) -> None:
    """Write the page of an interrupted sweep. A second interrupt leaves it as it was."""
    from harness import pages
    from harness.stages import extend

    try:
        extend(plan, store)
        if plan.total > plan.todo:
            print("interrupted; writing the report of what is done (Ctrl-C again leaves it out)", file=sys.stderr)
            _say_written(pages.write(plan, store, to))
    except KeyboardInterrupt:
        print("the report was not written", file=sys.stderr)


def _say_written(files: Sequence[Path]) -> None:
    print(
        "report: " + "  ".join([str(files[0]), *(os.path.relpath(file, files[0].parent) for file in files[1:])]),
        file=sys.stderr,
    )


def _with_data(rules: Protocol, names: Sequence[str], if_found: bool) -> list[str]:
    """Return the benchmarks to search. Benchmarks without data are skipped if the user named none, or passed --if-found.

    Raises:
        UserError: none has its data. The printed lines say which files to put into which folder.
    """
    offered = dict.fromkeys(benchmark for part in rules.parts for benchmark in part.benchmarks)
    wanted = [
        benchmark
        for benchmark in offered
        if not names or any(benchmark == name or benchmark.startswith(f"{name}/") for name in names)
    ]
    states = {benchmark: registry.benchmark(benchmark).availability() for benchmark in wanted}
    missing = {benchmark: state.text for benchmark, state in states.items() if not state.ready}
    nothing = bool(wanted) and len(missing) == len(wanted)
    if missing and (if_found or not (names or nothing)):
        for benchmark, text in missing.items():
            print(f"left out: {benchmark} is {text}", file=sys.stderr)
        if nothing:
            raise typer.Exit(0)
        return [benchmark for benchmark in wanted if benchmark not in missing]
    if nothing:
        bundled = [f"{benchmark} is {text}" for benchmark, text in missing.items() if registry.benchmark(benchmark).embedded]
        if bundled:
            raise UserError(f"nothing to run: {'; '.join(bundled)}")
        from harness import data

        data.status()
        raise UserError(f"nothing to run: no data for {', '.join(missing)} was found; the lines above say what to put where")
    return list(names)


def _settings(texts: Sequence[str], methods: Sequence[str]) -> dict[str, dict[str, str]]:
    settings: dict[str, dict[str, str]] = {}
    for text in texts:
        form = re.fullmatch(r"([^=]+)\.(\w+)=(.*)", text, re.DOTALL)
        if form is None:
            name = methods[0] if len(methods) == 1 else "METHOD"
            hint = f"; did you mean {name}.{text}?" if re.fullmatch(r"\w+=.*", text, re.DOTALL) else ""
            raise UserError(f"--set {text!r} is not of the form method.field=value{hint}")
        settings.setdefault(form[1], {})[form[2]] = form[3]
    return settings


def start(application: typer.Typer) -> None:
    """Run a command line that may run searches; see :func:`harness.command.run`."""
    for place in packages.SHADOWING:
        print(f"not used: {place} has the name of one of the harness's own packages", file=sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command.run(application, "interrupted; finished runs are kept, the same command goes on")


def main() -> None:
    """Run ``python -m harness.run``."""
    start(app)


if __name__ == "__main__":
    main()
