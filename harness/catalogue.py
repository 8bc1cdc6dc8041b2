"""The index of committed pages: what each page shows, how it was made, and whether the code of its runs has changed since."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness import protocols, registry, source
from harness.analysis.names import row_names
from harness.errors import UserError
from harness.opening import open_benchmark
from harness.packages import PROJECT
from harness.problem import Problem
from reports.formats import MISSING
from reports.layout import Block, Column, Paragraph, Table, to_markdown

if TYPE_CHECKING:
    import pandas as pd

FILE = "index.md"
AGAIN = "again.parquet"
"""Data of a page that later code made again, next to ``runs.parquet``: they tell what an older page is worth.

Pages with trainings from scratch are not compared.
"""
COLUMNS = ["benchmark", "row", "budget", "world", "target", "status", "arch", "test", "code"]
CURRENT = "current"
_MADE = re.compile(r"^[\d, \N{NARROW NO-BREAK SPACE}]+ runs? made on (\S+) by code (.*?)(?:, on |, by$)", re.MULTILINE)
_COMMAND = re.compile(r"^This page was written .*?, by\n+((?:    .+\n?)+)", re.MULTILINE)
_COMMIT = re.compile(r"\(([0-9a-f]{7,40})\b")


class Page(NamedTuple):
    """What a page says of itself; what it does not say is empty."""

    file: Path
    title: str
    protocol: str
    command: str
    """The command that wrote the page, without ``--report``: it also makes runs that are not there yet."""
    dates: tuple[str, ...]
    codes: tuple[str, ...]
    """Code of each command that made runs, oldest first."""
    searches: frozenset[tuple[str, str]]
    """Benchmark and row of its finished searches."""
    sources: Mapping[tuple[str, str], str] = {}
    """By benchmark and row, the digest of the source that the searches executed; only of pages with data."""


def write(folder: Path) -> Path:
    """Write the index of the pages in the folders inside ``folder``, and return its file.

    Raises:
        UserError: there is no such page.
    """
    listed = pages(folder)
    if not listed:
        raise UserError(f"no folder in {folder} contains a page (*.md)")
    table = Table(
        "Code: the versions that made the runs. State: whether the files that these searches execute are as they were then; if "
        "not, the page shows what the former code gave, which the present code may give too.",
        [Column(name, right=False) for name in ("page", "shows", "protocol", "made by", "date", "code", "state")],
    )
    for page in map(read, listed):
        made = [page.protocol, page.command, ", ".join(page.dates), ", ".join(page.codes), state(page)]
        name = page.file.parent.name
        where = ", ".join(sorted({benchmark for benchmark, _ in page.searches}))
        table.add(
            [
                f"[{name}]({name}/{page.file.name})",
                page.title + f", on {where}" * bool(where),
                *(text or MISSING for text in made),
            ]
        )
    text = Paragraph("Every page of results in this folder. The command nas-harness index writes this list.")
    blocks: list[Block] = [text, table]
    file = folder / FILE
    file.write_text(to_markdown("Results", blocks), encoding="utf-8")
    return file


def pages(folder: Path) -> list[Path]:
    """Return the Markdown page of every folder inside ``folder``."""
    inside = [sorted(inner.glob("*.md")) for inner in sorted(folder.glob("*/"))]
    return [files[0] for files in inside if files]


def read(file: Path) -> Page:
    """Return what a page says of itself, in Markdown and in the ``runs.parquet`` next to it."""
    text = file.read_text(encoding="utf-8")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    protocol = re.search(r"^- \*\*Protocol:\*\* (\S+)", text, re.MULTILINE)
    command = _COMMAND.search(text)
    made = _MADE.findall(text)
    rules = protocols.protocols().get(protocol[1]) if protocol else None
    searched = {benchmark for part in rules.parts for benchmark in part.benchmarks} if rules else set()
    stored = _stored(file)
    return Page(
        file=file,
        title=title[1].replace("\\", "") if title else file.stem,
        protocol=protocol[1] if protocol else "",
        command=" ".join(word for word in command[1].split() if word != "--report") if command else "",
        dates=tuple(dict.fromkeys(date[:10] for date, _ in made)),
        codes=tuple(dict.fromkeys(code for _, code in made)),
        searches=frozenset(stored) or _printed(text, searched),
        sources=stored if all(stored.values()) else {},
    )


def state(page: Page) -> str:
    """Return in words whether the present code would make the runs of a page by the same source; empty if it has no runs."""
    if page.sources and not _trainings(page).exists():
        return _by_digest(page)
    commits = [match[1] for code in page.codes if (match := _COMMIT.search(code))]
    if not page.codes or len(commits) < len(page.codes):
        return "unknown: code without a commit" if page.codes else ""
    changed: set[Path] = set()
    for commit in commits:
        difference = _changed(commit)
        if difference is None:
            return f"unknown: this history has no commit {commit}"
        changed |= difference
    try:
        files = executed(page)
        if page.title != protocols.protocol(page.protocol).title:
            return f"older: the protocol {page.protocol} has other rules now"
    except UserError as error:
        return f"unknown: {error}"
    if files & changed:
        return f"older: {len(files & changed)} of {len(files)} executed files differ now"
    return "unknown: the code was modified" if any("modified" in code for code in page.codes) else CURRENT


def executed(page: Page) -> set[Path]:
    """Return the source files that the searches of a page, and the trainings of its cells, execute by the present code.

    Raises:
        UserError: the protocol or a method is unknown, or a benchmark cannot be opened here.
    """
    files: set[Path] = set()
    for _, executes, problem in _opened(page):
        files |= set(executes.values())
        if problem.retraining and _trainings(page).exists():
            files |= set(source.by_training(problem.retraining).values())
    return files


def _by_digest(page: Page) -> str:
    """Return the state of a page whose data name the source of every row."""
    try:
        if page.title != protocols.protocol(page.protocol).title:
            return f"older: the protocol {page.protocol} has other rules now"
        present = {search: source.of_files(executes) for search, executes, _ in _opened(page)}
    except UserError as error:
        return f"unknown: {error}"
    differ = sum(present.get(search) != digest for search, digest in page.sources.items())
    return f"older: {differ} of {len(page.sources)} rows execute other code now{_again(page, present)}" if differ else CURRENT


def _again(page: Page, present: Mapping[tuple[str, str], str]) -> str:
    """Return in words how many runs of a page the present code has made again, and how many are equal; empty if none.

    Args:
        present: by benchmark and row, the digest of the source that a search executes now.

    Raises:
        UserError: the data of the page or of the new runs are damaged, or of an older format.
    """
    file = page.file.with_name(AGAIN)
    if not file.exists():
        return ""
    run, result = ["benchmark", "row", "budget", "world"], ["status", "arch", "test"]
    first, again = (_lines(path) for path in (page.file.with_name("runs.parquet"), file))
    codes = again[["benchmark", "row", "code"]].itertuples(index=False)
    again = again[[present.get((benchmark, row)) == code for benchmark, row, code in codes]]
    both = first[run].drop_duplicates().merge(again[run].drop_duplicates())
    pairs = first.merge(again, on=[*run, "target"], how="outer", suffixes=("_first", "_again")).merge(both)
    sides = [pairs[[f"{name}_{side}" for name in result]].set_axis(result, axis=1) for side in ("first", "again")]
    same = (sides[0].eq(sides[1]) | (sides[0].isna() & sides[1].isna())).all(axis=1)
    equal = same.groupby([pairs[name] for name in run], dropna=False).all()
    return f"; {len(equal)} runs made again, {equal.sum()} equal" if len(equal) else ""


def _lines(file: Path) -> pd.DataFrame:
    """Return the runs of a page.

    Raises:
        UserError: the file is damaged, or lacks a column.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(io.BytesIO(file.read_bytes()))[COLUMNS]
    except (pa.ArrowException, KeyError, OSError) as error:
        raise UserError(f"{file} is no data of a page: {str(error).splitlines()[0]}") from None


