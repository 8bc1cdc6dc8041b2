"""Nothing that one run does to its process reaches another run, of the same method or of another."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import registry
from harness.engine import Job, Surroundings, local
from harness.isolation import Board, Mailbox, end_group, fork
from harness.outcome import ERROR_LIMIT, Result, printable
from harness.seeds import derive
from tests.unit.test_engine import bad, essence, jobs, planned, results

pytestmark = pytest.mark.usefixtures("made")

BUILT_IN = ("random_search", "regularized_evolution", "reinforce:lr_0.01")
TWELVE = (
    *("poisons_torch", "poisons_judge", "poisons_process", "global_dice", "peeks", "rewinds"),
    *("kills", "exits", "forks", "splits", "raises", "swallows"),
)


@pytest.mark.parametrize("workers", [2, *(pytest.param(number, marks=pytest.mark.slow) for number in (1, 4))])
def test_built_in_rows_between_twelve_bad_methods_are_those_of_a_clean_sweep(workers: int) -> None:
    rows = planned(*BUILT_IN, seeds=4)
    clean = essence(results(local, jobs(rows), workers=2))
    assert {result.status for result in clean.values()} == {"done"}
    pairs = zip(TWELVE, jobs(rows, 1), strict=True)  # one run of a built-in row after each bad method
    by_run = essence(
        results(local, [job for name, good in pairs for job in (*jobs(planned(bad(name), seeds=1)), good)], workers)
    )
    assert len(by_run) == 24
    assert {run_id: by_run[run_id] for run_id in clean} == clean


def test_a_method_finds_every_process_as_its_import_left_it() -> None:
    by_run = results(local, jobs(planned(bad("poisons_process"), seeds=4), 4), workers=1)
    assert {result.error for result in by_run.values() if result.status != "done"} == set()


def test_what_a_run_starts_ends_with_it() -> None:
    results(local, jobs(planned(bad("poisons_process"), seeds=2)), workers=1)
    left = subprocess.run(["pgrep", "-x", "-f", "sleep 600"], capture_output=True, text=True).stdout.split()
    assert not left


def test_a_method_that_draws_from_the_global_generators_repeats_itself() -> None:
    rows = planned(bad("global_dice"), seeds=4)
    first, again = (essence(results(local, jobs(rows, size), workers)) for size, workers in ((4, 1), (1, 2)))
    assert first == again
    assert len({tuple(result.trace["accuracy"]) for result in first.values()}) > 1


def test_a_method_may_have_children() -> None:
    by_run = results(local, jobs(planned(bad("family"), seeds=2)))
    assert {result.status for result in by_run.values()} == {"done"}


def test_a_run_that_is_killed_from_outside_once_is_done_again(tmp_path: Path) -> None:
    (row,) = planned(bad("dies_once"), seeds=3)
    spec = dataclasses.replace(row.spec, settings={"folder": str(tmp_path)})
    by_run = results(local, [Job(spec, tuple(spec.run(world) for world in range(3)))], workers=1)
    assert [result.status for result in by_run.values()] == ["done"] * 3
    assert len(list(tmp_path.glob("*.mark"))) == 3


def test_a_run_that_is_killed_each_time_has_crashed() -> None:
    by_run = results(local, jobs(planned(bad("kills"), seeds=4)))
    errors = {result.error for result in by_run.values() if result.status == "crashed"}
    assert errors == {"the process of this run died (SIGKILL, 2 times)"}


def test_a_fork_of_a_method_that_returns_too_is_no_second_result() -> None:
    by_run = results(local, jobs(planned(bad("splits"), seeds=2)))
    assert {result.spent["queries"] for result in by_run.values()} == {1}


def test_an_error_text_is_short_and_cannot_steer_a_terminal() -> None:
    (result,) = results(local, jobs(planned(bad("shouts"), seeds=1))).values()
    assert len(result.error) < 1.1 * ERROR_LIMIT and result.error.endswith("the end")
    assert "characters left out" in result.error and "\x1b" not in result.error and "\x07" not in result.error


@pytest.mark.parametrize("text", ["plain", "two\nlines\tand a tab", "Umlaute äöü, 漢字"])
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_the_wall_limit_begins_with_the_search_and_not_with_the_import(tmp_path: Path) -> None:
    (tmp_path / "slow_import.py").write_text(
        "import time\nfrom dataclasses import dataclass\ntime.sleep(1.5)\n@dataclass(frozen=True)\nclass M:\n"
        '    """Takes long to import."""\n    reference = \'\'\n'
        "    def search(self, view):\n        view.query(view.space.sample(view.rng))\n"
    )
    (row,) = planned(str(tmp_path / "slow_import.py"), seeds=2, wall_limit_s=0.5)
    by_run = results(local, [dataclasses.replace(job, grace_s=0.5) for job in jobs([row])], workers=1)
    assert {result.status for result in by_run.values()} == {"done"}


def test_a_run_that_trains_finds_torch_and_its_optimizers_imported_and_no_second_thread(tmp_path: Path) -> None:
    (tmp_path / "trains.py").write_text(
        "import os, sys\nfrom dataclasses import dataclass\n@dataclass(frozen=True)\nclass Trains:\n    '''Looks around.'''\n"
        "    kind, proposes, reference = 'one-shot', 'self', ''\n    def search(self, view):\n"
        "        before = set(sys.modules)\n        threads = len(os.listdir('/proc/self/task'))\n        import torch\n"
        "        torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])\n"
        "        new = {name for name in set(sys.modules) - before if name.startswith('torch')}\n"
        "        if new or threads > 1:\n            raise RuntimeError(f'{sorted(new)[:3]}, {threads} threads')\n"
        "        return view.space.sample(view.rng)\n"
    )
    by_run = results(local, jobs(planned("random_search", str(tmp_path / "trains.py"), seeds=2)), workers=1)
    assert {result.error for result in by_run.values()} == {""}


def test_a_run_finds_the_libraries_of_its_method_imported_and_no_second_thread(tmp_path: Path) -> None:
    """A library that is not installed is the run's to miss."""
    (tmp_path / "fits.py").write_text(
        "import os, sys\nfrom dataclasses import dataclass\n@dataclass(frozen=True)\nclass Fits:\n    'Looks around.'\n"
        "    reference, imports = '', ('sklearn.linear_model', 'not_installed')\n    def search(self, view):\n"
        "        threads = len(os.listdir('/proc/self/task'))\n"
        "        if 'sklearn.linear_model' not in sys.modules or threads > 1:\n"
        "            raise RuntimeError(f'{threads} threads')\n"
        "        view.query(view.space.sample(view.rng))\n"
    )
    by_run = results(local, jobs(planned("random_search", str(tmp_path / "fits.py"), seeds=2)), workers=1)
    assert {result.error for result in by_run.values()} == {""}


