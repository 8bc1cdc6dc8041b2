"""The HTML pages of a report: complete without a network, every foreign text escaped, every run with what is known of it."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis import claims, published
from harness.analysis.evidence import RUNS, Cell, Edge, Evidence, Operation, Part, Session, Space
from harness.analysis.study import Study
from harness.analysis.traces import Trace
from reports import departures, findings, html, report, runs
from reports.formats import number
from reports.layout import Block, Bold, Bullets, Code, Column, Figure, Heading, Paragraph, Table
from tests import made_evidence

BENCHMARK, TARGET = "nb201/digits", "digits"
ATTACK = "<script>alert('&')</script>"
ROWS = {"random_search": "multi-trial", "local_search": "multi-trial", "darts:erm": "one-shot"}
VOID = {"meta", "link", "input", "br", "img", "wbr"}


class Tags(HTMLParser):
    """The elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def values(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


def evidence(seeds: int = 4, rows: dict[str, str] = ROWS, label: str = "", **page: Any) -> Evidence:
    """Return a sweep under one budget; the last run of local search failed."""
    rng = np.random.default_rng(0)
    lines: list[dict[str, Any]] = []
    searches: dict[tuple[str, str], list[Trace]] = {}
    for place, (row, kind) in enumerate(rows.items()):
        for world in range(seeds):
            test, failed = 90.0 + place + rng.normal(0, 0.3), row == "local_search" and world == seeds - 1
            more = {"kind": kind, "label": label and f"{label} {row}", "arch": "cell", "session": 7, "run_id": f"{row}/{world}"}
            if failed:
                more |= {"status": "failed", "error": f"Traceback\nValueError: {ATTACK}", "arch": ""}
            else:
                trace = Trace(world, np.array([1.0 + world, 9.0]), {TARGET: np.array([50.0, test])}, end=12.0)
                searches.setdefault((BENCHMARK, row), []).append(trace)
            lines.append(made_evidence.run(BENCHMARK, row, world, TARGET, np.nan if failed else test, regret=95 - test, **more))
    parts = [
        Part(
            BENCHMARK, kind, budget="16 seconds", at_the_limit="it ends", judge={TARGET: "x"}, optimum={TARGET: 95.0},
            set_size={TARGET: 100}, settings={row: {"note": ATTACK} for row, its in rows.items() if its == kind},
        )
        for kind in dict.fromkeys(rows.values())
    ]  # fmt: skip
    edges = (Edge(0, 1, Operation("conv", ATTACK, "convolution")),)
    spaces = {BENCHMARK: Space("cells", ATTACK, drawn={"cell": (Cell(("in", "out"), edges),)})}
    session = Session(f"python -m harness.run --methods {ATTACK}", code="abc", date="2024-01-01", host="a host", id=7)
    facts: dict[str, Any] = {"title": f"Digits {ATTACK}", "sessions": (session,), "writer": session, **page}
    return made_evidence.evidence(lines, searches, *parts, spaces=spaces, **facts)


def unpacked(page: str) -> Any:
    """Return what a page of runs has in its two packed parts."""
    parts = re.findall('id="(?:data|details)">(.*?)</script>', page)
    assert len(parts) == 2
    table, details = (json.loads(gzip.decompress(base64.b64decode(part))) for part in parts)
    return table | details


def listing(evidence: Evidence) -> Any:
    return runs.listing(Study(evidence, published.load()))


def written(path: Path) -> Path:
    """Write a page whose names are attacks, and the index, into a folder."""
    report.write(path / "digits", evidence(label=ATTACK))
    report.write_index(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("results"))


PAGES = ("index.html", "digits/index.html", "digits/runs.html")


@pytest.mark.parametrize("name", PAGES)
def test_texts_of_methods_and_users_are_escaped(folder: Path, name: str) -> None:
    page = (folder / name).read_text()
    assert "&lt;script&gt;alert(" in page
    assert "<script>alert" not in page
    scripts = [attributes.get("type") for tag, attributes in Tags(page).elements if tag == "script"]
    assert set(scripts) <= {"module", "application/octet-stream"} and len(scripts) <= 3


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_no_network(folder: Path, name: str) -> None:
    tags = Tags((folder / name).read_text())
    assert not tags.open, "every element is closed"
    addresses = [*tags.values("src"), *tags.values("href"), *tags.values("xlink:href")]
    assert not [address for address in addresses if not re.match(r"#|\.\./|[\w-]+/|[\w.]+(#|$)", address) or "//" in address]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files(folder: Path, name: str) -> None:
    linked = [attributes["href"] for tag, attributes in Tags((folder / name).read_text()).elements if tag == "a"]
    for address in linked:
        path, _, place = address.partition("#")
        target = (folder / name).parent / path if path else folder / name
        assert target.is_file(), address
        assert not place or path or f'id="{place}"' in target.read_text()


@pytest.mark.parametrize("name", PAGES)
def test_ids_are_unique_and_what_labels_refer_to_exists(folder: Path, name: str) -> None:
    tags = Tags((folder / name).read_text())
    ids = tags.values("id")
    assert len(ids) == len(set(ids))
    assert {*tags.values("aria-labelledby"), *(reference[1:] for reference in tags.values("xlink:href"))} <= set(ids)


def test_a_row_that_ran_leads_to_its_runs(folder: Path) -> None:
    page = (folder / "digits" / "index.html").read_text()
    addresses = set(re.findall(r'<tr data-row="darts:erm"[^>]*><th scope="row"[^>]*><a href="(.*?)">', page))
    assert addresses == {"runs.html#method=" + quote(f"{ATTACK} darts:erm", safe="")}
    table = Table("", [Column("method", right=False)], [["a"]])
    assert "<a href=" not in str(html._grid(table, {"a": "a"}, ())), "a row without runs"


def test_the_page_of_runs_begins_with_what_is_done_failed_and_pending(tmp_path: Path) -> None:
    planned = evidence()
    part = dataclasses.replace(planned.page.parts[1], planned={"darts:erm": 6, "xnas": 3})
    page = dataclasses.replace(planned.page, parts=(planned.page.parts[0], part))
    report.write(tmp_path / "digits", dataclasses.replace(planned, page=page), progress="running")
    text = (tmp_path / "digits" / "runs.html").read_text()
    assert "<b>11 done</b>, <b>1 failed</b>, <b>5 pending</b>." in text
    assert text.index("5 pending") < text.index('<table id="runs"')


def test_the_cell_of_a_run_is_drawn() -> None:
    data = listing(evidence(seeds=3))
    ((cell,),) = data["cells"].values()
    assert [*data["cells"]] == ["cell"] and [node[-1] for node in cell["nodes"]] == ["in", "out"]
    assert [line[-1] for line in cell["lines"]] == [ATTACK]


def test_a_d_number_leads_to_its_text_on_the_same_page() -> None:
    blocks: list[Block] = [Paragraph("See D-44, not D-00."), Bullets([("row", "D-44 and D-12")])]
    blocks += departures.named(blocks)
    text = html.page(blocks, html.Summary("Title", [], 0, 0), []).decode()
    assert text.count('<a href="#D-44">D-44</a>') == 2 and text.count('<li id="D-44">') == 1
    assert "how little a settled node moves" in text and 'href="#D-00"' not in text
    assert departures.named([Paragraph("no number")]) == []


def test_every_discrepancy_has_a_text() -> None:
    known = departures.texts()
    listed = re.findall(r"^\| (D-\d+) ", (Path(__file__).parents[2] / "docs" / "discrepancies.md").read_text(), re.MULTILINE)
    assert [*known] == listed and all("Here: " in text and "`" not in text and "](" not in text for text in known.values())


def test_a_line_of_a_table_and_its_marks_in_figures_have_the_same_name(folder: Path) -> None:
    page = (folder / "digits" / "index.html").read_text()
    drawn = set(re.findall('<g data-row="(.*?)">', page))
    listed = set(re.findall('<tr data-row="(.*?)"', page))
    assert drawn == listed == set(ROWS)


def test_a_page_reloads_only_while_its_sweep_runs(tmp_path: Path) -> None:
    for progress in ("5 of 12 runs are done", ""):
        report.write(tmp_path / "digits", evidence(), progress=progress)
        report.write_index(tmp_path)
        for name in PAGES:
            page = (tmp_path / name).read_text()
            assert ('<meta http-equiv="refresh"' in page) is bool(progress), name
            assert not progress or page.count(f">{progress}</p>") >= 1, name


@given(st.floats(-1e6, 1e6), st.sampled_from(["{}", "≈ {}", "{} ± 0.31", "{} [1.00, 2.00]", "< {}"]))
def test_cells_of_numbers_are_sorted_by_their_value(value: float, form: str) -> None:
    cell = html._cell(form.format(number(value)), Column("x"))
    assert cell.order is not None and float(cell.order) == pytest.approx(round(value, 2), abs=1e-9)


def test_cells_without_a_number_are_sorted_apart_and_texts_as_they_are() -> None:
    assert html._cell("–", Column("x")).order == ""
    assert html._cell("7 days", Column("x", right=False)).order is None


def test_every_kind_of_block_is_rendered() -> None:
    table = Table("The caption.", [Column("method", right=False), Column("test", "digits"), Column("p", "digits"), Column("s")])
    table.add(["a", Bold("93.00"), "0.01", "1"], rule="multi-trial")
    table.add(["b (2 of 3)", "92.00", "–", "2"], rule="weight sharing")
    blocks: list[Block] = [
        Paragraph("First."),
        Heading("Results"),
        table,
        Bullets([("name", "text"), ("", "alone")]),
        Code("a  b"),
    ]
    summary = html.Summary("Title", [], 0, 0)
    drawings, labels = {"cells": b"<?xml?><svg></svg>"}, {"a": "a", "row": "b"}
    page = html.page([*blocks, Figure("cells", "Short. Long.")], summary, [("Other", "other.html")], drawings, labels)
    text = page.decode()
    for part in (
        "<h1>Title</h1>", "<p>First.</p>", "Results</h2>", "<b>93.00</b>", "<b>name:</b> text", "<li>alone</li>",
        '<pre tabindex="0">a  b</pre>', 'aria-label="Figure: Short"', "<svg></svg>", "The caption.", '<tr data-row="row"',
        '<th colspan="2" scope="colgroup"', ">weight sharing</td>",
    ):  # fmt: skip
        assert part in text, part
    assert not Tags(text).open


def test_a_row_is_known_by_its_longest_label() -> None:
    rows = {"GDAS": "gdas", "GDAS (2)": "gdas:two"}
    assert [html._row(text, rows) for text in ("GDAS", "GDAS (2)", "GDAS (2) (at chance: 1)", "GDASx")] == [
        "gdas",
        "gdas:two",
        "gdas:two",
        "",
    ]


def test_every_run_has_its_own_trace_settings_origin_and_failure() -> None:
    data = listing(evidence(seeds=3))
    names = [column["title"] for column in data["columns"]]
    assert len(data["lines"]) == len(data["details"]) == 3 * len(ROWS)
    for line, (row, arch, error, session, trace, _) in zip(data["lines"], data["details"], strict=True):
        facts = dict(zip(names, line, strict=True))
        assert data["settings"][row] == {"note": ATTACK} and data["sessions"][session]["code"] == "abc"
        if facts["status"] == "done":
            assert arch == "cell" and not error and trace["charged s"] == [1.0 + facts["seed"], 9.0]
            assert trace["digits test"][-1] == pytest.approx(facts["digits test"], abs=0.01)
        else:
            assert ATTACK in error and trace == {} and facts["digits test"] is None


def test_missing_numbers_are_null_in_the_page_of_runs(folder: Path) -> None:
    page = (folder / "digits" / "runs.html").read_text()
    assert unpacked(page) == listing(evidence(label=ATTACK))
    assert [line[4] for line in unpacked(page)["lines"]].count(None) == 1


def test_other_pages_are_written_in_both_forms_and_linked(tmp_path: Path) -> None:
    assert report.write_page(tmp_path / "scoreboard.md", "Board", [Paragraph("Text.")]) == tmp_path / "scoreboard.md"
    report.write_index(tmp_path)
    assert "<p>Text.</p>" in (tmp_path / "scoreboard.html").read_text()
    assert '<a href="scoreboard.html">Board</a>' in (tmp_path / "index.html").read_text()


def test_a_wheel_contains_the_templates_and_the_papers_numbers() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]
    reports, analysis = Path(html.__file__).parent, Path(published.__file__).parent
    data = {"reports": [*(reports / "templates").iterdir(), published.FILE, claims.FILE], "harness.analysis": []}
    for folder, package in ((reports, "reports"), (analysis, "harness.analysis")):
        files = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".py"] + data[package]
        assert files and all(any(path.match(pattern) for pattern in patterns[package]) for path in files)


