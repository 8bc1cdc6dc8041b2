"""Plan the stages after the search: the cells to train from scratch, by the stored results of the stage before.

A training is a separate run whose input is an architecture that a search proposed. Trainings with the same recipe on the same
benchmark are one row. So a cell that several searches propose, or several stages need, is trained once.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from harness import source
from harness.errors import UserError
from harness.execute import probed
from harness.plan import Plan, PlannedRow, Training
from harness.protocol import Stage
from harness.seeds import derive
from harness.spec import RETRAINING, RowSpec, RunSpec
from harness.store import Store


def extend(plan: Plan, store: Store) -> None:
    """Plan every training whose input is known, and mark the runs that are done.

    ``plan.waiting`` names the stages that wait for an earlier one.
    """
    plan.trainings, plan.waiting = [], {}
    plan.rows = [row for row in plan.rows if row.spec.kind != RETRAINING]
    statuses = store.statuses()
    searched = list(plan.rows)
    rows: dict[str, PlannedRow] = {}
    for stage in plan.protocol.stages:
        for planned in searched:
            if planned.spec.kind == stage.of and (spec := _spec(plan, stage, planned)) is not None:
                row = rows.setdefault(spec.identity, PlannedRow(spec, []))
                _add(plan, stage, planned, row, store)
    plan.rows += [row for row in rows.values() if row.runs]
    for row in plan.rows:
        row.done = {run.run_id for run in row.runs if run.run_id in statuses}


def _spec(plan: Plan, stage: Stage, planned: PlannedRow) -> RowSpec | None:
    """Return the row of the stage's trainings on a benchmark; None if the benchmark trains nothing, or data is missing."""
    search = planned.spec
    recipe = stage.recipe_of(search.row)
    retrainer = plan.problem(search).retraining
    if retrainer is None:
        return None
    try:
        settings = retrainer.describe(recipe, stage.split, stage.data)
    except UserError as error:
        plan.skipped[search.benchmark, search.kind, f"stage {stage.name}"] = str(error)
        return None
    return RowSpec(
        protocol=search.protocol,
        benchmark=search.benchmark,
        row=f"trained by {recipe}"
        + (f" on {stage.data}" if stage.data else "")
        + (", valid" if stage.split == "valid" else ""),
        method="",
        kind=RETRAINING,
        settings=settings,
        budget={"currency": None, "limit": float("inf"), "policy": "refuse", "interpolate": False},
        search=search.search,
        judge=search.judge,
        checksum=search.checksum,
        record="none",
        code=source.of_training(retrainer),
        wall_limit_s=stage.wall_limit_s or plan.protocol.wall_limit_s,
        device=search.device,
        threads=search.threads,
        trained_on=settings["images"],
    )


def _add(plan: Plan, stage: Stage, planned: PlannedRow, row: PlannedRow, store: Store) -> None:
    known = {run.run_id for run in row.runs}
    for world, arch in _cells(plan, stage, planned, store):
        for seed in range(stage.first_seed, stage.first_seed + stage.seeds):
            run = training_run(row.spec, arch, seed)
            plan.trainings.append(Training(stage.name, row.spec, planned.spec.row, world, arch, seed, run.run_id))
            if run.run_id not in known:
                known.add(run.run_id)
                row.runs.append(run)


def training_run(spec: RowSpec, arch: str, seed: int) -> RunSpec:
    """Return one training. All cells of a benchmark share the seeds: they see the same images in the same order."""
    return RunSpec(
        run_id=hashlib.sha256(f"{spec.identity}:{arch}:{seed}".encode()).hexdigest()[:24],
        world=seed,
        world_seed=derive("training", spec.benchmark, seed),
        method_seed=0,
        arch=arch,
    )


def _cells(plan: Plan, stage: Stage, planned: PlannedRow, store: Store) -> Iterator[tuple[int, str]]:
    """Yield the world of the search, and the cell, for everything that the stage trains of one row."""
    wanted = {run.run_id for run in planned.runs}
    searches = [run for run in store.rows(planned.spec.identity, trace=stage.probed) if run["run_id"] in wanted]
    done = [run for run in searches if run["status"] == "done"]
    if stage.probed:
        space = plan.problem(planned.spec).space
        cells = [(run["world"], space.to_str(arch)) for run in done for arch in probed(run["trace"])]
    else:
        cells = [(run["world"], run["arch"]) for run in done]
    if not stage.chosen_by:
        if len(searches) < len(wanted):
            plan.waiting[stage.name] = f"{stage.trained}, {stage.seeds} x {stage.recipe}"
        yield from cells
        return
    merits = _merits(plan, stage.chosen_by, planned, store)
    if len(searches) < len(wanted) or merits is None:
        plan.waiting[stage.name] = f"{stage.trained}, {stage.seeds} x {stage.recipe}"
        return
    means = {world: float(np.mean(values)) for world, values in merits.items()}
    for members in stage.sets(run.world for run in planned.runs).values():
        trained = [world for world in members if world in means]
        if trained:
            best = max(trained, key=lambda world: (means[world], -world))
            yield best, dict(cells)[best]


def _merits(plan: Plan, stage: str, planned: PlannedRow, store: Store) -> Mapping[int, list[float]] | None:
    """Return the merits of a row's cells in a stage, by world; None while some are missing. Failed trainings do not count.

    A merit is the accuracy, or minus the perplexity if the benchmark compares cells by it.
    """
    trainings = [
        training
        for training in plan.trainings
        if (training.stage, training.row, training.spec.benchmark) == (stage, planned.spec.row, planned.spec.benchmark)
    ]
    results: dict[str, Any] = {}
    for identity in {training.spec.identity for training in trainings}:
        results.update({run["run_id"]: run for run in store.rows(identity, trace=False)})
    if not trainings or any(training.run_id not in results for training in trainings):
        return None
    merits: dict[int, list[float]] = defaultdict(list)
    retrainer = plan.problem(planned.spec).retraining
    assert retrainer is not None, "it has trainings"
    for training in trainings:
        result, settings = results[training.run_id], training.spec.settings
        if result["status"] == "done":
            scores = result["scores"][settings["data"]]
            merit = -scores["perplexity"] if retrainer.metric == "perplexity" else scores[settings["split"]]
            merits[training.world].append(merit)
    return merits
