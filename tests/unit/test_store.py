from __future__ import annotations

import dataclasses
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import store as stores
from harness.errors import UserError
from harness.outcome import Result
from harness.spec import RowSpec
from harness.store import Store

SPEC = RowSpec(
    protocol="p",
    benchmark="toy/x",
    row="m:v",
    method="m",
    kind="multi-trial",
    settings={"k": 3},
    budget={"currency": "seconds", "limit": math.inf, "policy": "refuse", "interpolate": False},
    search={},
    judge={},
    checksum="c",
    record="drawn",
    code="1",
    wall_limit_s=60.0,
)
RUNS = [SPEC.run(world) for world in range(6)]


def result(world: int, status: str = "done") -> Result:
    return Result(
        RUNS[world].run_id,
        status,
        arch=f"a{world}",
        scores={"t": {"test": 90.0 + world, "valid": math.nan, "regret": 0.25, "rank": 3.0}},
        trace={"seconds": [1.0, 2.5], "proposal_queries": [1], "t/test": [math.nan]},
        spent={"queries": 2, "seconds": 2.5},
        wall_seconds=0.1,
        error="" if status == "done" else "why",
    )


def test_a_run_reads_back_as_it_was_saved(tmp_path: Path) -> None:
    with Store(tmp_path, {"command": "c"}) as store:
        assert store.claim(SPEC, RUNS[:2]) == RUNS[:2]
        store.save(SPEC, [(RUNS[1], result(1)), (RUNS[0], result(0, "failed"))])
    with Store(tmp_path) as store:
        first, second = store.rows(SPEC.identity)
        assert (first["world"], first["status"], first["error"]) == (0, "failed", "why")
        assert second["scores"]["t"]["test"] == 91.0
        assert math.isnan(second["scores"]["t"]["valid"])
        assert second["spent"] == {"queries": 2, "seconds": 2.5}
        assert second["trace"]["seconds"].tolist() == [1.0, 2.5]
        assert store.statuses() == {RUNS[0].run_id: "failed", RUNS[1].run_id: "done"}
        assert RowSpec(**store.specs()[SPEC.identity]).identity == SPEC.identity
        assert store.sessions([first["session"]])[0]["command"] == "c"


def test_a_finished_run_is_never_replaced(tmp_path: Path) -> None:
    with Store(tmp_path, {}) as store:
        store.claim(SPEC, RUNS[:1])
        store.save(SPEC, [(RUNS[0], result(0))])
        store.save(SPEC, [(RUNS[0], result(0, "failed"))])
        assert store.statuses()[RUNS[0].run_id] == "done"
        assert store.claim(SPEC, RUNS[:1]) == []


def another(folder: Path, host: str, pid: int) -> Store:
    """A store opened by another process."""
    store = Store(folder, {})
    with store.file.transaction("write to") as db:
        db.execute("UPDATE sessions SET host = ?, pid = ? WHERE id = ?", (host, pid, store._session))
    return store


@pytest.fixture
def living() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


def test_a_claim_excludes_others_until_it_is_given_up(tmp_path: Path, living: int) -> None:
    mine, theirs = Store(tmp_path, {}), another(tmp_path, socket.gethostname(), living)
    assert theirs.claim(SPEC, RUNS[:3]) == RUNS[:3]
    assert mine.claim(SPEC, RUNS) == RUNS[3:]
    assert mine.holders(RUNS) == {socket.gethostname(): 3}
    theirs.close()
    assert mine.claim(SPEC, RUNS[:3]) == RUNS[:3]


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    mine, theirs = Store(tmp_path, {}), another(tmp_path, socket.gethostname(), dead.pid)
    theirs.claim(SPEC, RUNS)
    assert mine.claim(SPEC, RUNS) == RUNS


