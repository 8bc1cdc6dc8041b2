"""The piece ``trainings``: trainings of cells of the DARTS space on CIFAR-10, with a checkpoint after each epoch."""

from __future__ import annotations

import hashlib
import random
from functools import partial
from statistics import median
from typing import Final

from benchmarks.darts.data import open_data
from benchmarks.darts.published import named
from benchmarks.darts.recipe import Recipe, recipe
from benchmarks.darts.retraining import Retraining
from benchmarks.darts.space import DartsSpace
from benchmarks.gpu import networks
from benchmarks.gpu.pieces import Case, Numbers, Run
from benchmarks.gpu.roofline import Variant, device
from benchmarks.gpu.timing import prepare_compiler
from harness.safe_file import SafeFile

CELLS: Final = ("DARTS_V2", "PC_DARTS_CIFAR10", "GAEA_PC_DARTS_A", "ISTA_NAS_TWO_STAGE", "CONAS_1", "DARTS_V1")
PUBLISHED: Final = {("DARTS_V2", "darts"): 97.24}
"""Accuracy of published trainings, percent: 2.76 ± 0.09 % error (DARTS, Table 1)."""
SMALL: Final = ("epochs=2", "batch=64", "width=2", "depth=2", "cutout=2", "auxiliary=0")
"""What recipes change on a CPU."""
VARIANTS: Final[tuple[Variant, ...]] = ("eager", "graph", "compiled", "compiled graph")
IMAGES: Final = {"test": 50_000, "valid": 45_000}


def cases(run: Run) -> list[Case]:
    """Return the cases: short trainings of some cells and of a random cell, then the training of DARTS_V2."""
    cells = [*(run.cells or CELLS), "a random cell"]
    trainings = [(cell, "short", "valid") for cell in cells[:1] if run.small] or [(cell, "short", "valid") for cell in cells]
    return [
        Case(f"{cell}, {name}, {split}", partial(_predict, cell, name, split, run), partial(_train, cell, name, split, run))
        for cell, name, split in (*trainings, ("DARTS_V2", "darts", "test"))
    ]


def the_recipe(name: str, run: Run) -> Recipe:
    """Return a recipe; on a CPU, with a tiny network."""
    return recipe(name).changed(SMALL if run.small else ())


def _text(cell: str) -> str:
    space = DartsSpace("single")
    return space.to_str(space.sample(random.Random(0))) if cell == "a random cell" else cell


def _predict(cell: str, name: str, split: str, run: Run) -> Numbers:
    how, limit = the_recipe(name, run), device(run.device)
    macro = how.macro(10, 1, 8) if run.small else how.macro(10, 3, 32)
    images = 1024 if run.small else IMAGES[split]
    work = networks.retraining(_text(cell), macro, how.batch, how.drop_path > 0)
    alone, graph = (limit.seconds(work, variant) / how.batch for variant in (VARIANTS if run.compile else VARIANTS[:2])[-2:])
    published = PUBLISHED.get((cell, name)) if not run.small else None
    return {
        "images/s": 1 / alone,
        "seconds": how.epochs * images * alone,
        "seconds as a graph": how.epochs * images * graph,
        **({} if published is None else {"accuracy, %": published}),
    }


def _train(cell: str, name: str, split: str, run: Run) -> Numbers:
    how, dataset = the_recipe(name, run), "digits" if run.small else "cifar10"
    if run.compile:
        prepare_compiler(run.out)
    data = open_data(dataset, "valid" if split == "valid" else "test", run.device)
    arch = named(_text(cell))
    training = Retraining(arch, how, data, 0, run.device, run.compile, light=run.light)
    digest = hashlib.sha256(f"{arch} {name} {split}".encode()).hexdigest()[:8]
    file = SafeFile(run.out / "checkpoints" / f"training-{digest}.pt", "the training")
    if (state := file.load()) is not None:
        training.load(state)

    def measured() -> Numbers:
        lines = training.curve.lines
        return {
            "images/s": training.data.train_images / median(line["seconds"] for line in lines),
            "seconds": sum(line["seconds"] for line in lines),
            "accuracy, %": training.curve.final,
            "epochs": training.epoch,
            "continued without momentum": training.restarts,
            "curve": lines,
        }

    while not training.done:
        training.train_epoch()
        file.save(training.state())
        if not training.done:
            run.check(measured())
    return measured()