def _opened(page: Page) -> Iterator[tuple[tuple[str, str], dict[str, Path], Problem]]:
    """Yield each search of a page, the files that it executes by the present code, and its benchmark.

    Raises:
        UserError: no search of the page is one of its protocol, or as :func:`executed`.
    """
    rules, belongs = protocols.protocol(page.protocol), False
    for benchmark, row in sorted(page.searches):
        info = registry.method(re.split(r"[:\[]", row)[0])
        for part in rules.parts:
            if part.kind == info.kind and benchmark in part.benchmarks:
                problem, belongs = open_benchmark(benchmark, part.search, rules.judge), True
                yield (benchmark, row), source.by_search(info.file, problem, part.kind), problem
    if not belongs:
        raise UserError(f"no search of the page is one of {page.protocol}")


def _trainings(page: Page) -> Path:
    return page.file.with_name("trainings.csv")


def _stored(file: Path) -> dict[tuple[str, str], str]:
    """Return the finished searches in the data next to a page, with the digest of their source if the data have it."""
    runs = file.with_name("runs.parquet")
    if not runs.exists():
        return {}
    import pandas as pd

    lines = pd.read_parquet(io.BytesIO(runs.read_bytes())).reindex(
        columns=["benchmark", "row", "status", "code"], fill_value=""
    )
    done = lines[lines["status"] == "done"].drop_duplicates()
    return dict(zip(zip(done["benchmark"], done["row"], strict=True), done["code"], strict=True))


def _printed(text: str, searched: set[str]) -> frozenset[tuple[str, str]]:
    """Return the searches of a page without data: rows with seeds in its tables, on the benchmarks that it names, or on all."""
    known = {row for info in registry.methods().values() for row in info.rows}
    known_as = {name: row for row, name in row_names().items() if row in known} | {row: row for row in known}
    lines = re.findall(r"^\| (\S.*?) +\| +(\d+)", text, re.MULTILINE)
    rows = {known_as[name] for name, seeds in lines if name in known_as and seeds != "0"}
    named = {benchmark for benchmark in searched if benchmark in text} or searched
    return frozenset((benchmark, row) for benchmark in named for row in rows)


@cache
def _changed(commit: str) -> frozenset[Path] | None:
    """Return the files of the project that differ from a commit; None if the history here does not have it."""
    words = ["git", "-C", str(PROJECT), "diff", "--name-only", commit]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return frozenset(PROJECT / name for name in done.stdout.splitlines()) if done.returncode == 0 else None
