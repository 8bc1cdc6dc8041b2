"""The command ``nas-harness``: its subcommands do what the options of ``python -m harness.run`` do, and errors are one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from harness import cli, completion, protocols, registry
from harness.errors import UserError
from harness.plan import make
from harness.store import Store
from reports import bibliography
from tests import made_store

ROOT = Path(__file__).parents[2]
COMMANDS = ("run", "report", "status", "scoreboard", "compare", "merge", "export", "data", "check", "cite")


def called(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'nas-harness'; from harness.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=os.environ | environment
    )


def test_the_installed_command_is_this_one() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["nas-harness"] == f"{cli.__name__}:{cli.main.__name__}"


def test_the_help_lists_every_command_with_examples() -> None:
    done = called("--help")
    assert done.returncode == 0
    assert set(COMMANDS) <= set(re.findall(r"^  ([a-z]+)  ", done.stdout, re.MULTILINE))
    assert "nas-harness compare results@" in done.stdout and "--install-completion" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reprot"], "No such command 'reprot'"),
        (["compare", "one"], "Missing argument 'B'"),
        (["compare", "nowhere", "there"], "there is no store in nowhere"),
        (["cite", "gaea_drts"], "did you mean 'gaea_darts'?"),
        (["report", "--out", "nowhere"], "no runs of a known protocol in nowhere"),
        (["merge", "nowhere", "--out", "union"], "there is no store in nowhere"),
        (["data", "query", "nb2"], "nb2"),
    ],
)
def test_a_wrong_call_is_one_line(arguments: list[str], words: str) -> None:
    done = called(*arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("error: ") and words in done.stderr


def test_a_call_without_a_command_shows_the_help() -> None:
    done = called()
    assert done.returncode == 2 and done.stderr.startswith("Usage: nas-harness")


@pytest.mark.usefixtures("no_figures")
def test_a_report_without_a_protocol_is_of_every_protocol_in_the_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store(tmp_path, {"command": "c", "code": "1", "host": {}, "date": "d"}) as store:
        for name in ("digits", "digits-own-schedules"):
            rules = protocols.protocol(name)
            kind = next(part for part in rules.parts if "nb201/digits" in part.benchmarks).kind
            row = "random_search" if kind == "multi-trial" else "random_cell"
            made_store.fill(store, make(rules, methods=[row], benchmarks=["nb201/digits"], seeds=2))
        stored = {str(spec["protocol"]) for spec in store.specs().values()}
    assert not cli.app(["report", "--out", str(tmp_path)], standalone_mode=False)
    assert {file.parent.name for file in tmp_path.glob("*/table.md")} == stored == {"digits", "digits-own-schedules"}
    capsys.readouterr()
    assert not cli.app(["status", "--out", str(tmp_path), "--failed"], standalone_mode=False)
    assert "no failed runs" in capsys.readouterr().out


def test_names_are_completed_also_after_a_comma() -> None:
    assert completion.methods("gaea_d") == ["gaea_darts"]
    assert completion.methods("bohb,gaea_darts:e") == ["bohb,gaea_darts:erm"]
    assert "nb201" in completion.benchmarks("nb") and completion.benchmarks("nb201/dig") == ["nb201/digits"]
    assert completion.protocol("nb201-20") == ["nb201-2020"]


def test_a_shell_completes_through_the_command() -> None:
    asked = {"_NAS_HARNESS_COMPLETE": "complete_bash", "COMP_WORDS": "nas-harness run --protocol nb201-20", "COMP_CWORD": "3"}
    assert called(**asked).stdout.split() == ["nb201-2020"]


def test_cited_are_the_papers_of_rows_benchmarks_and_pages(tmp_path: Path) -> None:
    from harness.citing import bibtex

    cited = bibliography.parsed(bibtex(["gaea_darts:erm", "reinforce[lr=0.1]", "nb201", "nb201/digits"]))
    expected = (*registry.method("gaea_darts").citations, *registry.method("reinforce").citations, "dong2020nasbench201")
    assert set(cited) == set(expected)
    entry = "@misc{mine,\n  title = {My page}\n}"
    (tmp_path / "report.bib").write_text(f"{entry}\n")
    assert bibtex([str(tmp_path)]) == f"{entry}\n\n"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"has no report\.bib"):
        bibtex([str(tmp_path / "empty")])


def test_the_citation_file_has_what_its_format_requires() -> None:
    text = (ROOT / "CITATION.cff").read_text()
    top = dict(re.findall(r"^([a-z-]+): *(.*)$", text, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= set(top), "keys that version 1.2.0 requires"
    assert set(top) <= {"cff-version", "message", "type", "title", "abstract", "authors", "version", "license", "keywords"}
    assert (top["cff-version"], top["type"]) == ("1.2.0", "software")
    assert (top["title"], top["version"], top["license"]) == (project["name"], project["version"], project["license"])
    assert re.search(r"^authors:\n  - name: \S", text, re.MULTILINE), "an author is an entity with a name"
