"""The statistics of nb201/digits as Markdown, and their place in the datasheet."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from benchmarks.nb201 import digits_statistics as statistics
from benchmarks.nb201.digits_clock import Clock
from benchmarks.nb201.digits_statistics import Accuracies
from benchmarks.nb201.space import OPS, NB201Space
from benchmarks.nb201.table import Records
from benchmarks.training.table import Columns
from harness.cache import atomic
from harness.problem import UserError

BEGIN, END = "<!-- statistics: written by a command, not by hand -->", "<!-- end of statistics -->"


def markdown(final: Columns, draws: int, clock: Clock | None, real: Records | None) -> str:
    """Everything that can be said of the records that are there.

    Args:
        draws: noise draws of each validation and test image.
        clock: None where it is not measured yet.
        real: the official table; None where there is none here.
    """
    found = statistics.accuracies(final, draws)
    blocks = [_covered(final), *_spread(found), *_noise(found), *_equal(found)]
    blocks += [*_best(found["long"]), *_clock(clock), *_kendall(found["long"], real)]
    return "\n\n".join(blocks) + "\n"


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


def _covered(final: Columns) -> str:
    facts = statistics.covered(final)
    trainings = f"{facts['least']}" if facts["least"] == facts["most"] else f"{facts['least']} to {facts['most']}"
    state = (
        ""
        if facts["cells"] == facts["of"]
        else " The build is not finished: these are its first cells, in the official order, which is random."
    )
    return f"{facts['cells']:,} of {facts['of']:,} unique cells, {trainings} trainings each by either recipe.{state}"


def _spread(found: dict[str, Accuracies]) -> Iterable[str]:
    rows = []
    for recipe, one in found.items():
        for part, values in (("validation", one.valid), ("test", one.test)):
            rows.append((recipe, part, statistics.quantiles(values[:, : one.common].mean(axis=1))))
    yield "Mean accuracy of a cell, percent:"
    yield _table(
        ["recipe", "part", *rows[0][2]], [[recipe, part, *(f"{x:.1f}" for x in q.values())] for recipe, part, q in rows]
    )


def _noise(found: dict[str, Accuracies]) -> Iterable[str]:
    among = statistics.groups(found["long"])
    rows = []
    for recipe, one in found.items():
        for name, members in among.items():
            noise = statistics.noise(one, members)
            spread = [f"{noise.between:.2f}", f"{noise.within:.2f}"]
            rows.append([recipe, name, f"{noise.cells:,}", *spread, *map(_correlation, noise[3:])])
    yield (
        "How far the seeds hide the cells (validation; standard deviations in points, ρ of Spearman). The best are chosen by "
        "the mean validation accuracy of the long recipe over its first three seeds, which makes its own figures among them "
        "smaller than they would be among cells chosen otherwise. Reliability is the share of the variance between cells in "
        "that of means of three seeds."
    )
    head = ["recipe", "among", "cells", "sd between cells", "sd between seeds", "ρ seed to seed", "reliability of three"]
    yield _table([*head, "ρ mean of three, of two others", "ρ validation–test"], rows)


def _equal(found: dict[str, Accuracies]) -> Iterable[str]:
    rows = []
    for recipe, one in found.items():
        equal = statistics.equal_cells(one)
        numbers = [_points(equal.found), _points(equal.expected), _points(equal.different)]
        rows.append([recipe, f"{equal.cells:,}", f"{equal.classes:,}", *numbers])
    yield (
        "Cells of one isomorphic class share a training, so the records cannot say how well such cells agree; `siblings` "
        "trains a sample of them. What the records do say: live cells that are the same sum of operations but have different "
        "unique strings were trained apart. Standard deviation of their mean validation accuracies within such a class, what "
        "the seeds alone would make of it, and that of the same cells with classes ignored, points:"
    )
    yield _table(["recipe", "cells", "classes", "within a class", "by seeds alone", "classes ignored"], rows)


def _best(long: Accuracies) -> Iterable[str]:
    space = NB201Space()
    rows = [
        [f"`{space.to_str(space.at(cell))}`".replace("|", "\\|"), str(cell), f"{valid:.2f}", f"{test:.2f}", str(seeds)]
        for cell, valid, test, seeds in statistics.best(long)
    ]
    yield "The best by mean test accuracy of the long recipe:"
    yield _table(["cell", "index", "validation", "test", "seeds"], rows)


def _clock(clock: Clock | None) -> Iterable[str]:
    if clock is None:
        yield "The clock is not measured yet."
        return
    rows = []
    for name, line in (("training step", clock.train), ("evaluation", clock.evaluate)):
        costs = [f"{line.per_edge[op]:.1f}" for op in OPS]
        rows.append([name, f"{line.base:.1f}", *costs, f"{line.r2:.3f}", f"{line.residual:.2f}"])
    made = f"fitted on {clock.cells} cells, {clock.made_with}"
    yield f"The clock, microseconds per image: base + what the operation on each edge costs ({made})."
    yield _table(["", "base", *OPS, "R²", "sd of the residual"], rows)


def _kendall(long: Accuracies, real: Records | None) -> Iterable[str]:
    if real is None:
        yield "Agreement with NAS-Bench-201: not measured, no table of it was found."
        return
    found = statistics.kendall(long, real)
    names = list(dict.fromkeys(name for _, name in found))
    rows = [
        [target, *(f"{found[target, name][1]:.2f} ({found[target, name][0]:,})" for name in names)]
        for target in dict.fromkeys(target for target, _ in found)
    ]
    yield (
        f"Agreement with NAS-Bench-201 ({real.table.meta.get('kind', 'unknown source')}): Kendall's τ of mean test accuracies, "
        "long recipe and 200 epochs, over unique cells (how many):"
    )
    yield _table(["target", *names], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _correlation(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _points(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"
