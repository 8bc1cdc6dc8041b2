"""The statistics of a table as Markdown, and their place in its datasheet in ``docs/``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.bundled.bundle import Columns
from benchmarks.bundled.clock import Clock, Floats
from benchmarks.digits_tables import statistics
from benchmarks.digits_tables.statistics import Accuracies, Rows
from harness.cache import atomic
from harness.errors import UserError

BEGIN, END = "<!-- statistics: written by a command, not by hand -->", "<!-- end of statistics -->"

ByRecipe = Mapping[str, Accuracies]


def into(document: Path, text: str) -> None:
    """Replace the text between the two marks in ``document``.

    Raises:
        UserError: the document cannot be read, or has no marks.
    """
    try:
        content = document.read_text()
    except OSError as error:
        raise UserError(f"{document} cannot be read: {error.strerror}") from None
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{document} has no place for statistics: the lines {BEGIN} and {END}")
    with atomic(document) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def covered(final: Columns, of: int) -> str:
    """Return one sentence: the number of unique cells with records, and of trainings per cell.

    Args:
        final: columns, as :func:`benchmarks.digits_tables.assembly.records` returns them.
        of: number of unique cells of the space.
    """
    trainings = np.unique(final["cell"], return_counts=True)[1]
    least, most = int(trainings.min()), int(trainings.max())
    each = f"{least}" if least == most else f"{least} to {most}"
    unfinished = " The build is not finished: these are its first cells, in a random order." if len(trainings) < of else ""
    return f"{len(trainings):,} of {of:,} unique cells, {each} trainings each by either recipe.{unfinished}"


def spread(accuracies: ByRecipe) -> Iterable[str]:
    """Yield the quantiles of accuracies."""
    rows = []
    for recipe, records in accuracies.items():
        for part, values in (("validation", records.valid), ("test", records.test)):
            rows.append((recipe, part, statistics.quantiles(values[:, : records.common].mean(axis=1))))
    yield "Mean accuracy of a cell, percent:"
    yield table(
        ["recipe", "part", *rows[0][2]], [[recipe, part, *(f"{x:.1f}" for x in q.values())] for recipe, part, q in rows]
    )


def noise(accuracies: ByRecipe, among: Mapping[str, Rows]) -> Iterable[str]:
    """Yield the share of the differences between cells that comes from the seeds."""
    rows = []
    for recipe, records in accuracies.items():
        for name, members in among.items():
            seen = statistics.noise(records, members)
            rows.append(
                [recipe, name, f"{seen.cells:,}", points(seen.between), points(seen.within), *map(_correlation, seen[3:])]
            )
    yield (
        "How far the seeds hide the cells (validation; standard deviations in points, ρ of Spearman). The best are chosen by "
        f"the mean validation accuracy of the long recipe over its first {accuracies['long'].common} seeds, which makes its "
        "own figures among them smaller than they would be among cells chosen otherwise. Reliability is the share of the "
        "variance between cells in that of means of three seeds."
    )
    head = ["recipe", "among", "cells", "sd between cells", "sd between seeds", "ρ seed to seed", "reliability of three"]
    yield table([*head, "ρ mean of three, of two others", "ρ validation–test"], rows)


def best(long: Accuracies, text: Callable[[int], str]) -> Iterable[str]:
    """Yield the best cells. ``text`` returns the spelling of a cell."""
    rows = [
        [f"`{text(cell)}`".replace("|", "\\|"), str(cell), f"{valid:.2f}", f"{test:.2f}", str(seeds)]
        for cell, valid, test, seeds in statistics.best(long)
    ]
    yield "The best by mean test accuracy of the long recipe:"
    yield table(["cell", "index", "validation", "test", "seeds"], rows)


def agreement(name: str, long: Accuracies, theirs: Mapping[str, Floats] | None, kind: str, theirs_by: str) -> Iterable[str]:
    """Yield the agreement of the order of cells with the official table of the same search space.

    Args:
        name: name of the official benchmark.
        long: accuracies of the long recipe.
        theirs: by target, the official value of each cell, NaN if it has none; None without an official table.
        kind: the source of the official table.
        theirs_by: the length of its trainings.
    """
    if not theirs:
        yield f"Agreement with {name}: not measured, no table of it was found."
        return
    correlations = statistics.kendall(long, theirs)
    among = list(dict.fromkeys(group for _, group in correlations))
    rows = [
        [target, *(f"{points(tau)} ({cells:,})" for cells, tau in (correlations[target, group] for group in among))]
        for target in theirs
    ]
    yield (
        f"Agreement with {name} ({kind}): Kendall's τ of mean test accuracies, long recipe and {theirs_by}, over unique cells "
        "(how many):"
    )
    yield table(["target", *among], rows)


def clock(timed: Clock | None) -> Iterable[str]:
    """Yield the costs of the clock. None: the clock is not measured."""
    if timed is None:
        yield "The clock is not measured yet."
        return
    rows = []
    for name, line in (("training step", timed.train), ("evaluation", timed.evaluate)):
        costs = [f"{cost:#.3g}" for cost in (line.base, *line.per.values())]
        rows.append([name, *costs, f"{line.r2:.3f}", f"{line.residual:#.3g}"])
    source = f"fitted on {timed.cells} cells, {timed.made_with}"
    yield f"The clock, microseconds per image: base + what each thing costs that a cell is made of ({source})."
    yield table(["", "base", *timed.train.per, "R²", "sd of the residual"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _correlation(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def points(value: float) -> str:
    """Return a value with two decimals, a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.2f}"
