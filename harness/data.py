"""The command ``python -m harness.data``: which data the benchmarks need, what is there, importing and checking it."""

from __future__ import annotations

import importlib
import importlib.util
import io
import pkgutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from harness import command
from harness.cache import Table, cache_root, data_roots, explain, printable
from harness.choice import chosen
from harness.errors import UserError
from harness.look import is_folder, odd

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="""The benchmarks' data: what is needed, what is there, and making it ready.

    Put the official files, as their authors publish them, into a folder and name that folder in NAS_DATA (several are separated
    as in PATH). They are imported on first use; 'import' does the same by hand. Imported tables lie in NAS_CACHE, or in
    ~/.cache/nas-harness, and load in milliseconds.
    """,
)


class Importer(Protocol):
    """What a benchmark's ``importer.py`` offers. All of it works on an empty machine."""

    NAME: str

    def sources(self) -> Sequence[Any]:
        """Known sources: ``name``, ``size``, ``checksum``, ``published`` (where), ``needed_by``, ``remark``."""
        ...

    def state(self) -> Sequence[Any]:
        """What is there: ``text``, ``source``, ``table`` (paths or None), and ``needed_by`` where there are several needs."""
        ...

    def recognise(self, path: Path) -> str | None:
        """What ``path`` is, by its content, or None."""
        ...

    def unrecognised(self, path: Path) -> str:
        """Why it is nothing here: ``is empty``, ``is no ...``."""
        ...

    def passed_over(self) -> dict[str, str]:
        """What cannot be used, by path, and why: ``is a named pipe``, ..."""
        ...

    def import_path(self, path: Path, progress: Any, force: bool) -> Table:
        """Imports ``path``. Raises :class:`UserError`."""
        ...

    def verify(self) -> list[str]:
        """One line per table; that of a damaged one begins with ``damaged``."""
        ...


def importers() -> list[Importer]:
    """Every ``benchmarks/*/importer.py``, by name."""
    package = importlib.import_module("benchmarks")
    found: list[Any] = []
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        name = f"benchmarks.{module.name}.importer"
        if module.ispkg and importlib.util.find_spec(name) is not None:
            found.append(importlib.import_module(name))
    return found


@app.command()
def status() -> None:
    """For each benchmark: what is found and imported, the official files, and where their authors publish them."""
    _print_any_name()
    roots = data_roots()
    print(f"data folders (NAS_DATA): {', '.join(map(_described, roots)) if roots else 'not set'}")
    print(f"imported tables (NAS_CACHE): {printable(cache_root())}")
    for importer in importers():
        listed, there = importer.sources(), importer.state()
        for needed_by in dict.fromkeys(source.needed_by for source in listed):
            _status_of(
                f"{importer.NAME}: for {needed_by}",
                [source for source in listed if source.needed_by == needed_by],
                [found for found in there if getattr(found, "needed_by", needed_by) == needed_by],
            )
    _status_of_the_others()
    if not roots:
        print("\nto use one: put it into a folder and set NAS_DATA=/that/folder; or run 'python -m harness.data import PATH'")


@app.command("import")
def import_(
    path: Annotated[
        Path, typer.Argument(help="An official file or folder, or a table of plain columns; known by its content.")
    ],
    force: Annotated[bool, typer.Option(help="Import again, and read a single file where memory seems too small.")] = False,
) -> None:
    """Imports a file or folder into the cache. What is already imported and intact is left as it is."""
    _print_any_name()
    why = odd(path)
    if why:
        raise UserError(f"{printable(path)} {why}")
    known = importers()
    importer = next((importer for importer in known if importer.recognise(path)), None)
    if importer is None:
        reasons = dict.fromkeys(importer.unrecognised(path) for importer in known)
        raise UserError(f"{printable(path)} {'; it '.join(reasons)}. Nothing was imported.")
    with _progress() as progress:
        table = importer.import_path(path, progress, force)
    meta = table.meta
    print(f"{importer.NAME}: {meta['kind']}, {meta['n']:,} {meta.get('unit', 'architectures')}, {len(table.columns)} columns")
    for note in meta.get("notes", []):
        print(f"  {note}")
    print(f"  {table.path}")


