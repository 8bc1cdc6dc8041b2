"""Write the report of one protocol: ``table.md``, ``table.tex``, ``runs.csv``, and each figure as PDF and PNG."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from reports import (
    about,
    anytime,
    cells,
    clock,
    coverage,
    epochs,
    figures,
    genotypes,
    published,
    signal,
    stability,
    tables,
    trainings,
    weights,
)
from reports.layout import Block, Bullets, Figure, Heading, Paragraph, Table, to_latex, to_markdown
from reports.study import Study
from reports.traces import Traces

FIGURES: tuple[Callable[[Study, Traces], figures.Drawing | None], ...] = (
    *(figures.regret, anytime.error, signal.signal),
    *(epochs.accuracy, epochs.entropy, coverage.regret, cells.drawings, genotypes.drawings, weights.maps),
)
"""Every figure there is; each draws itself where the traces have what it shows."""
STEMS = (
    "regret",
    "error",
    "signal",
    "accuracy_per_epoch",
    "entropy_per_epoch",
    "regret_per_epoch",
    "cells",
    "genotypes",
    "weights",
)
MEAN_RECORD = (
    "ours is the mean over recorded seeds, the papers drew one recorded seed per query. The mean is slightly easier: for "
    "random search on NAS-Bench-201 about +0.1 (CIFAR-10), +0.15 (CIFAR-100) and +0.2 points (ImageNet-16-120)."
)


def write(
    folder: Path,
    runs: pd.DataFrame,
    traces: Traces | Iterable[dict[str, Any]],
    facts: dict[str, Any],
    published_lines: pd.DataFrame | None = None,
    trained: pd.DataFrame | None = None,
) -> list[Path]:
    """Write the report into ``folder`` and return its files.

    Every file is complete or untouched: it is written beside its place and then moved there. A figure that the traces no
    longer support is removed, so that nothing in the folder describes another report.

    Args:
        folder: made if it is not there.
        runs: one line per run and target: run_id, protocol, benchmark, row, method, label, world, status (done, failed,
            timeout, crashed, rejected), error, target, test and valid (percent), regret (percentage points), rank, arch,
            queries, seconds (charged), wall_seconds; where rows of weight sharing are to be told apart also kind, device and
            epochs. Only runs that are done are in a mean.
        traces: one mapping per finished search, see :class:`reports.traces.Traces`; read once.
        facts: protocol, title, parts (a list of :class:`reports.facts.Part`), modified, comparable, known_rows, delta,
            left_out ({reason: rows}), sessions, warnings, command, code, host, date.
        published_lines: the papers' numbers; by default ``published.csv``.
        trained: one line per training from scratch and stage of the protocol: stage, benchmark, row, world (the search), arch,
            seed, run_id, status, recipe, epochs, data, split (test or valid), images (in words), chosen_by, chosen_on, accuracy
            and best (percent, after the last epoch and of the best), parameters, macs, seconds, device.
    """
    folder.mkdir(parents=True, exist_ok=True)
    listed = _replace(folder / "runs.csv", _csv(runs, ("benchmark", "row", "world", "target")))  # first, and then forgotten
    study = Study(runs, facts, published.load() if published_lines is None else published_lines)
    held = traces if isinstance(traces, Traces) else Traces(traces)
    drawn = {made.stem: made for draw in FIGURES if (made := draw(study, held)) is not None}
    trained = pd.DataFrame() if trained is None else trained
    blocks = _blocks(study, held, trained, [Figure(made.stem, made.caption) for made in drawn.values()])
    title = facts.get("title") or facts.get("protocol") or "Report"
    contents: dict[str, Content] = {
        "table.md": to_markdown(title, blocks).encode(),
        "table.tex": to_latex(title, blocks).encode(),
        "runs.csv": b"",
    }
    if len(trained):
        contents["trainings.csv"] = _csv(trained)
    contents |= {f"{stem}.{kind}": content for stem, made in drawn.items() for kind, content in made.files.items()}
    for stem in STEMS:
        for kind in ("pdf", "png"):
            if stem not in drawn:
                (folder / f"{stem}.{kind}").unlink(missing_ok=True)
    return [listed if name == "runs.csv" else _replace(folder / name, content) for name, content in contents.items()]


Content = bytes | Callable[[BinaryIO], None]
"""Of a file: its bytes, or what writes them."""
LINES = 20_000
"""Lines of a table that are turned into text at once."""


def _csv(table: pd.DataFrame, order: Sequence[str] = ()) -> Content:
    """Write a table, sorted by some columns, as CSV with every digit; ten times as fast as pandas, and in little memory."""
    keys = [name for name in order if name in table]
    places = np.arange(len(table))
    if keys:
        places = table[keys].set_axis(places).sort_values(keys, kind="stable").index.to_numpy()
    schema = pa.Schema.from_pandas(table, preserve_index=False)

    def write(stream: BinaryIO) -> None:
        with csv.CSVWriter(stream, schema) as writer:
            for at in range(0, len(table), LINES):
                lines = table.iloc[places[at : at + LINES]]
                writer.write_table(pa.Table.from_pandas(lines, schema, preserve_index=False))

    return write


def _replace(path: Path, content: Content) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content) if isinstance(content, bytes) else content(stream)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def _blocks(study: Study, traces: Traces, trained: pd.DataFrame, drawn: list[Figure]) -> list[Block]:
    blocks: list[Block] = [Paragraph(text) for text in (tables.tally(study),) if text]
    several = len(study.benchmarks) > 1
    judged = [benchmark for benchmark in study.benchmarks if not trainings.untested(study, benchmark)]
    for benchmark in study.benchmarks:
        if benchmark not in judged:
            blocks += [*trainings.blocks(study, benchmark, trained), *about.benchmark(study, benchmark)]
    for benchmark in judged:
        blocks += [Heading(f"Results on {benchmark}" if several else "Results"), tables.results(study, benchmark)]
        blocks += about.benchmark(study, benchmark)
    blocks += drawn
    for benchmark in study.benchmarks:
        suffix = f" on {benchmark}" if several else ""
        if benchmark in judged:
            blocks += _judged(study, traces, benchmark, suffix)
        blocks += _titled(
            suffix,
            ("Entropy against the base method", epochs.entropies(study, traces, benchmark)),
            ("Before and after discretisation", epochs.discretised(study, traces, benchmark)),
            ("Ranking by shared weights", signal.ranking(study, traces, trained, benchmark)),
            ("Stability under changed settings", stability.distances(study, benchmark)),
        )
    failed = tables.failed_runs(study)
    if failed is not None:
        blocks += [Heading("Failed runs"), failed]
    return [*blocks, *about.missing(study), *about.provenance(study)]


def _titled(suffix: str, *tables_: tuple[str, Table | None]) -> list[Block]:
    """The tables that there are, each under its heading."""
    return [block for heading, table in tables_ if table is not None for block in (Heading(f"{heading}{suffix}"), table)]


def _judged(study: Study, traces: Traces, benchmark: str, suffix: str) -> list[Block]:
    """What is said of a benchmark on which proposals are judged."""
    blocks: list[Block] = []
    if study.compared(benchmark) and any(study.verdicts(benchmark, row) for row in study.rows(benchmark)):
        blocks += [Heading(f"Agreement with the papers{suffix}"), tables.agreement(study, benchmark)]
        blocks += _caveats(study, benchmark)
    return blocks + _titled(
        suffix,
        ("Intervals and costs", tables.intervals(study, benchmark)),
        ("Against random search", tables.against_random_search(study, benchmark)),
        ("References of regret", coverage.references(study, benchmark)),
        ("Coverage by the table", coverage.covered(study, traces, benchmark)),
        ("At equal budget", anytime.equal_budget(study, traces, benchmark)),
        ("At equal charged seconds", clock.equal_budget(study, traces, benchmark)),
        ("Random search at each row's own charge", clock.own_charge(study, traces, benchmark)),
        ("Cost of weight sharing", clock.costs(study, benchmark)),
        ("Operations of the final cells", cells.operations(study, traces, benchmark)),
        ("Signal of shared weights", signal.correlations(study, traces, benchmark)),
        ("Bilevel against single level", signal.objectives(study, benchmark)),
    )


def _caveats(study: Study, benchmark: str) -> list[Block]:
    """What a reader must know before comparing; none of it changes a verdict."""
    items: list[tuple[str, str]] = []
    if any(part.record.startswith("mean") for part in study.parts(benchmark)) and not study.incomparable:
        items.append(("Search signal", MEAN_RECORD))
    sharing: dict[str, dict[str, None]] = {}  # caveat -> the rows it belongs to, in order
    for row in study.rows(benchmark):
        for line in (study.lines[benchmark, row, target] for target in study.verdicts(benchmark, row)):
            texts = [line["caveats"], f"published n {line['n_source']}" if line["n_source"].startswith("assumed") else ""]
            for text in filter(None, texts):
                sharing.setdefault(text, {})[study.label(row)] = None
    items += [("; ".join(rows), text) for text, rows in sharing.items()]
    return [Bullets(items)] if items else []
