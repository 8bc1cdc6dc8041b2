"""LaTeX of a report: every foreign text is escaped, and what is written compiles without a box that is too wide or high."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from harness.analysis import published
from harness.analysis.study import Study
from reports import figures, latex, printed, report
from reports.layout import Block, Bold, Bullets, Cited, Code, Column, Figure, Heading, Paragraph, Table
from tests.unit.test_reports import evidence

HOSTILE = "".join(map(chr, range(32, 127))) + " ± Δ é “漢” ≥ √ ⁿ đ ħ ł 🙂 [x] \\input{x} %"
KEYS = ("li2019random", "liu2019darts")
compiles = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


def compiled(folder: Path, name: str, cites: bool = True) -> str:
    """Return the log of the last of three passes with BibTeX between them, or of a single pass."""
    latex_pass = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", name]
    for command in [latex_pass, ["bibtex", name], latex_pass, latex_pass] if cites else [latex_pass]:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    log = (folder / f"{name}.log").read_text(errors="replace").replace("\n", " ")
    assert not re.findall(r"Overfull .{60}|Missing character.{60}|[^.]{60}undefined[^.]{40}|multiply defined", log)
    return log


def pages(log: str) -> int:
    match = re.search(r"\((\d+) pages?, ", log)
    assert match is not None
    return int(match[1])


def test_text_is_escaped() -> None:
    assert latex.latex_text(r"a_b & 50 % #1 $x^2 {~}\ é") == (
        r"a\_b \& 50 \% \#1 \$x\textasciicircum{}2 \{\textasciitilde{}\}\textbackslash{} é"
    )
    assert latex.latex_text("± Δ − ∞ 漢 đ") == r"$\pm$ $\Delta$ $-$ $\infty$ U+6F22 U+0111"
    assert latex.latex_text(Bold("1 ± 2")) == r"\textbf{1 $\pm$ 2}"
    cited = r"\cite{li2019random,liu2019darts}"
    assert [latex.latex_text(Cited(text, KEYS)) for text in ("a", "")] == [f"a~{cited}", cited]


def test_names_in_any_script_stay_apart() -> None:
    names = ["\u6211\u7684\u65b9\u6cd5", "\u6211\u7684\u6a21\u578b", "\u043c\u0435\u0442\u043e\u0434", "m\u00e9thode"]
    written = [latex.latex_text(name) for name in names]
    assert len(set(written)) == len(names) and written[3] == names[3]


def test_every_expression_of_a_template_is_escaped() -> None:
    table = Table("", [Column(HOSTILE, HOSTILE), Column("b")])
    table.add([HOSTILE, "1"], rule=HOSTILE)
    blocks: list[Block] = [
        Heading(HOSTILE),
        Paragraph(HOSTILE),
        Bullets([(HOSTILE, HOSTILE)]),
        Code(HOSTILE),
        Figure("f", HOSTILE),
        table,
    ]
    text = latex.document(HOSTILE, blocks).decode()
    assert "\\input{x}" not in text and "a_b" not in text
    assert text.count(r"\textbackslash{}input\{x\}") == 11


def test_a_long_word_may_be_broken_and_a_short_one_not() -> None:
    assert latex.latex_text("a" * 64).count(r"\allowbreak{}") == 8
    assert latex.latex_text("a/b/" * 8).count(r"\allowbreak{}") == 16
    assert "allowbreak" not in latex.latex_text("random_search --protocol nb201-2020")


def wide(columns: int, rows: int) -> Table:
    """Return a table of numbers in groups of three columns, and a column of long texts."""
    table = Table("Caption. " * 40, [Column("method", right=False), Column("why", right=False)])
    table.columns += [Column(f"number {place}", f"group {place // 3}") for place in range(columns)]
    for row in range(rows):
        table.add([f"method {row}", "A long reason. " * 4, *["93.70 ± 0.36"] * columns], rule=row % 7 == 0)
    return table


def test_a_table_is_split_by_columns_and_rows_and_keeps_every_cell() -> None:
    table = wide(12, 120)
    parts = list(latex._parts(table))
    assert len(parts) > 4 and all(part.columns[0].name == "method" for part in parts)
    cells = sum(len(cells) - 1 for part in parts for _, cells in part.rows)
    assert cells == 120 * 13
    for part in parts:
        groups = [column.group for column in part.columns]
        assert all(groups.count(group) == 3 for group in {*groups} - {""}), "a group stays together"
    assert len(list(latex._parts(wide(3, 5)))) == 1


def test_a_column_without_any_text_is_left_out() -> None:
    table = Table("", [Column("method"), Column("remarks"), Column("n")])
    table.add(["a", "", "1"])
    (part,) = latex._parts(table)
    assert [column.name for column in part.columns] == ["method", "n"]


@compiles
def test_wide_and_long_blocks_fit_the_pages(tmp_path: Path) -> None:
    figure_of_three_pages(tmp_path / "tall.pdf", (30.0, 20.0))
    word = "checksum/" + "0123456789abcdef" * 16
    blocks: list[Block] = [
        Heading(HOSTILE), Paragraph(f"{HOSTILE} {word} {'word ' * 400}"), Bullets([(HOSTILE, "[x] " + word), ("", HOSTILE)]),
        Code(f"python -m harness.run {word}\n{HOSTILE}"), wide(12, 120), Figure("tall", "Caption. " * 60), wide(1, 3),
    ]  # fmt: skip
    (tmp_path / "long.tex").write_bytes(latex.document(HOSTILE, blocks))
    log = compiled(tmp_path, "long", cites=False)
    assert log.count("tall.pdf") >= 3 and pages(log) >= 8


def figure_of_three_pages(path: Path, size: tuple[float, float]) -> None:
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure as Drawing

    with PdfPages(path) as sheets:
        for _ in range(3):
            sheets.savefig(Drawing(figsize=size))


PAPER = (
    r"\documentclass{article}\usepackage[margin=1in]{geometry}\usepackage{booktabs}\begin{document}"
    r"\begin{table}\centering\footnotesize\input{table}\caption{x}\end{table}\bibliographystyle{plain}\bibliography{report}\end{document}"
)


@compiles
def test_the_report_and_the_table_compile_and_cite(tmp_path: Path) -> None:
    hostile = evidence(seeds=4, modified=HOSTILE)
    runs = hostile.runs.assign(label=hostile.runs["label"].where(hostile.runs["row"] != "local_search", HOSTILE[:60]))
    report.write(tmp_path, dataclasses.replace(hostile, runs=runs))
    log = compiled(tmp_path, "report")
    assert pages(log) >= 3
    (tmp_path / "paper.tex").write_text(PAPER)
    assert pages(compiled(tmp_path, "paper")) >= 1


def test_a_figure_of_many_panels_is_not_much_higher_than_a_page() -> None:
    study = Study(evidence(seeds=3), published.load())
    panel = figures.Panel("title", "x", "y", lambda axes, looks: {})
    shapes = {}
    for count in (2, 6, 12):
        svg = figures.render(study, [panel] * count)["svg"].decode()
        shapes[count] = [float(size) / 72 for size in re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2]]
    assert shapes[2][0] < 7 and shapes[6][0] < 7, "at print size"
    assert shapes[12][1] * 7 / shapes[12][0] < 9, "scaled to the width of a page, it fits the height"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "PLOTS", ())
        report.write(folder, evidence())
    return folder


def test_the_table_is_a_tabular_without_document_and_float(written: Path) -> None:
    text = (written / "table.tex").read_text()
    body = re.sub(r"(?m)^%.*\n", "", text)
    assert body.startswith("{\\setlength") and body.count(r"\begin") == body.count(r"\begin{tabular}") == 1
    assert r"\cmidrule" in body and r"\toprule" in body and "\\documentclass" not in text
    assert re.search(r"(?m)^% .*R reproduced", text), "a comment explains the marks"


def lines_of(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{{}}{name} ")]
    return [cell.strip() for cell in line.removesuffix(r" \\").removeprefix("{}").split("&")]


def test_the_table_has_names_published_numbers_marks_and_the_best_in_bold(written: Path) -> None:
    text = (written / "table.tex").read_text()
    runs = evidence().runs.assign(label=lambda runs: runs["label"].where(runs["label"] != "", runs["row"]))
    means = runs[runs["target"] == "cifar10"].groupby("label")["test"].mean()
    for label, mean in means.items():
        cell = lines_of(text, latex.latex_text(str(label)))[2]
        assert cell.startswith((r"\textbf{" if mean == means.max() else "") + f"{mean:.2f}{{\\scriptsize")
    random = lines_of(text, "random search")
    assert random[1] == "12" and random[4] == r"93.70{\scriptsize\,$\pm$\,0.36}"
    assert random[-1] == r"\cite{li2021gaea}" and re.fullmatch(r"\\textsuperscript\{[RDCU]\}", random[3])
    assert lines_of(text, "BOHB (2020)")[1] == "10/12"
    assert lines_of(text, "rsps")[1:5] == ["0", "", "", r"87.66{\scriptsize\,$\pm$\,1.69}"]
    assert r"\textit{not run here}" in text


def test_the_number_of_runs_is_in_the_caption_if_all_rows_have_the_same() -> None:
    study = Study(evidence(failing=0), published.load())
    table = printed.table(study, study.benchmarks, narrow=True)
    assert "runs" not in [column.name for column in table.columns] and "over 12 runs" in table.caption
    assert "runs" in [column.name for column in printed.table(study, study.benchmarks).columns]


def test_benchmarks_are_side_by_side_in_the_table_to_print() -> None:
    three = evidence(seeds=3)
    more = three.runs[(three.runs["target"] == "cifar100") & (three.runs["row"] != "local_search")]
    runs = pd.concat([three.runs, more.assign(benchmark="nb201/cifar100", run_id=more["run_id"] + "b")])
    study = Study(dataclasses.replace(three, runs=runs), published.load())
    table = printed.table(study, study.benchmarks, narrow=True)
    heads = list(dict.fromkeys(column.group for column in table.columns if column.group))
    assert heads == [f"nb201/cifar10, {name}" for name in ("CIFAR-10", "CIFAR-100", "ImageNet-16-120")] + ["nb201/cifar100"]
    (line,) = [cells for cells in table.rows if cells[0] == "local_search"]
    assert line[[column.group for column in table.columns].index("nb201/cifar100")] == "", "it did not run there"


def test_all_of_the_bibliography_that_is_cited_is_written(written: Path) -> None:
    texts = [(written / name).read_text() for name in ("report.tex", "table.tex")]
    assert r"random search~\cite{li2019random}" in texts[0]
    assert r"GAEA T2, n = 500 assumed~\cite{li2021gaea}" in texts[0]
    assert r"NAS-Bench-201 v1.1~\cite{dong2020nasbench201}" in texts[0]
    assert r"\bibliography{report}" in texts[0] and "cite" not in (written / "table.md").read_text()
    cited = {key for text in texts for keys in re.findall(r"\\cite\{([^}]*)\}", text) for key in keys.split(",")}
    assert cited == set(re.findall(r"^@\w+\{(.*),$", (written / "report.bib").read_text(), re.MULTILINE))
