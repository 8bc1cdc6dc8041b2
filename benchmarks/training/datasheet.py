"""The statistics of a table as Markdown, and their place in its datasheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.training import statistics
from benchmarks.training.build import Folder
from benchmarks.training.clock import Clock
from benchmarks.training.statistics import Accuracies, Floats, Rows
from benchmarks.training.table import Columns
from harness.cache import atomic
from harness.errors import UserError

BEGIN, END = "<!-- statistics: written by a command, not by hand -->", "<!-- end of statistics -->"

Found = dict[str, Accuracies]


def into(document: Path, text: str) -> None:
    """Replaces what stands between the two marks in ``document``. Raises :class:`UserError` where they are not there."""
    try:
        whole = document.read_text()
    except OSError as error:
        raise UserError(f"{document} cannot be read: {error.strerror}") from None
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{document} has no place for statistics: the lines {BEGIN} and {END}")
    with atomic(document) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def covered(final: Columns, of: int) -> str:
    """How many unique cells have records, of how many, and how many trainings each."""
    trainings = np.unique(final["cell"], return_counts=True)[1]
    least, most = int(trainings.min()), int(trainings.max())
    each = f"{least}" if least == most else f"{least} to {most}"
    unfinished = " The build is not finished: these are its first cells, in a random order." if len(trainings) < of else ""
    return f"{len(trainings):,} of {of:,} unique cells, {each} trainings each by either recipe.{unfinished}"


def spread(found: Found) -> Iterable[str]:
    """Quantiles of accuracies."""
    rows = []
    for recipe, one in found.items():
        for part, values in (("validation", one.valid), ("test", one.test)):
            rows.append((recipe, part, statistics.quantiles(values[:, : one.common].mean(axis=1))))
    yield "Mean accuracy of a cell, percent:"
    yield table(
        ["recipe", "part", *rows[0][2]], [[recipe, part, *(f"{x:.1f}" for x in q.values())] for recipe, part, q in rows]
    )


def noise(found: Found, among: Mapping[str, Rows]) -> Iterable[str]:
    """What of the differences between cells is the seeds'."""
    rows = []
    for recipe, one in found.items():
        for name, members in among.items():
            seen = statistics.noise(one, members)
            rows.append(
                [recipe, name, f"{seen.cells:,}", points(seen.between), points(seen.within), *map(_correlation, seen[3:])]
            )
    yield (
        "How far the seeds hide the cells (validation; standard deviations in points, ρ of Spearman). The best are chosen by "
        f"the mean validation accuracy of the long recipe over its first {found['long'].common} seeds, which makes its own "
        "figures among them smaller than they would be among cells chosen otherwise. Reliability is the share of the variance "
        "between cells in that of means of three seeds."
    )
    head = ["recipe", "among", "cells", "sd between cells", "sd between seeds", "ρ seed to seed", "reliability of three"]
    yield table([*head, "ρ mean of three, of two others", "ρ validation–test"], rows)


def best(long: Accuracies, text: Callable[[int], str]) -> Iterable[str]:
    """The best cells; ``text`` writes the one of a number."""
    rows = [
        [f"`{text(cell)}`".replace("|", "\\|"), str(cell), f"{valid:.2f}", f"{test:.2f}", str(seeds)]
        for cell, valid, test, seeds in statistics.best(long)
    ]
    yield "The best by mean test accuracy of the long recipe:"
    yield table(["cell", "index", "validation", "test", "seeds"], rows)


def agreement(name: str, long: Accuracies, theirs: Mapping[str, Floats] | None, kind: str, theirs_by: str) -> Iterable[str]:
    """How far the order of cells is that of the table of which this one has the space.

    Args:
        name: of the other benchmark.
        theirs: by target, the other table's value of each cell, NaN where it has none; None where there is no table here.
        kind: what table it is.
        theirs_by: how long its cells were trained.
    """
    if not theirs:
        yield f"Agreement with {name}: not measured, no table of it was found."
        return
    found = statistics.kendall(long, theirs)
    among = list(dict.fromkeys(group for _, group in found))
    rows = [
        [target, *(f"{points(tau)} ({cells:,})" for cells, tau in (found[target, group] for group in among))]
        for target in theirs
    ]
    yield (
        f"Agreement with {name} ({kind}): Kendall's τ of mean test accuracies, long recipe and {theirs_by}, over unique cells "
        "(how many):"
    )
    yield table(["target", *among], rows)


def clock(folder: Folder) -> Iterable[str]:
    """What training would cost one by one, where it was measured."""
    if not folder.clock.exists():
        yield "The clock is not measured yet."
        return
    found = Clock.load(folder.clock)
    rows = []
    for name, line in (("training step", found.train), ("evaluation", found.evaluate)):
        costs = [f"{cost:#.3g}" for cost in (line.base, *line.per.values())]
        rows.append([name, *costs, f"{line.r2:.3f}", f"{line.residual:#.3g}"])
    made = f"fitted on {found.cells} cells, {found.made_with}"
    yield f"The clock, microseconds per image: base + what each thing costs that a cell is made of ({made})."
    yield table(["", "base", *found.train.per, "R²", "sd of the residual"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _correlation(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def points(value: float) -> str:
    """Two digits."""
    return "–" if math.isnan(value) else f"{value:.2f}"