@app.command()
def verify() -> None:
    """Compares every imported table with the checksums taken when it was imported."""
    _print_any_name()
    lines = [line for importer in importers() for line in importer.verify()]
    damaged = [line for line in lines if line.startswith("damaged")]
    for line in lines:
        if line not in damaged:
            print(line)
    if not lines:
        print("nothing is imported yet")
    if damaged:
        raise UserError("; ".join(damaged))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code: 0 done, 2 the call or the data were wrong (one line on stderr).

    3: a fault of the harness, whose traceback is in a file.
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
        message = error.format_message().replace("\n", " ")  # typer's own word on a wrong call
    if message:  # without a command, the help was all there is to say
        print(f"error: {message}", file=sys.stderr)
    return 2


def _status_of(title: str, listed: Sequence[Any], there: Sequence[Any]) -> None:
    print(f"\n{title}")
    for number, found in enumerate(there):
        print(f"  {'in use' if number == 0 else 'also there'}: {found.text}")
        for path in (found.source, found.table):
            if path is not None:
                print(f"    {printable(path)}")
    if not there:
        print("  nothing found; any one of these will do, the first is preferred:")
    else:
        print("  known sources, the first is preferred:")
    for source in listed:
        print(f"    {source.name}")
        print(f"      {source.size}; {source.checksum}; published: {source.published}")
        print(f"      {source.remark}")


def _status_of_the_others() -> None:
    """Print what was passed over, and why: files that no importer knows and one could not look at, and damaged tables."""
    failed: dict[str, str] = {}
    known: set[str] = set()
    for importer in importers():
        failed = {**importer.passed_over(), **failed}
        known |= {str(found.source) for found in importer.state() if found.source is not None}
    lines = {path: why for path, why in failed.items() if path not in known}
    if lines:
        print("\npassed over:")
    for path, why in lines.items():
        print(f"  {why}" if "is damaged" in why else f"  not ours: {printable(path)} ({why})")


def check_choice() -> None:
    """Raise :class:`UserError` where ``NAS_TABLE`` names no table, with one line that lists what there is."""
    text = chosen()
    tables = [importer for importer in importers() if hasattr(importer, "matches")]
    if not text or any(importer.matches(text) for importer in tables):
        return
    there = [f"{importer.NAME}: {found.text}" for importer in tables for found in importer.state()]
    raise UserError(f"no table {text!r}; there is {'; '.join(there) or 'none'}. Name one by its path or the start of its kind")


def _print_any_name() -> None:
    """Let standard output take names that its encoding has no letters for."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _described(root: Path) -> str:
    return printable(root) if is_folder(root) else f"{printable(root)} (no such folder)"


@contextmanager
def _progress() -> Iterator[Any]:
    """A progress function: a bar with the time left on a terminal, else a line per step and every ten seconds."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        with Progress(
            TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=Console(stderr=True)
        ) as bars:
            tasks: dict[str, Any] = {}

            def draw(done: int, total: int, text: str) -> None:
                if text not in tasks:
                    tasks[text] = bars.add_task(text, total=total)
                bars.update(tasks[text], completed=done, total=total)

            yield draw
        return
    started: dict[str, float] = {}
    last = 0.0

    def tell(done: int, total: int, text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if text in started and now - last < 10:
            return
        last = now
        elapsed = now - started.setdefault(text, now)
        left = f" {100 * done / total:.0f} %, {elapsed * (total - done) / done:.0f} s left" if done and elapsed else ""
        print(f"{text}{left}", file=sys.stderr, flush=True)

    yield tell


if __name__ == "__main__":
    sys.exit(main())