def test_the_index_lists_reports_and_leaves_other_files_alone(folder: Path, tmp_path: Path) -> None:
    page = (folder / "index.html").read_text()
    assert 'href="digits/index.html"' in page and 'href="digits/runs.html#failed">1 failed</a>' in page and "12 runs" in page
    assert "the best mean test accuracy" in page
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text("<p>mine</p>")
    report.write_index(tmp_path)
    assert "No report was written yet" in (tmp_path / "index.html").read_text()
    report.write_index(tmp_path / "other")
    assert (tmp_path / "other" / "index.html").read_text() == "<p>mine</p>"


@pytest.mark.usefixtures("no_figures")
def test_the_index_lists_a_page_that_an_earlier_version_wrote(tmp_path: Path) -> None:
    report.write(tmp_path / "digits", evidence())
    page = tmp_path / "digits" / "index.html"
    text = page.read_text()
    earlier = re.sub(r", &#34;one_budget&#34;: \{[^}]*\}", "", text)
    assert earlier != text
    page.write_text(earlier)
    report.write_index(tmp_path)
    assert 'href="digits/index.html"' in (tmp_path / "index.html").read_text()


def test_findings_name_the_best_row_with_its_uncertainty() -> None:
    few, many = (" ".join(findings.sentences(Study(evidence(seeds), published.load()))) for seeds in (3, 12))
    assert re.match(
        r"digits: the best mean test accuracy is that of darts:erm, 9\d\.\d\d \[9\d\.\d\d, 9\d\.\d\d\] % \(n = 3\)", few
    )
    assert "under 16 seconds for every row" in few
    assert (
        "Against random search 3 seeds cannot show a difference on digits at the 5 % level: the smallest possible p is 0.25."
        in few
    )
    assert re.search(
        r"differs from random search by \+\d\.\d\d \[\+\d\.\d\d, \+\d\.\d\d\] points \(Holm-corrected p 0\.0", many
    )
    assert "significantly better than random search (p < 0.05): 2 of 2 rows; worse: none." in many


