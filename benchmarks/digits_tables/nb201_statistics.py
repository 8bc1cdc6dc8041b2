"""The statistics of nb201/digits: agreement between cells that are the same function, and with NAS-Bench-201's table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from benchmarks.bundled.clock import Floats
from benchmarks.digits_tables import datasheet
from benchmarks.digits_tables.assembly import records
from benchmarks.digits_tables.datasheet import points
from benchmarks.digits_tables.shards import Shards
from benchmarks.digits_tables.statistics import Accuracies, Rows, accuracies, groups
from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.space import OPS, NB201Space, official_order
from benchmarks.nb201.table import Records
from harness.space import Arch

NOTHING = ""
"""The function of a cell without a path to its output."""


def function(arch: Arch) -> str:
    """Return a name of the function. Two cells have the same name exactly if they are the same sum of operations.

    There are 4 930 names. The name drops zero terms, contracts identities, and flattens and sorts nested sums. It does not
    distribute pooling over a sum. A value that is used twice has the same name as two values with separate weights, as in the
    unique string.
    """
    nodes: list[list[str]] = [["x"]]
    position = 0
    for target in (1, 2, 3):
        terms: list[str] = []
        for source in range(target):
            op, inputs = OPS[arch[position]], nodes[source]
            position += 1
            if op == "none" or not inputs:
                continue
            terms += inputs if op == "skip_connect" else [f"({'+'.join(inputs)})@{op}"]
        nodes.append(sorted(terms))
    return "+".join(nodes[3]) or NOTHING


def live(arch: Arch) -> bool:
    """Return whether a path without ``none`` leads from the input to the output. 341 cells have no such path."""
    return function(arch) != NOTHING


def alive(long: Accuracies) -> Rows:
    """Return the rows of live cells."""
    return np.flatnonzero([live(official_order()[cell]) for cell in long.cells])


class Equal(NamedTuple):
    """The agreement of live cells that are the same sum of operations.

    Their unique strings differ, so that they were trained separately.
    """

    cells: int
    classes: int
    within: float
    """Standard deviation of their means over the common seeds within a class, points."""
    by_seeds: float
    """The same if only the seeds differed, from the spread between the seeds of these cells."""
    ignored: float
    """The same standard deviation among all these cells, classes ignored."""


def equal_cells(accuracies: Accuracies) -> Equal:
    """Return the agreement of equal cells by validation."""
    classes: dict[str, list[int]] = {}
    for row, cell in enumerate(accuracies.cells):
        if name := function(official_order()[cell]):
            classes.setdefault(name, []).append(row)
    several = [rows for rows in classes.values() if len(rows) > 1]
    rows = [row for rows in several for row in rows]
    if not several:
        return Equal(0, 0, np.nan, np.nan, np.nan)
    first = accuracies.valid[:, : accuracies.common]
    means = first.mean(axis=1)
    squares = sum(float(((means[rows] - means[rows].mean()) ** 2).sum()) for rows in several)
    seeds = float(first[rows].var(axis=1, ddof=1).mean()) / accuracies.common
    within = (squares / (len(rows) - len(several))) ** 0.5
    return Equal(len(rows), len(several), within, seeds**0.5, float(means[rows].std(ddof=1)))


def theirs(long: Accuracies, table: Records) -> dict[str, Floats]:
    """Return NAS-Bench-201's accuracies of the same cells by target: 200 epochs; ori-test on CIFAR-10, x-test elsewhere."""
    reported = {"cifar10": "ori-test", "cifar100": "x-test", "imagenet16-120": "x-test"}
    means = {target: table.mean(target, 200, split, "accuracy") for target, split in reported.items()}
    return {target: mean[long.cells] for target, mean in means.items() if mean is not None}


def markdown(shards: Shards, cells: int, note: Callable[[str], None]) -> str:
    """Return the statistics of the records, as Markdown.

    Args:
        shards: the records.
        cells: number of unique cells of the space.
        note: takes progress messages of the search for NAS-Bench-201's table.
    """
    final, _ = records(shards)
    by_recipe = accuracies(final, shards.plan["settings"]["draws"])
    long, space, table = by_recipe["long"], NB201Space(), LIBRARY.find_table(note)
    among = groups(long)
    among = {"all": among["all"], "live": alive(long), **among}
    official = theirs(long, Records(table)) if table else None
    blocks = [
        datasheet.covered(final, cells),
        *datasheet.spread(by_recipe),
        *datasheet.noise(by_recipe, among),
        *_equal(by_recipe),
        *datasheet.best(long, lambda cell: space.to_str(space.at(cell))),
        *datasheet.clock(shards.clock()),
        *datasheet.agreement("NAS-Bench-201", long, official, table.meta["kind"] if table else "", "200 epochs"),
    ]
    return "\n\n".join(blocks) + "\n"


def _equal(by_recipe: Mapping[str, Accuracies]) -> Iterable[str]:
    rows = []
    for recipe, trained in by_recipe.items():
        equal = equal_cells(trained)
        numbers = [points(equal.within), points(equal.by_seeds), points(equal.ignored)]
        rows.append([recipe, f"{equal.cells:,}", f"{equal.classes:,}", *numbers])
    yield (
        "Cells of one isomorphic class share a training, so the records cannot say how well such cells agree; `siblings` "
        "trains a sample of them. What the records do say: live cells that are the same sum of operations but have different "
        "unique strings were trained apart. Standard deviation of their mean validation accuracies within such a class, what "
        "the seeds alone would make of it, and that of the same cells with classes ignored, points:"
    )
    yield datasheet.table(["recipe", "cells", "classes", "within a class", "by seeds alone", "classes ignored"], rows)
