"""The command ``python -m benchmarks.nb1shot1.digits``: makes, checks and packs the table of nb1shot1/1-digits.

The records come from training every different cell of space 1 of NAS-Bench-1Shot1 on the digits of scikit-learn;
``docs/nb1shot1-digits.md`` tells what they are.
"""

from __future__ import annotations

from benchmarks.training.commands import Subject, commands
from harness.command import run

SUBJECT = Subject("nb1shot1/1-digits", "benchmarks.nb1shot1")

app = commands(SUBJECT)


def main() -> None:
    """Runs the command."""
    run(app)


if __name__ == "__main__":
    main()
