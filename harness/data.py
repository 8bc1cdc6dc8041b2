"""The command ``python -m harness.data``: list the data that benchmarks need, import and verify them, and query tables."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from harness import command
from harness.cache import cache_root, data_roots, explain, printable
from harness.errors import UserError
from harness.library import Progress, Source, State, libraries
from harness.look import is_folder, odd
from harness.problem import MissingRecord
from harness.space import InvalidArchitecture

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="""The data of the benchmarks: list what is needed and present, import it, verify it, and query it.

    Put the official files, as their authors publish them, into a folder and name that folder in NAS_DATA (separate several
    folders as in PATH). The files are imported on first use; 'import' does the same by hand. Imported tables are stored in
    NAS_CACHE, or in ~/.cache/nas-harness, and load in milliseconds.
    """,
)


@app.command()
def status() -> None:
    """List for each benchmark the data found and imported, the official files, and where their authors publish them."""
    _print_any_name()
    roots = data_roots()
    print(f"data folders (NAS_DATA): {', '.join(map(_described, roots)) if roots else 'not set'}")
    print(f"imported tables (NAS_CACHE): {printable(cache_root())}")
    for library in libraries():
        sources, states = library.sources(), library.state()
        for needed_by in dict.fromkeys(source.needed_by for source in sources):
            _print_need(
                f"{library.name}: for {needed_by}",
                [source for source in sources if source.needed_by == needed_by],
                [state for state in states if state.needed_by == needed_by],
            )
    _print_passed_over()
    if not roots:
        print("\nto use one, put it into a folder and set NAS_DATA=/that/folder, or run 'python -m harness.data import PATH'")


@app.command("import")
def import_(
    path: Annotated[
        Path, typer.Argument(help="An official file or folder, or a table of plain columns; recognised by its content.")
    ],
    force: Annotated[bool, typer.Option(help="Import again, and read a single file even if memory seems too small.")] = False,
) -> None:
    """Import a file or folder into the cache. A table that is already imported and intact is kept."""
    _print_any_name()
    why = odd(path)
    if why:
        raise UserError(f"{printable(path)} {why}")
    known = libraries()
    library = next((library for library in known if library.recognise(path)), None)
    if library is None:
        reasons = dict.fromkeys(library.unrecognised(path) for library in known)
        raise UserError(f"{printable(path)} {'; it '.join(reasons)}. Nothing was imported.")
    with _progress() as progress:
        table = library.import_path(path, progress, force)
    meta = table.meta
    print(f"{library.name}: {meta['kind']}, {meta['n']:,} {meta.get('unit', 'architectures')}, {len(table.columns)} columns")
    for note in meta.get("notes", []):
        print(f"  {note}")
    print(f"  {table.path}")


@app.command()
def verify() -> None:
    """Compare every imported table with the checksums taken when it was imported."""
    _print_any_name()
    lines = [line for library in libraries() for line in library.verify()]
    damaged = [line for line in lines if line.startswith("damaged")]
    for line in lines:
        if line not in damaged:
            print(line)
    if not lines:
        print("nothing is imported yet")
    if damaged:
        raise UserError("; ".join(damaged))


@app.command()
def query(
    name: Annotated[str, typer.Argument(help="A table: nb201, nb201/digits, nb1shot1, nb1shot1/3, ...")],
    cell: Annotated[
        str | None,
        typer.Argument(help="An index, text, tuple or hash, or 'MATRIX, OPERATIONS'. Without it: statistics of the table."),
    ] = None,
    best: Annotated[str | None, typer.Option(metavar="SPLIT", help="Find the highest accuracy on valid, test, ...")] = None,
    dataset: Annotated[str | None, typer.Option(help="A data set, such as cifar10-valid or ImageNet16-120.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Length of the training; default: the longest.")] = None,
    seed: Annotated[str | None, typer.Option(help="Seed of the training; default: the mean over all.")] = None,
    epoch: Annotated[int | None, typer.Option(help="Epoch, counted from 0; default: the last.")] = None,
    params: Annotated[float | None, typer.Option(help="With --best: most parameters, in millions.")] = None,
    flops: Annotated[float | None, typer.Option(help="With --best: most multiply-adds, in millions.")] = None,
    latency: Annotated[float | None, typer.Option(help="With --best: longest latency, in seconds.")] = None,
    source: Annotated[Path | None, typer.Option(help="File or folder to open instead of the table that a search uses.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print recorded values of a cell, the best cell under limits, or statistics of a table. Test values are included."""
    from harness import query, tables

    _print_any_name()
    answer: dict[str, Any]
    try:
        table = tables.open(name, source)
        if best is not None:
            if cell is not None or epoch is not None:
                raise UserError("--best searches all cells after the last epoch; omit the cell and --epoch")
            answer = asdict(table.best(dataset, best, epochs, seed, params=params, flops=flops, latency=latency))
        elif (params, flops, latency) != (None, None, None):
            raise UserError("--params, --flops and --latency limit the best cell; add --best test")
        elif cell is None:
            if (dataset, epochs, seed, epoch) != (None, None, None, None):
                raise UserError("--dataset, --epochs, --seed and --epoch are of a training; name a cell, or add --best test")
            answer = query.of_table(table)
        elif (dataset, epochs, seed, epoch) == (None, None, None, None):
            answer = query.of_cell(table, query.cell_of(cell))
        else:
            answer = query.of_training(table, query.cell_of(cell), dataset, epochs, seed, epoch)
    except (InvalidArchitecture, MissingRecord) as error:
        raise UserError(str(error)) from None
    print(json.dumps(answer) if as_json else query.text_of(answer))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0 success; 2 a wrong call or wrong data, with one line on stderr; 3 a fault of the harness, with its
        traceback in a file.
    """
    command.prepare_streams()
    try:
        return int(app(args=None if arguments is None else list(arguments), standalone_mode=False) or 0)
    except UserError as error:
        message = str(error)
    except OSError as error:
        message = str(explain(error, "go on"))
    except (KeyboardInterrupt, typer.Abort):
        message = "interrupted; nothing was imported"
    except Exception as error:
        if not hasattr(error, "format_message"):
            print(command.fault(error), file=sys.stderr)
            return 3
        message = error.format_message().replace("\n", " ")  # typer's message about a wrong call
    if message:  # empty without a command: typer has printed the help
        print(f"error: {message}", file=sys.stderr)
    return 2


def _print_need(title: str, sources: Sequence[Source], states: Sequence[State]) -> None:
    """Print a need of some benchmarks: what is present, and the known sources."""
    print(f"\n{title}")
    for number, state in enumerate(states):
        print(f"  {'in use' if number == 0 else 'also there'}: {state.text}")
        for path in (state.source, state.table):
            if path is not None:
                print(f"    {printable(path)}")
    if not states:
        print("  nothing found; any of these is enough, the first is preferred:")
    else:
        print("  known sources, the first is preferred:")
    for source in sources:
        print(f"    {source.name}")
        print(f"      {source.size}; {source.checksum}; published: {source.published}")
        print(f"      {source.remark}")


def _print_passed_over() -> None:
    """Print files that no library recognises and at least one could not examine, and damaged tables, with the reasons."""
    failed: dict[str, str] = {}
    known: set[str] = set()
    for library in libraries():
        failed = {**library.passed_over(), **failed}
        known |= {str(state.source) for state in library.state() if state.source is not None}
    lines = {path: why for path, why in failed.items() if path not in known}
    if lines:
        print("\npassed over:")
    for path, why in lines.items():
        print(f"  {why}" if "is damaged" in why else f"  not ours: {printable(path)} ({why})")


def _print_any_name() -> None:
    """Print letters that the encoding of standard output lacks as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _described(root: Path) -> str:
    return printable(root) if is_folder(root) else f"{printable(root)} (no such folder)"


@contextmanager
def _progress() -> Iterator[Progress]:
    """Yield a progress function: on a terminal a bar with the time left, else a line per step and every ten seconds."""
    if sys.stderr.isatty():
        from rich import progress as rich
        from rich.console import Console

        columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.TimeRemainingColumn())
        with rich.Progress(*columns, console=Console(stderr=True)) as bars:
            tasks: dict[str, rich.TaskID] = {}

            def draw(done: int, total: int, text: str) -> None:
                if text not in tasks:
                    tasks[text] = bars.add_task(text, total=total)
                bars.update(tasks[text], completed=done, total=total)

            yield draw
        return
    started: dict[str, float] = {}
    last = 0.0

    def report(done: int, total: int, text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if text in started and now - last < 10:
            return
        last = now
        elapsed = now - started.setdefault(text, now)
        left = f" {100 * done / total:.0f} %, {elapsed * (total - done) / done:.0f} s left" if done and elapsed else ""
        print(f"{text}{left}", file=sys.stderr, flush=True)

    yield report


if __name__ == "__main__":
    sys.exit(main())
