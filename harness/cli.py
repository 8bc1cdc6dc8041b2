"""The command ``nas-harness``: one subcommand per task. Each one calls the module that does the work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness import completion, data, run
from harness.errors import UserError
from harness.store import __main__ as stores

EPILOG = """
\b
A first page, and from another terminal how far it is:
  nas-harness run --all --benchmarks nb201/digits
  nas-harness status
The page of what is done so far; every printed number of the papers with ours:
  nas-harness report
  nas-harness scoreboard
Did a change of the code change a result?  (exit code 1 if it did)
  nas-harness compare results@3f2a91c results@666808c
Stores of several machines in one; runs for other programs; what to cite:
  nas-harness merge here there --out both
  nas-harness export both --traces
  nas-harness cite gaea_darts nb201

Shell completion: nas-harness --install-completion
"""

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the store.")]

app = typer.Typer(
    rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True, epilog=EPILOG,
    help="Run neural architecture search methods under one budget, and compare them with the papers' numbers.",
)  # fmt: skip
app.command("run", epilog=run.EPILOG)(run.run)


@app.command()
def status(
    out: Out = Path("results"),
    failed: Annotated[bool, typer.Option("--failed", help="Print why runs failed.")] = False,
) -> None:
    """Print what is done, running and failed in a store, and when its sweep will end."""
    run.run(outs=[out], status=not failed, failed=failed)


@app.command()
def report(
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Rules, or their FILE.toml. [default: every protocol with runs in the store]",
            autocompletion=completion.protocol,
        ),
    ] = None,
    benchmarks: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Only these benchmarks.", autocompletion=completion.benchmarks),
    ] = None,
    budget: Annotated[str | None, typer.Option(metavar="CURRENCY=AMOUNT", help="The page of another limit.")] = None,
    out: Out = Path("results"),
    report_to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the pages. [default: that of --out]")
    ] = None,
) -> None:
    """Write the pages of finished runs, in HTML, Markdown, LaTeX, CSV and Parquet, and their index; run nothing."""
    names: list[str | None] = [protocol]
    if not (protocol or benchmarks or budget):
        from harness import protocols
        from harness.store import Store

        with Store(out, write=False) as store:
            stored = dict.fromkeys(str(spec["protocol"]) for spec in store.specs().values())
        names = [name for name in stored if name in protocols.protocols()]
        if not names:
            raise UserError(f"no runs of a known protocol in {out}; --out names the folder of the store")
    for name in names:
        run.run(all_=True, protocol=name, benchmarks=benchmarks, budget=budget, outs=[out], report=True, report_to=report_to)


@app.command()
def scoreboard(
    out: Annotated[list[Path] | None, typer.Option("--out", metavar="DIR", help="Folder of a store; repeatable.")] = None,
    report_to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the page. [default: the first store's]")
    ] = None,
) -> None:
    """Write every number and claim of the papers, with what the stored runs say, or why nothing is known."""
    run.run(outs=out, scoreboard=True, report_to=report_to)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A store's folder, or DIR@CODE: the runs in it by one commit.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same for the other side.")],
    tolerance: Annotated[
        float, typer.Option(metavar="POINTS", min=0.0, help="Difference of a pair that is still equal.")
    ] = 0.0,
    significant: Annotated[bool, typer.Option("--significant", help="Judge rows by a paired test, not pair by pair.")] = False,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Write the page, in Markdown and HTML. [default: print]")
    ] = None,
) -> None:
    """Compare the runs of two stores, or of two versions of the code, by row and seed.

    Exit code 0: no row differs; 1: a row differs; 2: the call was wrong, or no run has a partner. Two runs are equal if they
    have the same status, and test accuracies that differ by at most --tolerance points; with tolerance 0, or without a test
    accuracy, they also propose the same architecture. A row differs if any of its pairs does. With --significant it differs
    if Wilcoxon's signed-rank test over its pairs, Holm-corrected over all lines of the table, gives p < 0.05. Runs without a
    partner are listed; they do not change the exit code.
    """
    from harness import comparing
    from reports import layout
    from reports import report as pages

    comparison = comparing.compare(comparing.side(a), comparing.side(b), tolerance, significant)
    blocks = comparing.blocks(comparison, a, b)
    if to is None:
        print(layout.to_markdown(f"{a} and {b}", blocks), end="")
    else:
        print(f"comparison: {pages.write_page(to.with_suffix('.md'), f'{a} and {b}', blocks)}", file=sys.stderr)
    if comparison.differs:
        raise typer.Exit(1)


app.command("merge")(stores.merge)
app.command("export")(stores.export)
app.add_typer(data.app, name="data")


@app.command()
def check(name: Annotated[str, typer.Argument(help="A method, ./my_method.py, a benchmark, or module:function.")]) -> None:
    """Test a method or a benchmark against the contract. Exit code 1 if it breaks it."""
    run.run(check=name)


@app.command()
def cite(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Methods, rows, search spaces, benchmarks, or folders of pages.")
    ],
) -> None:
    """Print BibTeX of what rows, benchmarks or pages rest on."""
    from harness import citing

    print(citing.bibtex(names), end="")


@app.command()
def index(folder: Annotated[Path, typer.Argument(help="Folder of the folders of pages.")] = Path("docs/results")) -> None:
    """Write FOLDER/index.md: each committed page, how it was made, and a mark if the code of its runs has changed since."""
    from harness import catalogue

    print(f"index: {catalogue.write(folder)}", file=sys.stderr)


def main() -> None:
    """Run ``nas-harness``."""
    run.start(app)


if __name__ == "__main__":
    main()
