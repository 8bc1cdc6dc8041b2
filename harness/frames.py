"""Fill the evidence of a report from a store."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.evidence import (
    DONE,
    FITTED,
    METRICS,
    OWN,
    RUNS,
    SHARED,
    TRAININGS,
    Cell,
    Edge,
    Evidence,
    Operation,
    Run,
    Space,
    Training,
)
from harness.analysis.traces import Packed, Trace, Traces
from harness.captions import page
from harness.current import current
from harness.outcome import TOO_SMALL
from harness.packing import unpack
from harness.plan import Plan, PlannedRow
from harness.space import InvalidArchitecture, SearchSpace
from harness.spec import RETRAINING, RowSpec, limit
from harness.stages import extend
from harness.store import Store

STORED = ("run_id", "world", "status", "error", "arch", "wall_seconds", "session", "spent", "scores", "trace")
Specs = Mapping[str, Mapping[str, Any]]
"""Specifications of rows by identity."""
CHUNK = 200
"""Runs that are read and decoded at once."""


def collect(plan: Plan, store: Store, provenance: Mapping[str, Any]) -> Evidence:
    """Return everything in the store that was made under the plan's protocol by the present code on the present data.

    The runs may come from any command. Nothing is written: the plan may be without rows, and the store may be empty.

    Args:
        provenance: of the command that writes the page, see :func:`harness.provenance.gather`.
    """
    shown, left_out, other_budgets = current(plan, store)
    for identity, reason in _too_small(store, shown).items():
        spec = shown.pop(identity)
        plan.skipped[spec["benchmark"], spec["kind"], spec["row"]] = reason
    traces = Traces()
    sessions: Counter[int] = Counter()
    longest = Traces()
    for identity, larger in _longest(shown, other_budgets).items():
        _runs(plan, store, identity, larger, longest.row(larger["benchmark"], larger["row"]), Counter())
    frames = [
        _runs(plan, store, identity, spec, traces.row(spec["benchmark"], spec["row"]), sessions)
        for identity, spec in shown.items()
    ]
    runs = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(RUNS))
    made_by = [(session, sessions[session["id"]]) for session in store.sessions(sessions)]
    return Evidence(
        page=page(plan, list(shown.values()), left_out, made_by, provenance),
        runs=runs,
        traces=traces,
        trainings=_trainings(_with_stored_rows(plan, store, shown), store),
        spaces=_spaces(plan, runs),
        fitted=_fitted(store, {**other_budgets, **shown}),
        longest=longest,
    )


def _longest(shown: Specs, other_budgets: Specs) -> dict[str, Mapping[str, Any]]:
    """Return by identity the rows without a schedule that ran under a larger budget than on the page: the largest of each."""
    largest: dict[tuple[str, str], str] = {}
    specs = {**shown, **other_budgets}
    for identity, spec in specs.items():
        row, budget = (spec["benchmark"], spec["row"]), spec["budget"]
        if budget["policy"] == "fit" or budget["currency"] != "seconds":
            continue
        if row not in largest or budget["limit"] > specs[largest[row]]["budget"]["limit"]:
            largest[row] = identity
    return {identity: specs[identity] for identity in largest.values() if identity not in shown}


def _fitted(store: Store, specs: Specs) -> pd.DataFrame:
    """Return one line per target and finished search whose schedule was fitted to its budget."""
    lines = [
        (spec["benchmark"], spec["row"], spec["budget"]["currency"], spec["budget"]["limit"], world, target, values["test"])
        for identity, spec in specs.items()
        if spec["budget"]["policy"] == "fit"
        for world, status, scores in store.columns(identity, (Run.WORLD, Run.STATUS, "scores"))
        if status == DONE
        for target, values in json.loads(scores).items()
    ]
    return pd.DataFrame(lines, columns=list(FITTED))


def _too_small(store: Store, shown: Iterable[str]) -> dict[str, str]:
    """Return the rows, by identity, whose budget was too small in every run, with the reason of the first."""
    reasons = {}
    for identity in shown:
        runs = list(store.columns(identity, (Run.STATUS, Run.ERROR)))
        if runs and all(status == TOO_SMALL for status, _ in runs):
            reasons[identity] = str(runs[0][1])
    return reasons


def _runs(
    plan: Plan, store: Store, identity: str, spec: Mapping[str, Any], traces: Packed, sessions: Counter[int]
) -> pd.DataFrame:
    """Return one line per finished run of a row and target. Add to the traces, and to the number of runs of each session."""
    row, benchmark = spec["row"], spec["benchmark"]
    method = row.partition("[")[0].partition(":")[0]
    facts = (spec["protocol"], benchmark, row, method, spec["kind"], spec["device"], limit(spec), spec["code"], "")
    shared = dict(zip(SHARED, facts, strict=True))
    targets = list(plan.opened[benchmark, spec["kind"]].problem.judge.optimum)
    columns: dict[str, list[Any]] = {name: [] for name in (*OWN, Run.RUN_ID)}
    metrics: dict[str, list[dict[str, float]]] = {target: [] for target in targets}
    stored = store.columns(identity, STORED)
    while chunk := list(islice(stored, CHUNK)):
        block = dict(zip(STORED, zip(*chunk, strict=True), strict=True))
        spent, scores = (json.loads(f"[{','.join(block[name])}]") for name in ("spent", "scores"))
        sessions.update(block["session"])
        for name in (Run.RUN_ID, Run.WORLD, Run.STATUS, Run.ERROR, Run.ARCH, Run.WALL_SECONDS, Run.SESSION):
            columns[name].extend(block[name])
        for name, missing in ((Run.QUERIES, 0), (Run.SECONDS, np.nan), (Run.EPOCHS, np.nan)):
            columns[name].extend([costs.get(name, missing) for costs in spent])
        done = [status == DONE for status in block["status"]]
        for target in targets:
            metrics[target].extend([score.get(target, {}) if ok else {} for score, ok in zip(scores, done, strict=True)])
        finished = [position for position, ok in enumerate(done) if ok]
        traces.add([_trace(block["world"][k], spent[k], unpack(block["trace"][k], per_query=False), targets) for k in finished])
    frame = pd.DataFrame({**columns, **shared})
    blocks = [
        frame.assign(
            target=target, **{name: np.array([score.get(name, np.nan) for score in values], dtype=float) for name in METRICS}
        )
        for target, values in metrics.items()
    ]
    return pd.concat(blocks)[list(RUNS)].sort_index(kind="stable")  # the targets of a run are adjacent


def _trace(world: int, spent: Mapping[str, float], columns: Mapping[str, np.ndarray], targets: Sequence[str]) -> Trace:
    """Return the trace of a finished search from its stored columns; see :class:`harness.outcome.Trace`."""
    seconds = columns["proposal_seconds"]
    missing = np.full(len(seconds), np.nan)
    more = len(columns) > 2 + len(targets)
    return Trace(
        world=world,
        seconds=seconds,
        queries=columns["proposal_queries"],
        test={target: columns.get(f"{target}/test", missing) for target in targets},
        end=spent["seconds"],
        spent_queries=spent["queries"],
        log={name[4:]: values for name, values in columns.items() if name.startswith("log/")} if more else {},
        probe={name[6:]: values for name, values in columns.items() if name.startswith("probe/")} if more else {},
    )


def _spaces(plan: Plan, runs: pd.DataFrame) -> dict[str, Space]:
    """Return by benchmark the search space, with the cells of every proposal; only spaces that can be drawn."""
    opened = {benchmark: part.problem.space for (benchmark, _), part in plan.opened.items()}
    proposals = runs[runs[Run.STATUS] == DONE].groupby(Run.BENCHMARK, sort=False)[Run.ARCH].unique()
    return {
        str(benchmark): depict(opened[str(benchmark)], texts)
        for benchmark, texts in proposals.items()
        if opened[str(benchmark)].depiction is not None
    }


def depict(space: SearchSpace, texts: Iterable[object]) -> Space:
    """Return a search space that has a depiction, with the cells of the architectures that ``texts`` spell."""
    depiction = space.depiction
    assert depiction is not None
    operations = {name: Operation(name, *operation) for name, operation in depiction.operations.items()}

    @cache  # cells share their edges
    def edge(source: int, target: int, name: str) -> Edge:
        return Edge(source, target, operations.get(name, Operation(name, name)) if name else None)

    drawn = {}
    for text in texts:
        if isinstance(text, str) and text:
            try:
                graphs = space.graphs(space.from_str(text))
            except InvalidArchitecture:  # stored by another version of the space
                continue
            drawn[text] = tuple(
                Cell(graph.nodes, tuple(edge(*line) for line in graph.edges), graph.name, graph.inputs) for graph in graphs
            )
    return Space(depiction.title, depiction.legend, depiction.cells, operations, drawn)


def _with_stored_rows(plan: Plan, store: Store, shown: Mapping[str, Mapping[str, Any]]) -> Plan:
    """Return a plan whose trainings are those of every search on the page, planned or stored, that has its cell trained."""
    searches = {row.spec.identity: row for row in plan.rows if row.spec.kind != RETRAINING}
    rows = []
    for identity, spec in shown.items():
        row = searches.get(identity) or PlannedRow(RowSpec(**spec), [])
        if plan.problem(row.spec).retraining:
            worlds = {run.world for run in row.runs} | {world for (world,) in store.columns(identity, ("world",))}
            rows.append(PlannedRow(row.spec, [row.spec.run(world) for world in sorted(worlds)]))
    ordered = sorted(rows, key=lambda row: (row.spec.benchmark, row.spec.row))
    extended = dataclasses.replace(plan, rows=ordered, trainings=[], waiting={}, skipped=dict(plan.skipped))
    if ordered:
        extend(extended, store)
    return extended


def _trainings(plan: Plan, store: Store) -> pd.DataFrame:
    """Return the trainings that the stages need with their results: accuracies in percent, NaN if failed or not done."""
    identities = dict.fromkeys(training.spec.identity for training in plan.trainings)
    results = {row["run_id"]: row for identity in identities for row in store.rows(identity, trace=False)}
    stages = {stage.name: stage for stage in plan.protocol.stages}
    lines: list[dict[str, Any]] = []
    for training in plan.trainings:
        result, settings = results.get(training.run_id), training.spec.settings
        scores = result["scores"].get(settings["data"], {}) if result and result["status"] == DONE else {}
        stage = stages[training.stage]
        retrainer = plan.opened[training.spec.benchmark, stage.of].problem.retraining
        assert retrainer is not None, "the benchmark trains cells"
        lines.append(
            {
                Training.STAGE: training.stage,
                Training.BENCHMARK: training.spec.benchmark,
                Training.ROW: training.row,
                Training.WORLD: training.world,
                Training.ARCH: training.arch,
                Training.SEED: training.seed,
                Training.RUN_ID: training.run_id,
                Training.STATUS: result["status"] if result else "missing",
                Training.RECIPE: settings["recipe"],
                Training.EPOCHS: settings["epochs"],
                Training.DATA: settings["data"],
                Training.SPLIT: settings["split"],
                Training.IMAGES: settings["images"],
                Training.PROBED: stage.probed,
                Training.CHOSEN_BY: stage.chosen_by,
                Training.CHOSEN_ON: stages[stage.chosen_by].split if stage.chosen_by else "",
                Training.SET: stage.set_of(training.world),
                Training.ACCURACY: scores.get(settings["split"], np.nan),
                Training.BEST: scores.get("best", np.nan),
                Training.TOP5: scores.get("top5", np.nan),
                Training.LOSS: scores.get("loss", np.nan),
                Training.METRIC: retrainer.metric,
                Training.PERPLEXITY: scores.get("perplexity", np.nan),
                Training.VALID_PERPLEXITY: scores.get("valid_perplexity", np.nan),
                Training.PARAMETERS: scores.get("parameters", np.nan),
                Training.MACS: scores.get("macs", np.nan),
                Training.SECONDS: result["spent"].get("seconds", np.nan) if result else np.nan,
                Training.DEVICE: training.spec.device,
            }
        )
    return pd.DataFrame(lines, columns=list(TRAININGS))