@pytest.mark.parametrize("ahead", [-300.0, 0.0, 300.0, 1e9])
def test_another_host_keeps_its_runs_while_its_heart_beats_at_any_time_of_its_clock(
    ahead: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed, clock = 0.0, time.time
    monkeypatch.setattr(time, "monotonic", lambda: passed)
    monkeypatch.setattr(time, "time", lambda: clock() + ahead + passed)
    mine, theirs = Store(tmp_path, {}), another(tmp_path, "elsewhere", os.getpid())
    theirs.claim(SPEC, RUNS)
    theirs.beat()
    monkeypatch.setattr(time, "time", lambda: clock() + passed)
    assert mine.claim(SPEC, RUNS) == []
    passed += stores.STALE_S + 1
    monkeypatch.setattr(time, "time", lambda: clock() + ahead + passed)
    theirs.beat()
    assert mine.claim(SPEC, RUNS) == []
    passed += stores.STALE_S - 1
    assert mine.claim(SPEC, RUNS) == []
    passed += 2
    assert mine.claim(SPEC, RUNS) == RUNS


def test_many_processes_may_create_one_store_at_once(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from harness.store import Store; Store(Path(sys.argv[1]), {}).close()"
    for attempt in range(3):
        call = [sys.executable, "-c", code, str(tmp_path / str(attempt))]
        crowd = [subprocess.Popen(call, stderr=subprocess.PIPE, text=True) for _ in range(5)]
        assert [process.communicate()[1] for process in crowd] == [""] * 5


def test_forgotten_runs_can_be_claimed_again(tmp_path: Path) -> None:
    with Store(tmp_path, {}) as store:
        store.claim(SPEC, RUNS)
        store.save(SPEC, [(RUNS[0], result(0, "failed"))])
        store.forget([RUNS[0].run_id])
        assert store.claim(SPEC, RUNS[:1]) == RUNS[:1]


def test_a_full_disk_is_one_line_and_keeps_what_was_saved(tmp_path: Path) -> None:
    with Store(tmp_path, {}) as store:
        store.claim(SPEC, RUNS)
        store.save(SPEC, [(RUNS[0], result(0))])
        pages = store.file._db.execute("PRAGMA page_count").fetchone()[0]
        store.file._db.execute(f"PRAGMA max_page_count = {pages}")
        big = dataclasses.replace(result(1), error="x" * 200_000)
        with pytest.raises(
            UserError, match=r"cannot save runs in .*runs\.sqlite: database or disk is full; finished runs are safe"
        ):
            store.save(SPEC, [(RUNS[1], big)])
    with Store(tmp_path) as store:
        assert list(store.statuses()) == [RUNS[0].run_id]


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as one" * 30, b"\x00" * 4096])
def test_a_damaged_store_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "runs.sqlite").write_bytes(content)
    with pytest.raises(UserError, match=r"runs\.sqlite: file is not a database"):
        Store(tmp_path)
    assert (tmp_path / "runs.sqlite").read_bytes() == content


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="cannot open"):
        Store(tmp_path / "out")


@given(st.sampled_from([field.name for field in dataclasses.fields(RowSpec) if field.name != "method"]))
def test_every_field_of_a_row_is_part_of_its_identity(name: str) -> None:
    value = getattr(SPEC, name)
    replacement: Any = (
        {**value, "another": 1} if isinstance(value, dict) else f"{value}x" if isinstance(value, str) else value + 1
    )
    changed = dataclasses.replace(SPEC, **{name: replacement})
    assert changed.identity != SPEC.identity
    assert changed.run(0).run_id != SPEC.run(0).run_id


def test_the_world_seed_is_shared_by_rows_and_the_method_seed_is_not() -> None:
    neighbour = dataclasses.replace(SPEC, row="n")
    assert SPEC.run(3).world_seed == neighbour.run(3).world_seed != SPEC.run(4).world_seed
    assert SPEC.run(3).method_seed != neighbour.run(3).method_seed
    elsewhere = dataclasses.replace(SPEC, benchmark="toy/y")
    assert SPEC.run(3).world_seed != elsewhere.run(3).world_seed
