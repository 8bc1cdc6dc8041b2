"""The stages after the search: which cells to train from scratch, read off what the store holds of the stage before.

A training is a run of its own whose input is an architecture that a search proposed. Trainings of one recipe on one benchmark
are one row whatever proposed the cell, so that a cell that several searches found, or several stages want, is trained once.
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
    """Plans every training whose input is known by now, and marks what is done.

    ``plan.waiting`` says which stages still wait for an earlier one.
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
    """The row of the stage's trainings on a benchmark; None where it has none there, or cannot run here."""
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
    """One training. All cells of a benchmark share the seeds, so that they see the same images in the same order."""
    return RunSpec(
        run_id=hashlib.sha256(f"{spec.identity}:{arch}:{seed}".encode()).hexdigest()[:24],
        world=seed,
        world_seed=derive("training", spec.benchmark, seed),
        method_seed=0,
        arch=arch,
    )


def _cells(plan: Plan, stage: Stage, planned: PlannedRow, store: Store) -> Iterator[tuple[int, str]]:
    """(search, cell) of everything that the stage trains of one row."""
    wanted = {run.run_id for run in planned.runs}
    searches = [one for one in store.rows(planned.spec.identity, trace=stage.probed) if one["run_id"] in wanted]
    done = [one for one in searches if one["status"] == "done"]
    if stage.probed:
        space = plan.problem(planned.spec).space
        found = [(one["world"], space.to_str(arch)) for one in done for arch in probed(one["trace"])]
    else:
        found = [(one["world"], one["arch"]) for one in done]
    if not stage.chosen_by:
        if len(searches) < len(wanted):
            plan.waiting[stage.name] = f"every cell that is {stage.what}, {stage.seeds} x {stage.recipe}"
        yield from found
        return
    scores = _scores(plan, stage.chosen_by, planned, store)
    if len(searches) < len(wanted) or scores is None:
        plan.waiting[stage.name] = f"the best cell of each row by {stage.chosen_by}, {stage.seeds} x {stage.recipe}"
        return
    means = {world: float(np.mean(values)) for world, values in scores.items()}
    if means:
        best = max(means, key=lambda world: (means[world], -world))
        yield best, dict(found)[best]


def _scores(plan: Plan, stage: str, planned: PlannedRow, store: Store) -> Mapping[int, list[float]] | None:
    """Accuracies of a row's cells in a stage, by search; None while trainings are missing. What failed counts for nothing."""
    mine = [one for one in plan.trainings if one.stage == stage and one.row == planned.spec.row]
    mine = [one for one in mine if one.spec.benchmark == planned.spec.benchmark]
    results: dict[str, Any] = {}
    for identity in {one.spec.identity for one in mine}:
        results.update({one["run_id"]: one for one in store.rows(identity, trace=False)})
    if not mine or any(one.run_id not in results for one in mine):
        return None
    scores: dict[int, list[float]] = defaultdict(list)
    for one in mine:
        result, settings = results[one.run_id], one.spec.settings
        if result["status"] == "done":
            scores[one.world].append(result["scores"][settings["data"]][settings["split"]])
    return scores
