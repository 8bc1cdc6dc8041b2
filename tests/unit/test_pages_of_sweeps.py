"""The page of a running sweep: there while it runs, without figures that do not fit, and never a reason to fail."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import pages, run
from harness.errors import UserError
from harness.plan import Plan
from harness.protocol import Protocol
from harness.store import Store

WAITS = """
import shutil, time
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Waits:
    '''Ends as soon as there is a page, and keeps it.'''
    reference = ''

    def search(self, view):
        page = Path({page!r})
        while not page.exists():
            time.sleep(0.05)
        shutil.copytree(page.parent, Path({copy!r}), dirs_exist_ok=True)
        view.query(view.space.sample(view.rng))
"""


@pytest.fixture(autouse=True)
def soon(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FIRST_S", 0.1)
    monkeypatch.setattr(pages, "LOOK_S", 0.1)


def sweep(out: Path, *methods: Path | str) -> None:
    run.run(protocol="smoke", methods=[str(method) for method in methods], seeds=1, workers=1, outs=[out])


def test_a_page_is_there_while_the_sweep_runs_and_the_final_one_replaces_it(tmp_path: Path) -> None:
    page, copy, mine = tmp_path / "smoke", tmp_path / "copy", tmp_path / "waits.py"
    mine.write_text(WAITS.format(page=str(page / "runs.html"), copy=str(copy)))
    page.mkdir()
    (page / "regret.pdf").write_text("a figure of an older page")
    sweep(tmp_path, "random_search", mine)
    early, final = (copy / "table.md").read_text(), (page / "table.md").read_text()
    assert early.splitlines()[2].startswith("The sweep was running when this page was written: 1 of 2 runs done.")
    assert "| random search " in early and "; waits; " in early and ":** not run yet" in early
    files = {"table.md", "table.tex", "report.tex", "runs.csv", "runs.parquet", "report.bib", "index.html", "runs.html"}
    assert {file.name for file in copy.iterdir()} == files
    assert 'http-equiv="refresh"' in (copy / "index.html").read_text() and "<meta http" not in (page / "index.html").read_text()
    assert "sweep was running" not in final and "| waits " in final
    assert (page / "regret.pdf").read_bytes().startswith(b"%PDF")


def test_an_error_of_a_page_waits_for_the_end_and_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "smoke").write_text("a file in the place of the page's folder")
    with pytest.raises(FileExistsError):
        sweep(tmp_path, "random_search")
    with Store(tmp_path, write=False) as store:
        assert list(store.statuses().values()) == ["done"]


def empty() -> Plan:
    return Plan(Protocol("p", "P", 1, 60.0, {}, ()), [])


@pytest.mark.parametrize("fault", [None, UserError("a full disk"), MemoryError()])
def test_a_writer_ends_with_the_sweep_and_leaves_no_half_file(
    fault: Exception | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, process = tmp_path / "half", tmp_path / "process"

    def look(*_: object) -> None:
        process.write_text(str(os.getpid()))
        if fault:
            raise fault
        try:
            half.touch()
            time.sleep(600)
        finally:
            half.unlink()

    monkeypatch.setattr(pages, "extend", look)
    with pages.rewritten(empty(), tmp_path, tmp_path) as stop:
        while not process.exists() or not process.read_text():
            time.sleep(0.01)
        stop()
        with pytest.raises(ProcessLookupError):
            os.kill(int(process.read_text()), 0)
    assert not half.exists()


def test_a_writer_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = tmp_path / "process"

    def deaf(*_: object) -> None:
        process.write_text(str(os.getpid()))
        while True:
            try:
                time.sleep(600)
            except KeyboardInterrupt:
                continue

    monkeypatch.setattr(pages, "extend", deaf)
    monkeypatch.setattr(pages, "LEAVE_S", 0.2)
    with pages.rewritten(empty(), tmp_path, tmp_path):
        while not process.exists() or not process.read_text():
            time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(int(process.read_text()), 0)


def test_pages_take_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    clock = iter([0.0, 3.0, 100.0, 100.001])

    def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 3:
            raise KeyboardInterrupt  # as SIGTERM does

    silent: Callable[..., int] = lambda *_: 0  # noqa: E731
    monkeypatch.setattr(pages, "os", type("os", (), {"open": silent, "dup2": silent, "devnull": "", "O_RDWR": 0}))
    monkeypatch.setattr(pages, "signal", type("signal", (), {"signal": silent, "SIGTERM": 0, "default_int_handler": 0}))
    monkeypatch.setattr(pages, "time", type("time", (), {"sleep": staticmethod(rest), "monotonic": lambda: next(clock)}))
    pages._keep_writing(empty(), tmp_path, tmp_path)
    assert rests == [pages.FIRST_S, 3.0 * pages.REST, pages.LOOK_S]