@pytest.mark.parametrize("name", ["conas", "ista_nas"])
def test_the_searches_that_solve_a_lasso_name_the_library_that_does(name: str) -> None:
    assert registry.method(name).imports == ("sklearn.linear_model",)


def test_an_import_that_never_ends_is_a_timeout(tmp_path: Path) -> None:
    file = tmp_path / "stuck.py"
    text = (
        'from dataclasses import dataclass\n@dataclass(frozen=True)\nclass M:\n    """Stuck."""\n    reference = \'\'\n'
        "    def search(self, view):\n        view.query(view.space.sample(view.rng))\n"
    )
    file.write_text(text)
    rows = planned(str(file), "random_search", seeds=1, wall_limit_s=0.5)
    file.write_text("import time\ntime.sleep(600)\n" + text)
    by_run = results(local, [dataclasses.replace(job, start_s=2.0) for job in jobs(rows)], workers=1)
    assert [result.status for result in by_run.values()] == ["timeout", "done"]
    assert "had not begun after 2 s" in next(iter(by_run.values())).error


def test_workers_start_in_the_surroundings_that_the_driver_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    around = Surroundings(threads=3)
    monkeypatch.setenv("NAS_DATA", "/nowhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.chdir(tmp_path)
    assert around.variables()["NAS_DATA"] != "/nowhere"
    assert around.variables()["OMP_NUM_THREADS"] == around.variables()["MKL_NUM_THREADS"] == "3"
    assert around.folder != str(tmp_path)


def test_everything_leaves_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from harness.engine import local; from tests.unit.test_engine import *\n"
        "for said in local(jobs(planned(bad('idles'), seeds=2, wall_limit_s=500.0), 1), 2): print('on', flush=True)"
    )
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert driver.stdout is not None and driver.stdout.readline() == "on\n"
    deadline = time.monotonic() + 60
    while (
        len(family := _descendants(driver.pid)) < 6 and time.monotonic() < deadline
    ):  # two workers, their hosts, and their runs
        time.sleep(0.05)
    assert len(family) == 6
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 10
    while (alive := [pid for pid in family if _alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive


def _descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [deeper for child in children for deeper in _descendants(child)]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_mailbox_holds_whole_messages_only() -> None:
    mailbox = Mailbox()
    assert mailbox.get() is None
    mailbox.put(b"whole")
    assert mailbox.get() == b"whole"
    mailbox._file.truncate(mailbox._file.seek(0, os.SEEK_END) - 1)
    assert mailbox.get() is None
    mailbox.clear()
    os.pwrite(mailbox._file.fileno(), b"foreign bytes that are no message", 0)
    assert mailbox.get() is None


def test_a_forked_process_ends_with_its_body_and_says_how() -> None:
    def status(body: Callable[[], None]) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(fork(body), 0)[1])

    assert status(lambda: None) == 0
    assert status(lambda: os._exit(3)) == 3
    assert status(lambda: os.kill(os.getpid(), signal.SIGKILL)) == -signal.SIGKILL


def test_a_group_ends_with_everything_in_it() -> None:
    board = Board()

    def body() -> None:
        board.process = subprocess.Popen(["sleep", "600"]).pid
        board.start()
        time.sleep(600)

    leader = fork(body, leads_group=True)
    while not board.running_s:
        time.sleep(0.01)
    end_group(leader)
    os.waitpid(leader, 0)
    deadline = time.monotonic() + 10
    while _alive(board.process) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _alive(board.process)


def test_a_result_is_never_taken_from_a_process_that_died() -> None:
    assert isinstance(next(iter(results(local, jobs(planned(bad("forks"), seeds=1))).values())), Result)


@pytest.mark.parametrize("name", [name for name, info in registry.methods().items() if info.pure])
@pytest.mark.slow
def test_a_pure_method_does_the_same_among_others_as_in_a_separate_process(name: str) -> None:
    rows = planned(name, seeds=6)
    together, alone = (essence(results(local, jobs(rows, size), workers=1)) for size in (6, 1))
    assert together == alone
    assert {result.status for result in alone.values()} == {"done"}


def test_a_pure_method_whose_process_dies_costs_one_run(tmp_path: Path) -> None:
    (tmp_path / "claims.py").write_text(
        "import os\nfrom dataclasses import dataclass\n@dataclass(frozen=True)\nclass Claims:\n    '''Is not what it says.'''\n"
        "    reference = ''\n    pure = True\n    def search(self, view):\n"
        "        view.query(view.space.sample(view.rng))\n        if view.seed('which') % 3 == 0:\n            os._exit(1)\n"
    )
    rows = planned(str(tmp_path / "claims.py"), seeds=8)
    collected = results(local, jobs(rows, 8), workers=1)
    doomed = {run.run_id: derive("which", run.method_seed) % 3 == 0 for row in rows for run in row.runs}
    assert {run_id: result.status == "crashed" for run_id, result in collected.items()} == doomed
    assert 0 < sum(doomed.values()) < 8


def test_a_method_that_refuses_its_settings_late_has_failed_and_says_why(tmp_path: Path) -> None:
    file = tmp_path / "picky.py"
    text = (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Picky:\n    '''Changes its mind.'''\n"
        "    reference = ''\n    def search(self, view):\n        view.query(view.space.sample(view.rng))\n"
    )
    file.write_text(text)
    rows = planned(str(file), seeds=1)
    file.write_text(text + "    def __post_init__(self):\n        raise RuntimeError('not today')\n")
    (result,) = results(local, jobs(rows), workers=1).values()
    assert result.status == "failed" and "not today" in result.error
