"""Write the report of one protocol: ``index.html`` and ``runs.html``, ``table.md``, ``table.tex``, ``report.tex``,
``report.bib``, ``runs.csv`` and ``runs.parquet``, and figures as PDF and PNG."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

from harness.analysis import published
from harness.analysis.evidence import Evidence, Run
from harness.analysis.ranks import one_budget
from harness.analysis.study import Study
from harness.analysis.traces import Traces
from reports import (
    anytime,
    bibliography,
    cells,
    coverage,
    dots,
    epochs,
    figures,
    html,
    latex,
    printed,
    pruning,
    ranks,
    runs,
    sections,
    signal,
    slopes,
    sources,
    weights,
)
from reports.addresses import RUNS
from reports.layout import PAGE, Block, Column, Figure, Paragraph, Table, to_markdown


class Plot(NamedTuple):
    """A figure of the report."""

    stem: str
    """Name of its files."""
    draw: Callable[[Study, Traces], figures.Drawing | None]
    """Function that draws the figure; it returns None if the evidence has nothing to show."""


PLOTS = (
    Plot("ranking", dots.ranking),
    Plot("regret", anytime.regret),
    Plot("error", anytime.error),
    Plot("signal", signal.signal),
    Plot("rank_slopes", slopes.ranks),
    Plot("pruning", pruning.path),
    Plot("accuracy_per_epoch", epochs.accuracy),
    Plot("entropy_per_epoch", epochs.entropy),
    Plot("regret_per_epoch", coverage.regret),
    Plot("cells", cells.most_common),
    Plot("genotypes", cells.first),
    Plot("weights", weights.maps),
    Plot("ranks", ranks.drawing),
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
    own, order = evidence.runs.drop(columns=Run.SESSION), (Run.BENCHMARK, Run.ROW, Run.WORLD, Run.TARGET)
    writers = {"runs.csv": csv.CSVWriter, "runs.parquet": parquet.ParquetWriter}
    # the first files, so that their memory is free for the figures
    listed = {name: _replace(folder / name, _columns(own, writer, order)) for name, writer in writers.items()}
    plots = () if progress else PLOTS
    drawn = {plot.stem: drawing for plot in plots if (drawing := plot.draw(study, evidence.traces)) is not None}
    blocks: list[Block] = [Paragraph(progress)] if progress else []
    blocks += sections.blocks(study, [Figure(stem, drawing.caption) for stem, drawing in drawn.items()])
    title = evidence.page.title or evidence.page.protocol or "Report"
    main = _main_table(study, blocks)
    contents: dict[str, Content] = {
        "table.md": to_markdown(title, blocks).encode(),
        "table.tex": latex.tabular(main),
        "report.tex": latex.document(title, blocks),
        **dict.fromkeys(listed, b""),
    }
    named = [sources.method(study, row) for name in study.benchmarks for row in (*study.rows(name), *study.printed(name))]
    if keys := [*latex.citations([*blocks, main]), *(key for label in named for key in label.keys)]:
        contents["report.bib"] = bibliography.extract(keys).encode()
    if len(evidence.trainings):
        contents["trainings.csv"] = _columns(evidence.trainings, csv.CSVWriter)
    contents |= {f"{stem}.{kind}": drawing.files[kind] for stem, drawing in drawn.items() for kind in ("pdf", "png")}
    summary = _summary(study, title, progress)
    drawings = {stem: drawing.files["svg"] for stem, drawing in drawn.items()}
    links = [("All reports", f"../{PAGE}"), ("Runs", RUNS), *((name, name) for name in list(contents)[:5])]
    contents[PAGE] = html.page(blocks[bool(progress) :], summary, links, drawings, study.labels, {*own[Run.ROW]})
    contents[RUNS] = html.runs(runs.listing(study), summary)
    for name in ("report.bib", *(f"{plot.stem}.{kind}" for plot in PLOTS for kind in ("pdf", "png"))):
        if name not in contents:
            (folder / name).unlink(missing_ok=True)
    return [listed.get(name) or _replace(folder / name, content) for name, content in contents.items()]


def write_page(path: Path, title: str, blocks: Sequence[Block]) -> Path:
    """Write one page as Markdown, and as HTML next to it, and return the first. The folder is created if it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    links = [("All reports", PAGE), (path.name, path.name)]
    _replace(path.with_suffix(".html"), html.page(blocks, html.Summary(title, [], 0, 0), links))
    return _replace(path, to_markdown(title, blocks).encode())


def write_index(folder: Path) -> None:
    """Write ``index.html``, the index of the reports inside ``folder``. A file of that name that is not an index stays."""
    path = folder / PAGE
    if not path.exists() or html.GENERATOR in path.read_text(encoding="utf-8", errors="replace")[:500]:
        _replace(path, html.index(folder))


def _summary(study: Study, title: str, progress: str) -> html.Summary:
    counts = [(len(study.searches(b, row)), len(study.done(b, row))) for b in study.benchmarks for row in study.rows(b)]
    listed, done = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    writer = study.page.writer
    own = {study.page.protocol: one_budget(study)}
    planned = [
        (count, len(study.searches(part.benchmark, row))) for part in study.page.parts for row, count in part.planned.items()
    ]
    pending = sum(max(count - stored, 0) for count, stored in planned)
    first, date = sections.first_lines(study), writer.date if writer else ""
    return html.Summary(title, first, listed, listed - done, date, progress, own, pending)


def _main_table(study: Study, blocks: Sequence[Block]) -> Table:
    """Return the table to print: test accuracies, or the first table of errors of trainings from scratch."""
    shown = [block for block in blocks if isinstance(block, Table)]
    errors = [block for block in shown if any("error" in column.name for column in block.columns)]
    judged = [benchmark for benchmark in study.benchmarks if not study.untested(benchmark)]
    return printed.table(study, judged, narrow=True) if judged else next(iter([*errors, *shown]), Table("", [Column("method")]))


Content = bytes | Callable[[BinaryIO], None]
"""The bytes of a file, or a function that writes them."""
LINES = 20_000
"""Lines of a table that are converted to text at once."""


def _columns(table: pd.DataFrame, writer: Callable[..., Any], order: Sequence[str] = ()) -> Content:
    """Return a function that writes a table with every digit; as CSV ten times as fast as pandas, and in little memory.

    Args:
        writer: pyarrow's class that writes CSV or Parquet.
        order: columns to sort by.
    """
    keys = [name for name in order if name in table]
    positions = np.arange(len(table))
    if keys:
        positions = table[keys].set_axis(positions).sort_values(keys, kind="stable").index.to_numpy()
    schema = pa.Schema.from_pandas(table, preserve_index=False)

    def write(stream: BinaryIO) -> None:
        with writer(stream, schema) as opened:
            for start in range(0, len(table), LINES):
                lines = table.iloc[positions[start : start + LINES]]
                opened.write_table(pa.Table.from_pandas(lines, schema, preserve_index=False))

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
