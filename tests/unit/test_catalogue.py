"""The index of committed pages: it lists every folder, says how each page was made, and marks pages older than the code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from harness import catalogue, protocols, source
from harness.errors import UserError
from harness.packages import PROJECT

RESULTS = Path(__file__).parents[2] / "docs" / "results"
TITLE = protocols.protocol("digits").title
HEAD = PROJECT


def page(folder: Path, code: str = "0.1.0 (abcdef1234)", title: str = TITLE, rows: str = "random_search") -> catalogue.Page:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "table.md"
    file.write_text(
        f"# {title}\n\n| method | seeds |\n| {rows} |     3 |\n| gdas |     0 |\n\non nb201/digits\n\n- **Protocol:** digits\n"
        f"\n1 200 runs made on 2026-01-02T03:04:05+00:00 by code {code}, on Linux, by\n\n    python -m harness.run\n"
        f"\nThis page was written on 2026-01-03, by code {code}, on Linux, by\n\n    nas-harness report \\\n    --out x\n"
    )
    return catalogue.read(file)


def test_the_committed_index_lists_every_page() -> None:
    text = (RESULTS / catalogue.FILE).read_text()
    folders = {folder.name for folder in RESULTS.glob("*/")}
    assert folders == {file.parent.name for file in catalogue.pages(RESULTS)}, "every folder has a page"
    for file in catalogue.pages(RESULTS):
        assert f"[{file.parent.name}]({file.parent.name}/{file.name})" in text, "nas-harness index writes the index"


def test_every_committed_page_says_how_it_was_made() -> None:
    for file in catalogue.pages(RESULTS):
        facts = catalogue.read(file)
        if facts.codes:
            assert facts.protocol and facts.dates and facts.command.startswith(("python -m harness", "nas-harness")), file
            assert facts.searches, file


def test_no_text_of_a_committed_figure_is_cut() -> None:
    pages = [file.parent for file in catalogue.pages(RESULTS)]
    written_since = [page for page in pages if (page / "report.tex").exists()]  # since text at a border is measured
    figures = [figure for page in written_since for figure in page.glob("*.png")]
    assert figures
    for figure in figures:
        pixels = np.asarray(Image.open(figure).convert("L"))
        assert pixels[:, [0, -1]].min() == 255 and pixels[[0, -1]].min() == 255, figure


def test_a_page_says_its_protocol_command_date_and_code(tmp_path: Path) -> None:
    facts = page(tmp_path / "a")
    assert (facts.title, facts.protocol, facts.command) == (TITLE, "digits", "nas-harness report \\ --out x")
    assert (facts.dates, facts.codes) == (("2026-01-02",), ("0.1.0 (abcdef1234)",))
    assert facts.searches == {("nb201/digits", "random_search")}, "gdas has no seeds"


def test_a_page_without_data_says_its_searches_by_the_names_in_its_tables() -> None:
    searches = catalogue.read(RESULTS / "nb201-2020" / "table.md").searches
    assert ("nb201/cifar10", "random_search") in searches and ("nb201/cifar10", "reinforce:lr_0.5") in searches
    assert not any(row.startswith("gdas") for _, row in searches), "a row without seeds"


def test_the_data_next_to_a_page_says_what_was_searched(tmp_path: Path) -> None:
    lines = {"benchmark": ["nb201/digits"] * 2, "row": ["gdas", "bohb:nb201_2020"], "status": ["failed", "done"]}
    (tmp_path / "a").mkdir()
    pd.DataFrame(lines).to_parquet(tmp_path / "a" / "runs.parquet")
    assert page(tmp_path / "a").searches == {("nb201/digits", "bohb:nb201_2020")}


def test_a_page_is_older_if_an_executed_file_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: dict[str, frozenset[Path] | None] = {"abcdef1234": frozenset()}
    monkeypatch.setattr(catalogue, "_changed", lambda commit: changed.get(commit))
    facts = page(tmp_path / "a")
    files = catalogue.executed(facts)
    assert {HEAD / "harness/execute.py", HEAD / "methods/multi_trial/random_search.py"} <= files
    assert not {HEAD / "methods/one_shot/gdas.py", HEAD / "harness/cli.py"} & files
    assert catalogue.state(facts) == catalogue.CURRENT
    changed["abcdef1234"] = frozenset([HEAD / "methods/one_shot/gdas.py", HEAD / "README.md"])
    assert catalogue.state(facts) == catalogue.CURRENT, "files that its runs do not execute"
    changed["abcdef1234"] = frozenset([HEAD / "harness/execute.py"])
    assert catalogue.state(facts) == f"older: 1 of {len(files)} executed files differ now"
    assert catalogue.state(page(tmp_path / "b", title="Other rules")).startswith("older: the protocol digits has other rules")


def test_the_data_of_a_page_say_which_rows_execute_other_code(tmp_path: Path) -> None:
    lines = {"benchmark": ["nb201/digits"] * 2, "row": ["gdas", "random_search"], "status": ["done"] * 2}
    searches = frozenset(zip(lines["benchmark"], lines["row"], strict=True))
    opened = catalogue._opened(page(tmp_path / "a")._replace(searches=searches))
    present = {row: source.of_files(files) for (_, row), files, _ in opened}
    for gdas, words in ((present["gdas"], catalogue.CURRENT), ("0" * 64, "older: 1 of 2 rows execute other code now")):
        pd.DataFrame({**lines, "code": [gdas, present["random_search"]]}).to_parquet(tmp_path / "a" / "runs.parquet")
        assert catalogue.state(catalogue.read(tmp_path / "a" / "table.md")) == words, "of any commit"


def test_runs_of_an_older_page_that_the_present_code_made_again_are_compared(tmp_path: Path) -> None:
    lines = {
        "benchmark": "nb201/digits",
        "row": "gdas",
        "budget": "30",
        "world": [0, 0, 1, 1, 2, 2],
        "target": ["digits", "more"] * 3,
    }
    results = {"status": "done", "arch": ["a", "a", "b", "b", "c", "c"], "test": [90.0, float("nan")] * 3}
    first = pd.DataFrame({**lines, **results, "code": "0" * 64})
    searches = frozenset([("nb201/digits", "gdas")])
    ((_, files, _),) = catalogue._opened(page(tmp_path / "a")._replace(searches=searches))
    again = first.assign(code=source.of_files(files)).iloc[:4]

    def stated(second: pd.DataFrame) -> str:
        first.to_parquet(tmp_path / "a" / "runs.parquet")
        second.to_parquet(tmp_path / "a" / catalogue.AGAIN)
        return catalogue.state(catalogue.read(tmp_path / "a" / "table.md"))

    older = "older: 1 of 1 rows execute other code now"
    assert stated(again) == f"{older}; 2 runs made again, 2 equal"
    assert stated(again.assign(test=[90.0, float("nan"), 90.0, 91.0])) == f"{older}; 2 runs made again, 1 equal"
    assert stated(again.assign(arch=["a", "a", "d", "d"])) == f"{older}; 2 runs made again, 1 equal"
    failed = again.iloc[:1].assign(status="failed", arch="", target="", test=float("nan"))
    assert stated(failed) == f"{older}; 1 runs made again, 0 equal", "the data sets of a failed run are not known"
    assert stated(again.assign(world=[7, 7, 8, 8])) == older, "no run of the page"
    (tmp_path / "a" / catalogue.AGAIN).write_bytes(b"damaged")
    with pytest.raises(UserError, match="parquet is no data of a page"):
        catalogue.state(catalogue.read(tmp_path / "a" / "table.md"))
    with pytest.raises(UserError, match="is no data of a page"):
        stated(again.drop(columns="budget"))
    assert stated(again.assign(code="1" * 64)) == older, "by code that is older too"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("0.1.0", "unknown: code without a commit"),
        ("0.1.0 (1234567)", "unknown: this history has no commit 1234567"),
        ("0.1.0 (abcdef1234, modified)", "unknown: the code was modified"),
    ],
)
def test_a_page_whose_code_is_not_known_is_not_called_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    monkeypatch.setattr(catalogue, "_changed", {"abcdef1234": frozenset[Path]()}.get)
    assert catalogue.state(page(tmp_path / "a", code)) == words


def test_a_commit_is_compared_with_the_files_as_they_are() -> None:
    assert catalogue._changed("0" * 40) is None


def test_the_index_is_written_with_links(tmp_path: Path) -> None:
    page(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "scoreboard.md").write_text("# Scoreboard\n")
    text = catalogue.write(tmp_path).read_text()
    assert (
        "[a](a/table.md)" in text
        and f"{TITLE}, on nb201/digits" in text
        and "[b](b/scoreboard.md)" in text
        and "1 200" not in text
    )
    with pytest.raises(UserError, match="no folder in"):
        catalogue.write(tmp_path / "a")
