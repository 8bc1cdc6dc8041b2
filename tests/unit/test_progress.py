"""What progress says of runs done and under way."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness import progress
from harness.outcome import Result
from harness.plan import PlannedRow
from harness.progress import Bars, Lines, RowState
from harness.store import Store
from tests.unit.test_store import RUNS, SPEC, result


def done(test: float = 90.0) -> Result:
    return Result("x", "done", scores={"digits": {"test": test}})


def test_a_run_that_has_finished_is_under_way_no_more() -> None:
    state = RowState("rsps", total=3)
    state.under_way = 1.4  # two runs: one at its end, one at .4
    state.add(done())
    assert state.count() == "1.40"
    state.add(done())
    assert state.count() == "2"


def test_the_time_left_follows_from_what_is_done_and_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 160.0)
    lines = Lines({"a": RowState("rsps", total=4, done=1)})
    assert lines.eta() == ""
    state = lines.states["a"]
    state.began, state.under_way = 100.0, 0.5
    assert lines.eta() == "eta 5:00"  # half a run a minute, two and a half are left
    state.add(Result("x", "done", wall_seconds=60.0))
    assert lines.eta() == "eta 2:00"


def test_lines_say_how_a_row_and_all_of_them_stand(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINES_EVERY_S", 0.0)
    with Lines({"a": RowState("rsps", 2), "b": RowState("gdas", 4, done=1)}) as lines:
        lines.started("a")
        lines.tick([("a", 0.25)])
        lines.finished("a", done(90.0))
        lines.finished("a", done(92.0))
        lines.finished("b", Result("y", "failed"))
    shown = capsys.readouterr().err.splitlines()
    assert shown[0].startswith("rsps  0.25/2  ") and "(1/6 of all, eta " in shown[0]
    assert shown[2].startswith("rsps  2/2  digits 91.00 ± 1.00  (3/6 of all")
    assert "1 failed (--failed shows why)" in shown[3]


def drawn(bars: Bars, height: int) -> list[str]:
    console = Console(width=120, height=height, file=io.StringIO())
    bars._console = console
    with console.capture() as capture:
        console.print(bars.table())
    return [line.split("  ")[0].split(" ")[0] for line in capture.get().splitlines()]


def test_a_row_is_drawn_as_its_name_stands_brackets_included() -> None:
    bars = Bars({"a": RowState("reinforce[lr=0.1]", 2)})
    bars.started("a")
    bars.tick([("a", 0.5)])
    bars.finished("a", done())
    assert bars.states["a"].count() == "1"
    assert drawn(bars, 24) == ["reinforce[lr=0.1]"]


def test_a_small_terminal_shows_all_and_the_rows_where_something_happens() -> None:
    bars = Bars({name: RowState(name, 2) for name in "abcdefghij"})
    assert drawn(bars, 24) == ["all", *"abcdefghij"]
    for name in "abcj":
        bars.started(name)
        bars.finished(name, done())
    bars.tick([("b", 0.5), ("h", 0.1)])
    assert drawn(bars, 7) == ["all", "b", "c", "h", "j"]


def test_the_time_left_of_all_rows_counts_rows_not_begun_by_the_others_of_their_kind() -> None:
    lines = Lines({"a": RowState("a", 2, "table"), "b": RowState("b", 3, "table"), "c": RowState("c", 1, "shared")}, workers=2)
    assert lines.eta() == ""
    for _ in range(2):
        lines.finished("a", Result("x", "done", wall_seconds=10.0))
    assert lines.eta() == ""  # nothing is known of the other kind
    lines.finished("c", Result("x", "done", wall_seconds=60.0))
    assert lines.eta() == "eta 0:15"


def test_the_standing_of_trainings_on_text_is_their_perplexity() -> None:
    state = progress.RowState("trained", 2)
    for perplexity in (90.0, 100.0):
        state.count_in("done", {"novel": {"test": 17.0, "perplexity": perplexity, "loss": 4.5}}, 8.0)
    assert state.standing() == "novel perplexity 95.00 ± 5.00"


def test_runs_that_were_done_before_count_in_the_standing(tmp_path: Path) -> None:
    rows = [PlannedRow(SPEC, list(RUNS))]
    with Store(tmp_path, {}) as store:
        store.claim(SPEC, RUNS[:3])
        store.save(SPEC, [(RUNS[k], result(k, "failed" if k == 2 else "done")) for k in range(3)])
        rows[0].done = {RUNS[0].run_id, RUNS[1].run_id, RUNS[2].run_id}
        (state,) = progress.progress(rows, store, 1).states.values()  # type: ignore[attr-defined]
    assert (state.done, state.failed, state.standing()) == (3, 1, "t 90.50 ± 0.50")


def test_a_reader_that_went_away_stops_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", gone)
    Lines({"a": RowState("a", 1)}).finished("a", done())