def test_a_page_without_runs_can_be_written(tmp_path: Path) -> None:
    bare = evidence()
    report.write(tmp_path / "digits", dataclasses.replace(bare, runs=bare.runs.iloc[:0]))
    report.write_index(tmp_path)
    assert "0 runs" in (tmp_path / "index.html").read_text()


def test_the_data_of_a_report_are_the_same_in_both_forms(folder: Path) -> None:
    csv, parquet = pd.read_csv(folder / "digits" / "runs.csv"), pd.read_parquet(folder / "digits" / "runs.parquet")
    assert list(csv) == list(parquet) == [name for name in RUNS if name != "session"] and len(parquet) == 12
    pd.testing.assert_series_equal(csv["test"], parquet["test"].astype(float))
    assert csv["error"].fillna("").tolist() == parquet["error"].tolist()


@pytest.mark.usefixtures("no_figures")
def test_the_index_ranks_rows_over_the_benchmarks_of_all_reports(tmp_path: Path) -> None:
    for name in ("one", "two"):
        report.write(tmp_path / name, evidence(protocol=name))
        own = pd.read_parquet(tmp_path / name / "runs.parquet").assign(benchmark=f"{name}/digits", label=ATTACK)
        own[own["row"] != "darts:erm"].to_parquet(tmp_path / name / "runs.parquet")
    report.write_index(tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert "Over all benchmarks, multi-trial" in page and "mean rank on" in page and ">one/digits</th>" in page
    assert '<figure id="ranks">' in page and '<g data-row="local_search">' in page, "the section has a figure"
    assert "<script>alert" not in page and not Tags(page).open
    assert "Over all benchmarks" not in (tmp_path / "one" / "index.html").read_text()


@pytest.mark.slow
def test_a_page_of_20_000_runs_is_below_3_megabytes(tmp_path: Path) -> None:
    rows = {f"method_{place}": "multi-trial" for place in range(40)}
    page = html.runs(listing(evidence(500, rows)), html.Summary("Many", [], 20_000, 0))
    assert len(unpacked(page.decode())["lines"]) == 20_000
    assert len(page) < 3_000_000
