"""Pages are made of lines, sorted into an order, and explained at their end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.analysis import published
from harness.analysis.evidence import Evidence, Part
from harness.analysis.study import Study
from reports import about, reading, report
from reports.layout import Block, Bullets, Column, Figure, Paragraph, Table
from reports.lines import tabled
from tests import made_evidence

BENCHMARK, TARGET = "nb201/digits", "digits"


def test_a_table_has_the_columns_of_its_lines_and_a_dash_where_a_line_has_none() -> None:
    table = tabled("c", [{"method": "a", "n": "1"}, {"method": "a", "p": "2"}, {"method": "b", "n": "3"}], ruled=True)
    assert table is not None
    assert table.columns == [Column("method", right=False), Column("n"), Column("p")]
    assert table.rows == [["a", "1", "–"], ["a", "–", "2"], ["b", "3", "–"]] and table.rules == {2: ""}
    assert tabled("c", []) is None


def explained(*blocks: Block) -> set[str]:
    _, bullets = reading.explained(blocks)
    assert isinstance(bullets, Bullets)
    return {name for name, _ in bullets.items}


def test_what_a_page_shows_is_explained_and_nothing_else() -> None:
    always = explained()
    assert always == {"Spread"}
    table = Table("c", [Column("method"), Column("median")])
    assert explained(table) == {*always, "Median"}
    assert explained(Figure("signal", "c"), table) == {*always, "Median", "Signal of shared weights"}


def test_every_explanation_is_of_something_that_a_page_can_show() -> None:
    source = "\n".join(path.read_text() for path in Path(report.__file__).parent.glob("*.py"))
    for name, entry in reading.entries().items():
        assert entry["text"].endswith("."), name
        for shown in entry.get("on", []):
            assert re.search(f'"{re.escape(shown)}"', source), f"{name}: nothing is called {shown!r}"


def evidence(*parts: Part) -> Evidence:
    rows = [(part.benchmark, row) for part in parts for row in part.settings for _ in range(3)]
    lines = [made_evidence.run(*row, world % 3, TARGET, 90.0 + world % 3, kind="one-shot") for world, row in enumerate(rows)]
    return made_evidence.evidence(lines, None, *parts)


def part(benchmark: str, **settings: dict[str, object]) -> Part:
    defaults: dict[str, object] = {"lr": 0.1, "betas": (0.9, 0.99)}
    return Part(benchmark, "one-shot", judge={TARGET: "x"}, settings=settings, defaults=dict.fromkeys(settings, defaults))


def settings(*parts: Part) -> tuple[list[list[str]], str]:
    """Return the lines of the table of settings, and the sentence on rows with the defaults."""
    blocks = about.provenance(Study(evidence(*parts), published.load()))
    tables = [block.rows for block in blocks if isinstance(block, Table)]
    texts = [block.text for block in blocks if isinstance(block, Paragraph)]
    return tables[0] if tables else [], texts[0] if texts else ""


def test_settings_are_differences_from_the_defaults() -> None:
    usual: dict[str, object] = {"lr": 0.1, "betas": [0.9, 0.99]}  # as a store returns them
    lines, plain = settings(part(BENCHMARK, a=usual, b={**usual, "lr": 0.2, "new": "x"}, c=usual))
    assert lines == [["b", "lr = 0.2 (0.1), new = x"]]
    assert plain == "The method's default settings: a; c."
    assert settings(part(BENCHMARK, b={"lr": 0.2}))[1] == ""


def test_settings_that_differ_between_benchmarks_name_them() -> None:
    parts = part("nb201/digits", a={"lr": 0.2}, b={"lr": 0.3}), part("nb201/cifar10", a={"lr": 0.2}, b={"lr": 0.1})
    lines, plain = settings(*parts)
    assert lines == [["a", "lr = 0.2 (0.1)"], ["b on nb201/digits", "lr = 0.3 (0.1)"]]
    assert plain == "The method's default settings: b on nb201/cifar10."


@pytest.mark.usefixtures("no_figures")
def test_a_page_answers_first_and_says_at_its_end_how_it_was_made_and_how_to_read_it(tmp_path: Path) -> None:
    report.write(tmp_path, evidence(part(BENCHMARK, random_search={"lr": 0.2}, a={"lr": 0.2})))
    text = (tmp_path / "table.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "Results" and headings[-2:] == ["How this was made", "How to read this page"]
    order = ["Intervals and costs", "Against random search", "Cost of weight sharing", "How this was made"]
    assert [heading for heading in headings if heading in order] == order
    assert text.index("- digits: the best mean test accuracy") < text.index("## Results")
