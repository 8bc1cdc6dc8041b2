"""The command ``python -m benchmarks.darts_rnn.datasheet``: can the trainings of a recipe tell random cells apart?

It trains some random cells with some seeds, and compares the spread between cells with the spread between seeds. A text counts
as a task only if the first is at least three times the second. The page also states both without the cell that is farthest from
the others. If that ratio is small, the trainings find cells that do not learn, and hardly tell the others apart. The same
command continues after a stop: every finished training is in ``trainings.json``.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from statistics import fmean, median, stdev, variance
from typing import Annotated, NamedTuple

import typer

from benchmarks.darts_rnn.corpus import CUTS, corpus
from benchmarks.darts_rnn.recipe import recipe
from benchmarks.darts_rnn.space import RnnSpace
from benchmarks.trainings import ready
from harness.cache import atomic
from harness.command import run as run_command
from harness.errors import UserError

LEAST_RATIO = 3.0
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class Spread(NamedTuple):
    """How the perplexities of cells and of seeds vary."""

    between: float
    """Standard deviation of the cells' true means, estimated: that of the measured means, less the part of the seeds."""
    within: float
    """Standard deviation of the seeds of a cell, pooled over cells."""

    @property
    def ratio(self) -> float:
        return self.between / self.within if self.within else math.inf


def spread(perplexities: list[list[float]]) -> Spread:
    """Return the spread of two cells or more, each with the perplexities of two seeds or more, equally many."""
    within = fmean(variance(seeds) for seeds in perplexities)
    means = variance([fmean(seeds) for seeds in perplexities])
    return Spread(math.sqrt(max(means - within / len(perplexities[0]), 0.0)), math.sqrt(within))


def without_farthest(perplexities: list[list[float]]) -> list[list[float]]:
    """Return the perplexities without those of the cell whose mean is farthest from the median of all."""
    means = [fmean(seeds) for seeds in perplexities]
    farthest = max(range(len(means)), key=lambda cell: abs(means[cell] - median(means)))
    return perplexities[:farthest] + perplexities[farthest + 1 :]


@app.command()
def datasheet(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the finished trainings and the page.")],
    data: Annotated[str, typer.Option(metavar="|".join(CUTS), help="Text to train on.")] = "pride",
    recipe_: Annotated[str, typer.Option("--recipe", metavar="NAME", help="Recipe of the trainings.")] = "rnn_pride",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of the recipe; repeatable.")
    ] = None,
    cells: Annotated[int, typer.Option(metavar="N", help="Random cells.")] = 12,
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings of each cell.")] = 5,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Device to train on.")] = "cpu",
) -> None:
    """Train random cells with several seeds, and compare the spread between cells with that between seeds."""
    if cells < 3 or seeds < 2:
        raise UserError(f"{cells} cells and {seeds} seeds have no spread; set --cells to 3 and --seeds to 2 at least")
    how, text, device = recipe(recipe_).changed(set_ or []), corpus(data), ready(device)
    from benchmarks.darts_rnn.retraining import Retraining

    out.mkdir(parents=True, exist_ok=True)
    file, space, rng = out / "trainings.json", RnnSpace(), random.Random(0)
    archs = [space.sample(rng) for _ in range(cells)]
    done: dict[str, dict[str, float]] = json.loads(file.read_text()) if file.exists() else {}
    for seed in range(seeds):
        for number, arch in enumerate(archs):
            training = Retraining(arch, how, text, seed, device)
            if training.identity in done:
                continue
            training.run()
            scores = {part: math.exp(training.final(part).loss) for part in ("valid", "test")}
            done[training.identity] = scores | {"seconds": sum(line["seconds"] for line in training.lines)}
            with atomic(file) as temporary:
                temporary.write_text(json.dumps(done, indent=1) + "\n")
            print(f"cell {number}, seed {seed}: valid {scores['valid']:.2f}, test {scores['test']:.2f}", flush=True)
    rows = [[done[f"{arch} {how.digest} {text.checksum} {seed}"] for seed in range(seeds)] for arch in archs]
    perplexities = [[score["valid"] for score in row] for row in rows]
    spreads = {"all cells": spread(perplexities), "without the farthest": spread(without_farthest(perplexities))}
    lines = [
        f"{text.name}; recipe {how.name}, {how.digest[:12]}",
        "",
        "| cell | valid | test | between seeds | s |",
        "|---|---:|---:|---:|---:|",
    ]
    for arch, row in zip(archs, rows, strict=True):
        valid, test, seconds = ([score[name] for score in row] for name in ("valid", "test", "seconds"))
        spelled = space.to_str(arch).partition("[")[2].partition("]")[0]
        lines.append(f"| {spelled} | {fmean(valid):.2f} | {fmean(test):.2f} | {stdev(valid):.2f} | {fmean(seconds):.0f} |")
    counts = spreads["all cells"].ratio >= LEAST_RATIO
    lines += [
        "",
        "| standard deviation of the validation perplexity | between cells | between seeds | ratio |",
        "|---|---:|---:|---:|",
        *(f"| {name} | {part.between:.2f} | {part.within:.2f} | {part.ratio:.1f} |" for name, part in spreads.items()),
        "",
        f"With a least ratio of {LEAST_RATIO:g} the text {'counts' if counts else 'does not count'} as a task.",
    ]
    (out / "datasheet.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    run_command(app, "interrupted; the same command continues")
