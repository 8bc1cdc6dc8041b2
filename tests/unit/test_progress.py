"""What progress says of runs done and under way."""

from __future__ import annotations

import pytest

from harness import progress
from harness.outcome import Result
from harness.progress import Bars, Lines, RowState


def done(test: float = 90.0) -> Result:
    return Result("x", "done", scores={"digits": {"test": test}})


def test_a_run_that_has_finished_is_under_way_no_more() -> None:
    state = RowState("rsps", total=3, done=0)
    state.under_way = 1.4  # two runs: one at its end, one at .4
    state.add(done())
    assert state.count() == "1.40"
    state.add(done())
    assert state.count() == "2"


def test_the_time_left_follows_from_what_is_done_and_under_way() -> None:
    state = RowState("rsps", total=4, done=1)
    assert state.eta(100.0) == ""
    state.began, state.under_way = 100.0, 0.5
    assert state.eta(160.0) == "eta 5:00"  # half a run a minute, two and a half are left
    state.add(done())
    assert state.eta(160.0) == "eta 2:00"


def test_lines_say_how_a_row_and_all_of_them_stand(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINES_EVERY_S", 0.0)
    with Lines({"a": RowState("rsps", 2, 0), "b": RowState("gdas", 4, 1)}) as lines:
        lines.started("a")
        lines.tick([("a", 0.25)])
        lines.finished("a", done(90.0))
        lines.finished("a", done(92.0))
        lines.finished("b", Result("y", "failed"))
    shown = capsys.readouterr().err.splitlines()
    assert shown[0].startswith("rsps  0.25/2  ") and shown[0].endswith("(1/6 of all)")
    assert shown[2] == "rsps  2/2  digits 91.00 ± 1.00  (3/6 of all)"
    assert "1 failed (--failed shows why)" in shown[3]


def test_bars_take_the_same_calls() -> None:
    states = {"a": RowState("rsps", 2, 0), "b": RowState("gdas", 4, 1)}
    with Bars(states) as bars:
        bars.started("a")
        bars.tick([("a", 0.5)])
        bars.finished("a", done())
    assert bars._bars.tasks[0].completed == 2
