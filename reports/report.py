"""Write the report of one protocol: ``index.html`` and ``runs.html``, ``table.md``, ``table.tex``, ``report.bib``,
``runs.csv``, and figures as PDF and PNG."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from reports import (
    about,
    agreement,
    anytime,
    bibliography,
    cell_errors,
    cells,
    clock,
    coverage,
    dots,
    epochs,
    figures,
    findings,
    html,
    pruning,
    published,
    ranked,
    reference,
    regret,
    runs,
    signal,
    stability,
    supernets,
    tables,
    trainings,
    weights,
)
from reports.evidence import Evidence, Run
from reports.layout import Block, Figure, Heading, Paragraph, Table, citations, to_latex, to_markdown
from reports.study import Study
from reports.traces import Traces


class Plot(NamedTuple):
    """A figure of the report."""

    stem: str
    """Name of its files."""
    draw: Callable[[Study, Traces], figures.Drawing | None]
    """Function that draws the figure; it returns None if the evidence has nothing to show."""


PLOTS = (
    Plot("ranking", dots.ranking),
    Plot("regret", regret.regret),
    Plot("error", anytime.error),
    Plot("signal", signal.signal),
    Plot("pruning", pruning.path),
    Plot("accuracy_per_epoch", epochs.accuracy),
    Plot("entropy_per_epoch", epochs.entropy),
    Plot("regret_per_epoch", coverage.regret),
    Plot("cells", cells.most_common),
    Plot("genotypes", cells.first),
    Plot("weights", weights.maps),
)
"""Every figure, in the order of the page."""


def write(folder: Path, evidence: Evidence, published_lines: pd.DataFrame | None = None, progress: str = "") -> list[Path]:
    """Write the report into ``folder`` and return its files.

    Every file is written under a temporary name and then moved, so that it is complete or unchanged. Figures and bibliography
    of an earlier report that this one does not have are removed.

    Args:
        folder: created if it does not exist.
        published_lines: the papers' numbers; by default ``published.csv``.
        progress: how far the sweep is, in words; empty if it has ended. A page of a running sweep has no figures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    study = Study(evidence, published.load() if published_lines is None else published_lines)
    lines = _csv(evidence.runs.drop(columns=Run.SESSION), (Run.BENCHMARK, Run.ROW, Run.WORLD, Run.TARGET))
    listed = _replace(folder / "runs.csv", lines)  # the first file, so that its memory is free for the figures
    plots = () if progress else PLOTS
    drawn = {plot.stem: drawing for plot in plots if (drawing := plot.draw(study, evidence.traces)) is not None}
    blocks: list[Block] = [Paragraph(progress)] if progress else []
    blocks += _blocks(study, [Figure(stem, drawing.caption) for stem, drawing in drawn.items()])
    title = evidence.page.title or evidence.page.protocol or "Report"
    contents: dict[str, Content] = {
        "table.md": to_markdown(title, blocks).encode(),
        "table.tex": to_latex(title, blocks).encode(),
        "runs.csv": b"",
    }
    if keys := citations(blocks):
        contents["report.bib"] = bibliography.extract(keys).encode()
    if len(evidence.trainings):
        contents["trainings.csv"] = _csv(evidence.trainings)
    contents |= {f"{stem}.{kind}": drawing.files[kind] for stem, drawing in drawn.items() for kind in ("pdf", "png")}
    summary = _summary(study, title, progress)
    drawings = {stem: drawing.files["svg"] for stem, drawing in drawn.items()}
    links = [("All reports", f"../{html.PAGE}"), ("Runs", html.RUNS), *((name, name) for name in list(contents)[:3])]
    contents[html.PAGE] = html.page(blocks[bool(progress) :], summary, links, drawings, study.labels)
    contents[html.RUNS] = html.runs(runs.listing(study), summary)
    for name in ("report.bib", *(f"{plot.stem}.{kind}" for plot in PLOTS for kind in ("pdf", "png"))):
        if name not in contents:
            (folder / name).unlink(missing_ok=True)
    return [listed if name == "runs.csv" else _replace(folder / name, content) for name, content in contents.items()]


