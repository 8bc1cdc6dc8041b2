"""``python -m harness.store``: merge stores, export runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness import command
from harness.errors import UserError
from harness.store import Store, store_file

SHOWN = 10
"""Conflicts of one source that are printed; all are counted."""

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True,
    help="Merge and export the stores (OUT/runs.sqlite) that python -m harness.run fills.",
    epilog="Exit codes: 0 done, 1 merged with conflicts, 2 the call or a store was wrong, 3 a fault of the harness.",
)  # fmt: skip


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders with the stores to merge.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the union: a new one, or one with a store to add to.")],
) -> None:
    """Write the union of several stores.

    A run that several stores have with the same content is written once. If the contents differ, the record that is in
    --out first stays, the difference is printed, and the exit code is 1. Checkpoints of unfinished runs are not merged.
    """
    for folder in folders:
        _must_exist(folder)
    from harness.store.merging import merge

    conflicts = 0
    with Store(out) as target:
        for folder in folders:
            if store_file(folder).samefile(target.path):
                print(f"{folder}: is the union itself")
                continue
            with Store(folder, write=False) as source:
                merged = merge(source, target)
            print(f"{folder}: {merged.added:,} runs added, {merged.present:,} were there, {len(merged.conflicts):,} conflicts")
            for run_id, columns in merged.conflicts[:SHOWN]:
                print(f"  run {run_id} differs in {', '.join(columns)}; {out} keeps the record that it had")
            if len(merged.conflicts) > SHOWN:
                print(f"  and {len(merged.conflicts) - SHOWN:,} more")
            conflicts += len(merged.conflicts)
    if conflicts:
        raise typer.Exit(1)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder with the store.")],
    format_: Annotated[str, typer.Option("--format", metavar="jsonl", help="One JSON object per line and run.")] = "jsonl",
    traces: Annotated[bool, typer.Option("--traces", help="With the trace of every search.")] = False,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="File to write. [default: standard output]")] = None,
) -> None:
    """Write every finished run with its row, scores, costs, provenance and, on request, its trace.

    A missing number (NaN) is null, an infinite one is "Infinity" or "-Infinity".
    """
    if format_ != "jsonl":
        raise UserError(f"--format {format_!r} is not jsonl")
    _must_exist(folder)
    from harness.cache import atomic
    from harness.store.exporting import lines

    with Store(folder, write=False) as store:
        if to is None:
            for line in lines(store, traces=traces):
                sys.stdout.write(line + "\n")
            return
        written = 0
        with atomic(to) as temporary, temporary.open("w", encoding="ascii") as file:
            for written, line in enumerate(lines(store, traces=traces), 1):  # noqa: B007
                file.write(line + "\n")
    print(f"{to}: {written:,} runs", file=sys.stderr)


def _must_exist(folder: Path) -> None:
    if not store_file(folder).exists():
        raise UserError(f"there is no store in {folder}: {store_file(folder)} does not exist")


def main() -> None:
    """Run the command; see :func:`harness.command.run`."""
    command.run(app, "interrupted; what was merged is kept, the same command goes on")


if __name__ == "__main__":
    main()
