"""What happens to a store that is foreign, damaged, lost while it is used, or not ours to write."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.database import VERSION
from harness.errors import UserError
from harness.store import Store
from tests.unit.test_store import RUNS, SPEC, result

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store of two runs, one of them failed."""
    with Store(tmp_path, {"command": "c"}) as store:
        store.claim(SPEC, RUNS[:2])
        store.save(SPEC, [(RUNS[0], result(0)), (RUNS[1], result(1, "failed"))])
    return tmp_path


def read(folder: Path) -> list[str]:
    """Everything that a read command asks of a store."""
    with Store(folder, write=False) as store:
        store.specs(), store.failed(), store.announced(), store.costs(), list(store.outcomes(SPEC.identity))
        runs = [run for identity in store.specs() for run in store.rows(identity)]
        store.sessions(run["session"] for run in runs)
        return [run["status"] for run in store.every_run(trace=True)]


def edit(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "runs.sqlite") as database:
        for statement in statements:
            database.execute(statement)
    database.close()


# -- not a store of this version ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("open_", [lambda folder: Store(folder, {}), read], ids=["write", "read"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("PRAGMA user_version=0", f"schema version 0, this harness reads version {VERSION}"),
        ("PRAGMA user_version=7", "schema version 7"),
        ("ALTER TABLE runs ADD COLUMN note TEXT", "table runs differs in note"),
        ("ALTER TABLE claims RENAME COLUMN session TO owner", "table claims differs in owner, session"),
        ("DROP TABLE claims", "table claims differs in"),
        ("CREATE TABLE more (x)", "table more differs in x"),
        ("DROP TABLE runs", "not a store of this harness"),
    ],
)
def test_another_schema_is_one_line_and_left_alone(
    change: str, reason: str, open_: Callable[[Path], object], folder: Path
) -> None:
    edit(folder, change)
    before = (folder / "runs.sqlite").read_bytes()
    with pytest.raises(UserError, match=reason) as refusal:
        open_(folder)
    assert "--out" in str(refusal.value) and "\n" not in str(refusal.value)
    assert (folder / "runs.sqlite").read_bytes() == before


def test_a_foreign_database_is_one_line_and_left_alone(tmp_path: Path) -> None:
    edit(tmp_path, "CREATE TABLE bookmarks (url)")
    before = (tmp_path / "runs.sqlite").read_bytes()
    for write in (True, False):
        with pytest.raises(UserError, match="an SQLite database but not a store of this harness"):
            Store(tmp_path, write=write)
    assert (tmp_path / "runs.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE runs SET scores = '{\"t\": '", "scores of run"),
        ("UPDATE runs SET scores = '[]'", "scores of run"),
        ("UPDATE runs SET scores = x'ff'", "scores of run"),
        ("UPDATE runs SET spent = 'null'", "spent of run"),
        ("UPDATE runs SET trace = x'00'", "the trace of run"),
        ("UPDATE runs SET trace = 'text'", "the trace of run"),
        ("UPDATE specs SET spec = '{'", "row"),
        ("UPDATE sessions SET provenance = ''", "session"),
    ],
)
def test_damage_inside_is_one_line_that_names_the_place(change: str, what: str, folder: Path) -> None:
    edit(folder, change)
    with pytest.raises(UserError, match=f"is damaged: {what}"):
        read(folder)


def test_damage_to_a_page_is_one_line(folder: Path) -> None:
    content = bytearray((folder / "runs.sqlite").read_bytes())
    content[16384:] = b"\xff" * (len(content) - 16384)
    (folder / "runs.sqlite").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot (read|open) .*runs\.sqlite"):
        read(folder)


# -- reading without permission to write ----------------------------------------------------------------------------------


def as_nobody(work: Callable[[], object]) -> str:
    """Do something in a process that may write nowhere here; return its error, or nothing."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        answer = ""
        try:
            if os.getuid() == 0:
                os.setuid(NOBODY)
            work()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may read and nobody else may write."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    with Store(folder, {"command": "c"}) as store:
        store.claim(SPEC, RUNS[:1])
        store.save(SPEC, [(RUNS[0], result(0))])
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def listing(folder: Path) -> list[tuple[str, bytes]]:
    return sorted((file.name, file.read_bytes()) for file in folder.iterdir())


def test_a_store_of_somebody_else_is_read_and_nothing_is_created(public: Path) -> None:
    before = listing(public)
    public.chmod(0o555)
    assert "UserError: cannot open" in as_nobody(lambda: Store(public, {}))
    assert as_nobody(lambda: read(public)) == ""
    assert read(public) == ["done"]  # nor by its owner
    assert listing(public) == before


def test_a_store_is_read_while_another_process_writes(public: Path) -> None:
    with Store(public, {}) as store:
        store.claim(SPEC, RUNS[1:])
        store.save(SPEC, [(RUNS[1], result(1))])
        public.chmod(0o555)
        assert as_nobody(lambda: read(public)) == ""
        assert read(public) == ["done", "done"]


def test_what_a_killed_process_had_committed_is_read(public: Path) -> None:
    if (pid := os.fork()) == 0:
        store = Store(public, {})
        store.claim(SPEC, RUNS[1:])
        store.save(SPEC, [(RUNS[1], result(1))])
        os._exit(9)
    os.waitpid(pid, 0)
    names = [name for name, _ in listing(public)]
    assert "runs.sqlite-wal" in names
    public.chmod(0o555)
    assert read(public) == ["done", "done"]
    assert as_nobody(lambda: read(public)) == ""
    assert [name for name, _ in listing(public)] == names
    (public / "runs.sqlite-shm").unlink()
    assert "copy the folder" in as_nobody(lambda: read(public))


def test_a_missing_store_reads_as_an_empty_one(tmp_path: Path) -> None:
    assert read(tmp_path / "nowhere") == []
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_that_begins_to_write_under_a_reader_is_noticed(folder: Path) -> None:
    with Store(folder, write=False) as reader:
        assert len(reader.statuses()) == 2
        with Store(folder, {}) as writer:
            writer.claim(SPEC, RUNS)
        with pytest.raises(UserError, match="a sweep began to write"):
            reader.statuses()


# -- lost while it is used ------------------------------------------------------------------------------------------------


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


def _move(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def _truncate(folder: Path) -> None:
    os.truncate(folder / "runs.sqlite", 0)


def _replace(folder: Path) -> None:
    (folder / "runs.sqlite").unlink()
    (folder / "runs.sqlite").write_bytes(b"")


def _remove_the_log(folder: Path) -> None:
    (folder / "runs.sqlite-wal").unlink()


@pytest.mark.parametrize("use", ["beat", "check", "statuses", "save", "claim"])
@pytest.mark.parametrize("lose", [_remove, _move, _truncate, _replace, _remove_the_log])
def test_a_lost_store_is_noticed_at_the_next_use(lose: Callable[[Path], None], use: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "out", {})
    store.claim(SPEC, RUNS)
    store.file._db.execute("PRAGMA wal_checkpoint")
    lose(tmp_path / "out")
    arguments = {"save": (SPEC, [(RUNS[0], result(0))]), "claim": (SPEC, RUNS)}
    with pytest.raises(UserError, match=r"was (removed or moved|replaced|cut short).* while this command was using it"):
        getattr(store, use)(*arguments.get(use, ()))
    store.close()


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o002, 0o664), (0o022, 0o644)])
def test_a_new_store_respects_the_umask(mask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        with Store(tmp_path, {}):
            assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {mode}
    finally:
        os.umask(before)
