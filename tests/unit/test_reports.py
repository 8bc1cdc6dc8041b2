"""A report is complete, well-formed and honest about what is missing."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness import registry
from harness.analysis import published
from harness.analysis.evidence import Evidence, Page, Part, Session
from harness.analysis.statistics import Interval
from harness.analysis.traces import Trace, Traces
from reports import bibliography, latex, report, style
from reports.formats import number, signed, with_interval
from reports.layout import Bold, Column, Table, to_markdown
from tests import made_evidence

OPTIMUM = {"cifar10": 94.37, "cifar100": 73.51, "imagenet16-120": 47.31}
MEANS = {
    "random_search": (93.70, 71.04, 44.57),
    "regularized_evolution": (93.92, 71.84, 45.54),
    "bohb:nb201_2020": (93.0, 70.0, 43.0),
    "local_search": (94.0, 72.0, 45.0),
}
LABELS = {"random_search": "random search", "regularized_evolution": "regularized evolution", "bohb:nb201_2020": "BOHB (2020)"}
FILES = [
    "table.md",
    "table.tex",
    "report.tex",
    "runs.csv",
    "runs.parquet",
    "report.bib",
    "ranking.pdf",
    "ranking.png",
    "regret.pdf",
    "regret.png",
]
FILES += ["index.html", "runs.html"]
BENCHMARK = "nb201/cifar10"

Written = tuple[Path, list[Path]]
"""The folder of a report, and its files."""


def evidence(seeds: int = 12, failing: int = 2, protocol: str = "nb201-2020", **page: Any) -> Evidence:
    """Return a made-up protocol; the last ``failing`` BOHB runs fail."""
    rng = np.random.default_rng(0)
    lines: list[dict[str, Any]] = []
    searches: dict[tuple[str, str], list[Trace]] = {}
    error = "Traceback (most recent call last):\nValueError: 100 % wrong | a_b"
    for row, means in MEANS.items():
        for world in range(seeds):
            failed = row.startswith("bohb") and world >= seeds - failing
            tests = {t: min(OPTIMUM[t], m + rng.normal(0, 0.3)) for t, m in zip(OPTIMUM, means, strict=True)}
            more = {"protocol": protocol, "label": LABELS.get(row, ""), "seconds": 11_900.0, "wall_seconds": 0.02}
            for target, test in tests.items():
                more |= {"regret": OPTIMUM[target] - test}
                if failed:
                    more |= {"status": "failed", "error": error, "valid": np.nan, "regret": np.nan, "rank": np.nan}
                lines.append(made_evidence.run(BENCHMARK, row, world, target, np.nan if failed else test, **more))
            if not failed:
                values = {t: np.array([OPTIMUM[t] - 5.0, OPTIMUM[t] - 2.0, tests[t]]) for t in tests}
                trace = Trace(world, np.array([50.0 + world, 900.0, 5_000.0]), values, end=12e3)
                searches.setdefault((BENCHMARK, row), []).append(trace)
    part = Part(
        BENCHMARK, budget="12 000 charged seconds", record="mean", search="12-epoch validation accuracy",
        judge=dict.fromkeys(OPTIMUM, "200-epoch mean"), stated_set="the 15,625 cells",
        set_size=dict.fromkeys(OPTIMUM, 15_625), optimum=OPTIMUM, table="NAS-Bench-201 v1.1", checksum="sha256:0f",
        citations=("dong2020nasbench201",), planned=dict.fromkeys(MEANS, seeds), skipped={"rsps": "needs CIFAR-10"},
    )  # fmt: skip
    command = "python -m harness.run --protocol nb201-2020"
    facts = {
        "protocol": protocol, "title": "Search on CIFAR-10 & transfer", "citations": {"random_search": ("li2019random",)},
        "writer": Session(command, code="0.1 (abc)", date="2024-01-01", host="a host"), **page,
    }  # fmt: skip
    return made_evidence.evidence(lines, searches, part, **facts)


def changed(evidence: Evidence, **page: Any) -> Evidence:
    """Return the evidence with other facts on its page."""
    return dataclasses.replace(evidence, page=dataclasses.replace(evidence.page, **page))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("report")
    return folder, report.write(folder, evidence())


def cells(markdown: str, start: str) -> list[str]:
    """Return the cells of the Markdown line whose first cell is ``start``."""
    row = next(line for line in markdown.splitlines() if line.startswith(f"| {start} "))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def next_to(folder: Path, start: str) -> list[str]:
    """Return the cells of a row in the table of our numbers next to the published ones."""
    text = (folder / "table.md").read_text()
    return cells(text[text.index("## Next to the published numbers") :], start)


def tables(markdown: str) -> list[list[str]]:
    blocks = [block.splitlines() for block in markdown.split("\n\n")]
    return [block for block in blocks if block[0].startswith("|")]


def test_writes_its_files_and_nothing_else(written: Written) -> None:
    folder, files = written
    assert [path.name for path in files] == FILES
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


def test_markdown_tables_are_well_formed(written: Written) -> None:
    written_tables = tables((written[0] / "table.md").read_text())
    assert len(written_tables) == 6
    for lines in written_tables:
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in lines}) == 1
        assert re.fullmatch(r"[|: -]+", lines[1])


def test_missing_values_are_dashes(written: Written) -> None:
    for name in ("table.md", "table.tex", "report.tex"):
        assert not re.search(r"\b(nan|NaN|None|inf)\b", (written[0] / name).read_text())
    assert next_to(written[0], "rsps")[1:6] == ["0", "", "", "87.66 ± 1.69", "–"]


def test_results_are_listed_with_the_published_numbers(written: Written) -> None:
    row = next_to(written[0], "random search")
    assert row[1] == "12"
    assert re.fullmatch("[RDCUN]", row[3])
    assert row[4] == "93.70 ± 0.36"
    assert re.fullmatch(r"[+−]?\d\.\d\d \[[+−]\d\.\d\d, [+−]\d\.\d\d\]", row[5])
    assert row[14] == "GAEA T2, n = 500 assumed"


def test_a_row_that_differs_says_so(written: Written) -> None:
    assert next_to(written[0], "BOHB (2020)")[-1].startswith("differs")


def test_rows_that_were_not_measured_are_shown_with_the_reason(written: Written) -> None:
    text = (written[0] / "table.md").read_text()
    assert next_to(written[0], "rsps")[-1] == "not measured here: needs CIFAR-10"
    assert "- **rsps:** needs CIFAR-10" in text


@pytest.mark.usefixtures("no_figures")
def test_printed_rows_that_nobody_ran_say_why(tmp_path: Path) -> None:
    report.write(tmp_path, evidence(known_rows=(*MEANS, "gdas")))
    table = (tmp_path / "table.md").read_text()
    assert "not measured here: not run yet" in table
    assert "not measured here: this version has no such method" in table


def test_failed_runs_are_shown(written: Written) -> None:
    text = (written[0] / "table.md").read_text()
    assert cells(text, "BOHB (2020)")[1] == "10/12"
    assert r"ValueError: 100 % wrong \| a_b |" in text
    assert "Traceback" not in text


def test_everything_the_table_was_made_of_is_in_its_caption(written: Written) -> None:
    text = (written[0] / "table.md").read_text()
    for fact in (
        "12 000 charged seconds",
        "**Regret and rank against:** the 15 625 cells",
        "**Best of that set:** CIFAR-10: 94.37; CIFAR-100: 73.51; ImageNet-16-120: 47.31",
        "**Judged by:** CIFAR-10 (C10): 200-epoch mean",
        "sha256:0f",
        "0.1 (abc)",
        "a host",
        "2024-01-01",
        "ddof 0",
    ):
        assert fact in text
    assert "    python -m harness.run --protocol nb201-2020\n" in text


def test_the_mean_record_is_noted_without_changing_the_verdict(written: Written) -> None:
    assert "**Search signal:** ours is the mean over recorded seeds" in (written[0] / "table.md").read_text()


def test_the_optimum_closes_the_table(written: Written) -> None:
    assert next_to(written[0], "Optimal")[2:5] == ["94.37", "", "94.37"]


def test_runs_csv_keeps_every_digit(written: Written) -> None:
    runs = evidence().runs
    table = pd.read_csv(written[0] / "runs.csv", float_precision="round_trip")
    assert len(table) == len(runs)
    assert list(table.columns) == list(runs.columns.drop("session"))
    merged = table.merge(runs, on=["run_id", "target"])
    pd.testing.assert_series_equal(merged["test_x"], merged["test_y"], check_names=False, check_exact=True)


@pytest.mark.usefixtures("no_figures")
def test_a_modified_protocol_is_not_compared(tmp_path: Path) -> None:
    report.write(tmp_path, evidence(seeds=4, modified="reinforce.lr=0.2"))
    assert next_to(tmp_path, "random search")[-1] == "not comparable: the protocol was modified: reinforce.lr=0.2"


@pytest.mark.usefixtures("no_figures")
def test_a_search_on_other_images_is_not_compared(tmp_path: Path) -> None:
    jpeg = evidence(seeds=4)
    part = dataclasses.replace(jpeg.page.parts[0], images={"random_search": "CIFAR-10 (JPEG-75), 25,000 + 25,000 images, 01"})
    report.write(tmp_path, changed(jpeg, parts=(part,)))
    assert next_to(tmp_path, "random search")[-1] == "not comparable: under JPEG-75 search"
    assert not next_to(tmp_path, "regularized evolution")[-1].startswith("not comparable")


@pytest.mark.usefixtures("no_figures")
def test_without_published_numbers_there_are_no_published_columns(tmp_path: Path) -> None:
    report.write(tmp_path, evidence(seeds=4, protocol="digits"))
    text = (tmp_path / "table.md").read_text()
    assert "published" not in text
    assert "verdict" not in text


@pytest.mark.usefixtures("no_figures")
def test_two_runs_have_no_interval_and_no_significance(tmp_path: Path) -> None:
    report.write(tmp_path, evidence(seeds=2, failing=0))
    text = (tmp_path / "table.md").read_text()
    assert "fewer than 3 runs have no interval" in text
    intervals = next(lines for lines in tables(text) if "regret" in lines[0])
    assert not any("[" in line for line in intervals[2:])
    assert "can be significant" in text


@pytest.mark.usefixtures("no_figures")
def test_a_row_without_any_finished_run_is_still_there(tmp_path: Path) -> None:
    report.write(tmp_path, evidence(seeds=3, failing=3))
    assert cells((tmp_path / "table.md").read_text(), "BOHB (2020)")[1:3] == ["0/3", "–"]


@pytest.mark.usefixtures("no_figures")
def test_benchmarks_have_their_own_tables(tmp_path: Path) -> None:
    three = evidence(seeds=3)
    more = three.runs[three.runs["target"] == "cifar100"].assign(
        benchmark="nb201/cifar100", run_id=lambda runs: runs["run_id"] + "b"
    )
    report.write(tmp_path, dataclasses.replace(three, runs=pd.concat([three.runs, more])))
    text = (tmp_path / "table.md").read_text()
    assert "## Results on nb201/cifar10\n" in text
    assert "## Results on nb201/cifar100\n" in text


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        report.write(tmp_path / name, evidence(seeds=3))
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_report_without_traces_removes_the_old_figure(tmp_path: Path) -> None:
    (tmp_path / "regret.pdf").write_bytes(b"of an earlier report")
    three = evidence(seeds=3)
    left = [path.name for path in report.write(tmp_path, dataclasses.replace(three, traces=Traces()))]
    assert left == [name for name in FILES if not name.startswith("regret")]
    assert not (tmp_path / "regret.pdf").exists()
    assert "regret.png" not in (tmp_path / "table.md").read_text()


def test_a_crash_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.md"
    path.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        report._replace(path, b"new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("table.md", "old")]


@pytest.mark.usefixtures("no_figures")
def test_runs_alone_are_enough(tmp_path: Path) -> None:
    report.write(tmp_path, Evidence(Page("nb201-2020"), evidence(seeds=3).runs))
    assert "## Results" in (tmp_path / "table.md").read_text()


def test_zero_regret_can_be_drawn(tmp_path: Path) -> None:
    tests = {target: np.full(3, best) for target, best in OPTIMUM.items()}
    flat = Traces(
        {(BENCHMARK, row): [Trace(world, [50.0, 60.0, 70.0], tests, end=80.0) for world in range(3)] for row in MEANS}
    )
    files = report.write(tmp_path, dataclasses.replace(evidence(seeds=3), traces=flat))
    assert (tmp_path / "regret.png") in files


def test_a_row_looks_the_same_in_every_figure() -> None:
    known = [f"m{k}" for k in range(30)] + ["random_search"]
    places = style.places(known, {}, "random_search")
    everything = style.looks([*known, "mine", "mine[lr=1]"], places, "random_search")
    for rows in (["m3"], ["m29", "mine"], ["mine[lr=1]", "m7", "random_search"]):
        assert style.looks(rows, places, "random_search") == {row: everything[row] for row in rows}
    assert [row for row, look in everything.items() if look["color"] == "#000000"] == ["random_search"]
    assert len({str(look) for look in everything.values()}) == len(everything)


def test_numbers_are_typeset() -> None:
    assert number(12345.678) == "12\N{NARROW NO-BREAK SPACE}345.68"
    assert [number(-0.001), number(None), number(np.nan), number(-2)] == ["0.00", "–", "–", "−2.00"]
    assert [signed(0.001), signed(0.1), signed(-0.1)] == ["0.00", "+0.10", "−0.10"]
    assert with_interval(1.0, Interval(0.5, 1.5), sign=True) == "+1.00 [+0.50, +1.50]"


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        Table("", [Column("a"), Column("b")]).add(["x"])


def test_bold_cells_and_groups_of_rows_are_in_both_formats() -> None:
    table = Table("caption", [Column("method", right=False), Column("test")])
    table.add(["a", Bold("93.0 | 1")], rule="first & group")
    table.add(["b", "92.0"], rule="second")
    table.add(["c", "91.0"], rule=True)
    markdown = to_markdown("t", [table])
    assert [line.replace(" ", "") for line in markdown.splitlines() if line.startswith("|")][2:] == [
        "|*first&group*||",
        r"|a|**93.0\|1**|",
        "|*second*||",
        "|b|92.0|",
        "|c|91.0|",
    ]
    body = latex.document("t", [table]).decode().partition("test \\\\\n")[2]
    assert body.startswith(
        "\\midrule\n\\multicolumn{2}{@{}l}{\\textit{first \\& group}} \\\\\n{}a & \\textbf{93.0 \\textbar{} 1} \\\\\n"
        "\\midrule\n\\multicolumn{2}{@{}l}{\\textit{second}} \\\\\n{}b & 92.0 \\\\\n\\midrule\n{}c & 91.0"
    ), body


def test_reporting_does_not_import_what_is_slow() -> None:
    code = "import sys, reports.report; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"scipy.stats", "matplotlib", "torch"} & set(loaded)


@pytest.mark.usefixtures("no_figures")
def test_published_numbers_can_be_given(tmp_path: Path) -> None:
    report.write(tmp_path, evidence(seeds=4), published.load().iloc[:0])
    assert "published in" not in (tmp_path / "table.md").read_text()


def test_a_report_that_cites_nothing_has_no_bibliography(tmp_path: Path) -> None:
    (tmp_path / "report.bib").write_text("of an earlier report")
    part = Part(BENCHMARK, planned=dict.fromkeys(MEANS, 3))
    uncited = changed(evidence(seeds=3, protocol="digits"), citations={}, parts=(part,))
    files = report.write(tmp_path, dataclasses.replace(uncited, traces=Traces()))
    assert "report.bib" not in {file.name for file in files}
    assert not (tmp_path / "report.bib").exists()
    assert "bibliography" not in (tmp_path / "report.tex").read_text()


@pytest.mark.usefixtures("no_figures")
def test_every_method_of_a_page_is_in_its_bibliography(tmp_path: Path) -> None:
    cited = dict.fromkeys(MEANS, ("ying2019nasbench101",))
    report.write(tmp_path, changed(evidence(seeds=3), citations=cited))
    assert "{ying2019nasbench101," in (tmp_path / "report.bib").read_text()


def test_every_registered_method_names_a_paper_that_is_in_the_bibliography() -> None:
    for info in registry.methods().values():
        assert info.citations and {*info.citations} <= {*bibliography.entries()}, info.name


def test_every_entry_of_the_bibliography_is_whole() -> None:
    for key, entry in bibliography.entries().items():
        assert entry.count("{") == entry.count("}"), key
        fields = dict(re.findall(r"^  (\w+) = \{(.+)\},?$", entry, re.MULTILINE))
        assert {"author", "title", "year"} <= set(fields), key
        assert bibliography.extract([key, "unknown", key]) == f"{entry}\n\n"
    assert set(published.CITATIONS) == set(published.PAPERS)
    assert set(published.CITATIONS.values()) <= set(bibliography.entries())