def write_page(path: Path, title: str, blocks: Sequence[Block]) -> Path:
    """Write one page as Markdown, and as HTML next to it, and return the first. The folder is created if it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    links = [("All reports", html.PAGE), (path.name, path.name)]
    _replace(path.with_suffix(".html"), html.page(blocks, html.Summary(title, [], 0, 0), links))
    return _replace(path, to_markdown(title, blocks).encode())


def write_index(folder: Path) -> None:
    """Write ``index.html``, the index of the reports inside ``folder``. A file of that name that is not an index stays."""
    path = folder / html.PAGE
    if not path.exists() or html.GENERATOR in path.read_text(encoding="utf-8", errors="replace")[:500]:
        _replace(path, html.index(folder))


def _summary(study: Study, title: str, progress: str) -> html.Summary:
    counts = [(len(study.searches(b, row)), len(study.done(b, row))) for b in study.benchmarks for row in study.rows(b)]
    listed, done = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    writer = study.page.writer
    return html.Summary(title, _first_lines(study), listed, listed - done, writer.date if writer else "", progress)


Content = bytes | Callable[[BinaryIO], None]
"""The bytes of a file, or a function that writes them."""
LINES = 20_000
"""Lines of a table that are converted to text at once."""


def _csv(table: pd.DataFrame, order: Sequence[str] = ()) -> Content:
    """Return a function that writes a table as CSV with every digit; ten times as fast as pandas, and in little memory.

    Args:
        order: columns to sort by.
    """
    keys = [name for name in order if name in table]
    positions = np.arange(len(table))
    if keys:
        positions = table[keys].set_axis(positions).sort_values(keys, kind="stable").index.to_numpy()
    schema = pa.Schema.from_pandas(table, preserve_index=False)

    def write(stream: BinaryIO) -> None:
        with csv.CSVWriter(stream, schema) as writer:
            for start in range(0, len(table), LINES):
                lines = table.iloc[positions[start : start + LINES]]
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


def _first_lines(study: Study) -> list[str]:
    return [text for text in (tables.tally(study), cell_errors.tally(study), *findings.sentences(study)) if text]


def _blocks(study: Study, drawn: list[Figure]) -> list[Block]:
    blocks: list[Block] = [Paragraph(text) for text in _first_lines(study)]
    traces = study.evidence.traces
    several = len(study.benchmarks) > 1
    judged = [benchmark for benchmark in study.benchmarks if not study.untested(benchmark)]
    for benchmark in study.benchmarks:
        if benchmark not in judged:
            blocks += [*trainings.blocks(study, benchmark), *about.benchmark(study, benchmark)]
    for benchmark in judged:
        results = tables.results if study.compared(benchmark) else ranked.results
        blocks += [Heading(f"Results on {benchmark}" if several else "Results")]
        blocks += [figure for figure in drawn if figure.stem == "ranking" and benchmark == judged[0]]
        blocks += [results(study, benchmark)]
        blocks += epochs.older(study, benchmark)
        blocks += about.benchmark(study, benchmark)
    blocks += [figure for figure in drawn if figure.stem != "ranking"]
    for benchmark in study.benchmarks:
        suffix = f" on {benchmark}" if several else ""
        if benchmark in judged:
            blocks += _judged(study, traces, benchmark, suffix)
        blocks += _titled(
            suffix,
            ("Supernets at the end of the search", supernets.ends(study, traces, benchmark)),
            ("Entropy against the base method", epochs.entropies(study, traces, benchmark)),
            ("Before and after discretisation", epochs.discretised(study, traces, benchmark)),
            ("Ranking by shared weights", signal.ranking(study, traces, benchmark)),
            ("Stability under changed settings", stability.distances(study, benchmark)),
        )
    absent = cell_errors.not_here(study)
    if absent.rows:
        blocks += [Heading("Numbers of other searches that are not measured here"), absent]
    failed = tables.failed_runs(study)
    if failed is not None:
        blocks += [Heading("Failed runs"), failed]
    return [*blocks, *about.missing(study), *about.provenance(study)]


def _titled(suffix: str, *tables_: tuple[str, Table | None]) -> list[Block]:
    """Return the tables that are not None, each under its heading."""
    return [block for heading, table in tables_ if table is not None for block in (Heading(f"{heading}{suffix}"), table)]


def _judged(study: Study, traces: Traces, benchmark: str, suffix: str) -> list[Block]:
    """Return the sections of a benchmark whose judge knows test accuracies."""
    blocks: list[Block] = []
    if study.compared(benchmark) and any(study.verdicts(benchmark, row) for row in study.rows(benchmark)):
        results = agreement.of_benchmark(study, benchmark)
        mean_record = any(part.record.startswith("mean") for part in study.parts(benchmark)) and not study.incomparable
        blocks += [Heading(f"Agreement with the papers{suffix}"), agreement.table(results)]
        blocks += agreement.caveats(results, mean_record)
    return blocks + _titled(
        suffix,
        ("Intervals and costs", tables.intervals(study, benchmark)),
        ("Against random search", reference.table(study, benchmark)),
        ("References of regret", coverage.references(study, benchmark)),
        ("Coverage by the table", coverage.covered(study, traces, benchmark)),
        ("At equal budget", anytime.equal_budget(study, traces, benchmark)),
        ("Cost of weight sharing", clock.costs(study, benchmark)),
        ("Operations of the final cells", cells.operations(study, traces, benchmark)),
        ("Signal of shared weights", signal.correlations(study, traces, benchmark)),
        ("Bilevel against single level", signal.objectives(study, benchmark)),
        ("Pruned networks", pruning.table(study, traces, benchmark)),
    )
