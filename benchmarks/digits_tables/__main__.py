"""The command ``python -m benchmarks.digits_tables``: make, check and pack the bundled digits tables."""

from __future__ import annotations

import typer

from benchmarks.digits_tables import nb1shot1, nb201
from harness.command import run

app = typer.Typer(
    help="Make, check and pack the bundled tables of cells that are trained on digits.\n\n"
    "A new table takes four commands: build (hours; it can be interrupted and repeated), time (on a quiet machine), "
    "verify and assemble. Without --from, verify and statistics read the archive of the bundled table.\n\n"
    "Example: python -m benchmarks.digits_tables nb201 verify --cells 2",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(nb201.app(), name="nb201", help="The table of nb201/digits; see docs/digits.md.")
app.add_typer(nb1shot1.app(), name="nb1shot1", help="The table of nb1shot1/1-digits; see docs/nb1shot1-digits.md.")


def main() -> None:
    """Run the command."""
    run(app)


if __name__ == "__main__":
    main()
