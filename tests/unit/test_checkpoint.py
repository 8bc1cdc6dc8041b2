from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.books import Books
from harness.budget import Ledger
from harness.checkpoint import File
from harness.outcome import Probe, Proposal, Trace


def spent() -> tuple[Ledger, Trace, Books]:
    ledger, trace, books = Ledger(), Trace(), Books(None)
    ledger.charge(queries=2, seconds=0.1, epochs=1 / 3, macs=7.0, solver_calls=4)
    trace.seconds.extend([0.1, math.pi])
    trace.accuracy.extend([50.0, 1 / 3])
    trace.proposals.append(Proposal(1, 0.1, (0, 4, 2)))
    trace.probes.append(Probe((1, 2, 0), 12.5, 1.5))
    trace.scalars.append({"seconds": 0.1, "entropy": math.nan, "loss": math.inf})
    books.queries.append(((0, 4, 2), None))
    books.trained["seconds"] = 0.1
    return ledger, trace, books


def test_a_search_goes_on_with_the_ledger_and_the_trace_it_had(tmp_path: Path) -> None:
    ledger, trace, books = spent()
    state = bytes(range(256)) * 100
    File(tmp_path / "deep" / "a.ckpt", "a").save(state, ledger, trace, books)
    again, lines, noted = Ledger(), Trace(), Books(None)
    assert File(tmp_path / "deep" / "a.ckpt", "a").load(again, lines, noted) == state
    assert (noted.queries, noted.trained) == (books.queries, books.trained)
    assert again.snapshot() == ledger.snapshot()
    assert repr(lines) == repr(trace)  # repr: NaN is not equal to itself


def test_nothing_there_means_a_new_search(tmp_path: Path) -> None:
    ledger, trace = Ledger(), Trace()
    assert File(tmp_path / "none.ckpt", "a").load(ledger, trace, Books(None)) is None
    assert trace == Trace()


def test_a_damaged_one_is_reported_and_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = File(tmp_path / "a.ckpt", "a")
    file.save(b"state", *spent())
    for damage in (lambda data: data[:-1], lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:], lambda data: b""):
        good = file.path.read_bytes()
        file.path.write_bytes(damage(good))
        ledger, trace = Ledger(), Trace()
        assert file.load(ledger, trace, Books(None)) is None
        assert ledger.snapshot() == Ledger().snapshot()
        assert "a.ckpt is damaged" in capsys.readouterr().err
        file.path.write_bytes(good)


def test_a_write_that_fails_keeps_the_last_good_one_and_the_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = File(tmp_path / "a.ckpt", "a")
    file.save(b"good", *spent())
    file.path.unlink()
    file.path.mkdir()  # a folder in its place: the rename fails
    (file.path / "x").touch()
    file.save(b"bad", *spent())
    file.save(b"bad", *spent())
    warned = capsys.readouterr().err
    assert warned.count("warning: cannot keep a checkpoint") == 1
    assert "the search goes on" in warned


def test_a_used_ledger_refuses_to_be_restored() -> None:
    ledger, _, _ = spent()
    with pytest.raises(ValueError, match="in use"):
        ledger.restore(Ledger().snapshot())


def test_a_training_has_a_state_and_no_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert File(tmp_path / "a.ckpt", "a").load_training() is None
    File(tmp_path / "a.ckpt", "a").save_training(b"state")
    assert File(tmp_path / "a.ckpt", "a").load_training() == b"state"
    assert File(tmp_path / "a.ckpt", "b").load_training() is None
    assert "is the checkpoint of another run" in capsys.readouterr().err


def test_forgetting_twice_is_no_error(tmp_path: Path) -> None:
    file = File(tmp_path / "a.ckpt", "a")
    file.save(b"", *spent())
    file.forget()
    file.forget()
    assert not file.path.exists()


def test_the_checkpoint_of_another_run_is_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    File(tmp_path / "a.ckpt", "a").save(b"state", *spent())
    (tmp_path / "a.ckpt").rename(tmp_path / "b.ckpt")
    ledger, trace, books = Ledger(), Trace(), Books(None)
    assert File(tmp_path / "b.ckpt", "b").load(ledger, trace, books) is None
    assert ledger.snapshot() == Ledger().snapshot() and trace == Trace() and not books.queries
    assert "b.ckpt is the checkpoint of another run; this run starts from the beginning" in capsys.readouterr().err
