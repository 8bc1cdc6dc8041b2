"""A bad method costs its own runs only; the number and order of workers change nothing."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from harness import engine as engines
from harness import protocols
from harness.engine import Engine, Job, Surroundings, local
from harness.errors import UserError
from harness.job import Enough, Sample
from harness.outcome import Result
from harness.plan import PlannedRow, make
from harness.ray_engine import _Actor, listen_s, on_ray
from harness.seeds import derive

BAD = Path(__file__).parents[1] / "bad_methods"

pytestmark = pytest.mark.usefixtures("made")

ENGINES = [pytest.param(local, id="local"), pytest.param(on_ray, id="ray", marks=pytest.mark.ray)]


def planned(*methods: str, seeds: int = 4, wall_limit_s: float = 60.0) -> list[PlannedRow]:
    rules = dataclasses.replace(protocols.protocol("smoke"), wall_limit_s=wall_limit_s)
    return make(rules, methods=methods, seeds=seeds).rows


def bad(name: str) -> str:
    return str(BAD / f"{name}.py")


def jobs(rows: list[PlannedRow], size: int = 3) -> list[Job]:
    return [Job(row.spec, tuple(row.runs[at : at + size])) for row in rows for at in range(0, len(row.runs), size)]


def results(engine: Engine, todo: list[Job], workers: int = 2) -> dict[str, Result]:
    finished = [event for event in engine(todo, workers) if not isinstance(event, list)]
    assert len({run.run_id for _, run, _ in finished}) == len(finished), "a run was done twice"
    assert all(run.run_id == result.run_id for _, run, result in finished)
    return {run.run_id: result for _, run, result in finished}


def essence(by_run: dict[str, Result]) -> dict[str, Result]:
    return {run_id: dataclasses.replace(result, wall_seconds=0.0) for run_id, result in by_run.items()}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.slow
def test_workers_and_order_change_nothing(engine: Engine) -> None:
    rows = planned("random_search", "reinforce", "bohb:nb201_2020", seeds=5)
    expected = essence(results(local, jobs(rows), workers=1))
    assert len(expected) == 25
    assert all(result.status == "done" for result in expected.values())
    for size, workers in ((1, 2), (4, 2)):
        shuffled = jobs(rows, size)
        random.Random(size).shuffle(shuffled)
        assert essence(results(engine, shuffled, workers)) == expected


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("raises", "failed", "a bug of mine"),
        ("exits", "failed", "SystemExit: 3"),
        ("nonsense", "failed", "(7, 7, 7) is not an architecture of nb201"),
        ("nan", "failed", "nan is not an architecture of nb201"),
        ("nothing", "failed", "without proposing"),
        ("queries_nonsense", "failed", "(5, 5, 5, 5, 5, 5) is not a cell"),
        ("floats", "failed", "six plain ints"),
        ("cheats", "failed", "AttributeError"),
        ("logs_text", "failed", "could not convert string to float: 'hello'"),
        ("logs_function", "failed", "TypeError"),
        ("interrupts", "failed", "KeyboardInterrupt"),
        ("idles", "timeout", "still searching after 1 s"),
        ("peeks", "rejected", "ledger: the oracle was queried 1001 times, the trace has 1 queries"),
        ("rewinds", "rejected", "ledger: query 2 ended at"),
        ("rewrites", "rejected", "the trace says 99.99"),
        ("refunds", "failed", "impossible cost: -1000000000 queries"),
    ],
)
def test_a_bad_method_costs_its_own_runs_only(engine: Engine, name: str, status: str, reason: str) -> None:
    rows = planned(bad(name), "random_search", seeds=2, wall_limit_s=1.0)
    by_run = results(engine, jobs(rows))
    for row in rows:
        for run in row.runs:
            result = by_run[run.run_id]
            if row.spec.row == name:
                assert result.status == status
                assert reason in result.error
                assert "execute.py" not in result.error
            else:
                assert result.status == "done"


METHOD = """
import os
from dataclasses import dataclass

@dataclass(frozen=True)
class Says:
    "Ends with a message."
    reference = "none"

    def search(self, view):
        {body}
"""


def says(folder: Path, body: str) -> str:
    """Return the path of a method whose search is ``body``, one statement after another."""
    file = folder / "says.py"
    file.write_text(METHOD.format(body=body.replace("\n", "\n        ")))
    return str(file)


SEEN = "raise OSError('GPU {CUDA_VISIBLE_DEVICES} of {LOCAL_WORLD_SIZE} workers'.format(**os.environ))"


def test_each_worker_has_a_gpu_and_its_share_of_the_cores(tmp_path: Path) -> None:
    rows = planned(says(tmp_path, f"import time; time.sleep(0.3)\n{SEEN}"), seeds=6)
    around = Surroundings(gpus=("3", "GPU-5ebe"))
    by_run = results(partial(local, surroundings=around), jobs(rows, 1), workers=3)
    seen = {result.error.strip().splitlines()[-1] for result in by_run.values()}
    assert seen == {"OSError: GPU 3 of 3 workers", "OSError: GPU GPU-5ebe of 3 workers"}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it looks up the worker in /proc")
def test_the_place_of_a_dead_worker_is_taken_with_its_gpu(tmp_path: Path) -> None:
    """A run on GPU 3 kills its worker. The next worker has GPU 3 again, although GPU 5 has a worker."""
    worker = "int(open(f'/proc/{os.getppid()}/stat').read().split()[3])"
    kill = f"if os.environ['CUDA_VISIBLE_DEVICES'] == '3':\n    os.kill({worker}, 9)"
    rows = planned(says(tmp_path, f"import time; time.sleep(0.3)\n{kill}\n{SEEN}"), seeds=4)
    by_run = results(partial(local, surroundings=Surroundings(gpus=("3", "5"))), jobs(rows, 1))
    crashed = [result.error for result in by_run.values() if result.status == "crashed"]
    others = [result.error for result in by_run.values() if result.status != "crashed"]
    assert crashed and all("its worker died 2 times" in error for error in crashed)
    assert others and all("GPU 5 of 2 workers" in error for error in others)


@pytest.mark.parametrize("workers", [0, 2])
def test_images_of_a_folder_are_decoded_in_a_run(workers: int, tmp_path: Path) -> None:
    """Processes of a run may have processes for decoding."""
    for part in ("train", "val"):
        for name in ("n01", "n02"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (40, 30), (number, 0, 200)).save(tmp_path / part / name / f"{number}.JPEG")
    body = (
        "from pathlib import Path\nfrom benchmarks.darts.image_folder import FolderData\n"
        f"data = FolderData(Path({str(tmp_path)!r}), 'test', 'cpu', size=16, workers={workers})\n"
        "seen = [len(labels) for epoch in (data.epoch(0, 3, 0), data.evaluated(3)) for _, labels in epoch]\n"
        "raise OSError(f'decoded {seen}')"
    )
    (result,) = results(local, jobs(planned(says(tmp_path, body), seeds=1))).values()
    assert "decoded [3, 1, 3, 1]" in result.error


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_worker_costs_the_run_it_was_in(engine: Engine) -> None:
    rows = planned(bad("kills"), "random_search", seeds=12)
    by_run = results(engine, jobs(rows, 6))
    assert len(by_run) == 24
    for row in rows:
        for run in row.runs:
            doomed = row.spec.row == "kills" and derive("which", run.method_seed) % 2 == 0
            assert by_run[run.run_id].status == ("crashed" if doomed else "done")
    assert "crashed" in {result.status for result in by_run.values()}


def test_what_cannot_be_interrupted_is_killed() -> None:
    rows = planned(bad("deaf"), "random_search", seeds=1, wall_limit_s=0.5)
    by_run = results(local, [dataclasses.replace(job, grace_s=1.0) for job in jobs(rows)])
    assert [by_run[row.runs[0].run_id].status for row in rows] == ["timeout", "done"]
    assert "killed" in by_run[rows[0].runs[0].run_id].error


def test_a_child_that_a_dead_worker_left_behind_is_not_waited_for() -> None:
    start = time.monotonic()
    rows = planned(bad("forks"), "random_search", seeds=2)
    by_run = results(local, jobs(rows))
    assert [by_run[run.run_id].status for row in rows for run in row.runs] == ["crashed"] * 2 + ["done"] * 2
    assert time.monotonic() - start < 15


def test_swallowing_the_end_of_the_budget_buys_nothing() -> None:
    (row,) = planned(bad("swallows"), seeds=1)
    (result,) = results(local, jobs([row])).values()
    assert result.status == "done"
    assert result.spent["seconds"] <= row.spec.budget["limit"]
    assert len(result.trace["seconds"]) == result.spent["queries"]


def test_jobs_are_pulled_only_when_a_worker_is_free() -> None:
    pulled = 0

    def counted(todo: list[Job]) -> Iterator[Job]:
        nonlocal pulled
        for job in todo:
            pulled += 1
            yield job

    finished = 0
    for event in local(counted(jobs(planned("random_search", seeds=8), 1)), 2):
        finished += not isinstance(event, list)
        assert pulled <= finished + 2


def test_changed_data_is_noticed_by_the_worker() -> None:
    (row,) = planned("random_search", seeds=1)
    stale = dataclasses.replace(row.spec, checksum="0" * 64)
    with pytest.raises(UserError, match="changed while it was being searched"):
        results(local, [Job(stale, (stale.run(0),))])


def test_workers_leave_when_the_driver_stops_listening() -> None:
    running = local(jobs(planned(bad("idles"), seeds=1)), 1)
    assert isinstance(running, Generator)
    assert isinstance(next(running), list)
    children = {int(pid) for pid in _children(os.getpid())}
    assert children
    running.close()
    for pid in children:
        with pytest.raises((ProcessLookupError, ChildProcessError)):
            os.waitpid(pid, 0)
            os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1:]


def test_a_sampled_run_shows_how_long_the_complete_run_would_take(tmp_path: Path) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import dataclasses, time\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class Slow:\n"
        "    def search(self, view):\n"
        "        for done in range(1000):\n"
        "            time.sleep(0.01)\n"
        "            view.progress((done + 1) / 1000)\n"
        "        return view.space.sample(view.rng)\n"
    )
    specs = [row.spec for row in planned(str(slow), "random_search", seeds=1)]
    by_run = results(local, [Job(spec, (spec.run(-1),), sample_s=0.1) for spec in specs], workers=1)
    sampled, complete = (by_run[spec.run(-1).run_id] for spec in specs)
    assert sampled.status == "sampled"
    assert sampled.wall_seconds >= 10
    assert complete.status == "done"


@pytest.mark.parametrize(
    ("signs", "projected"),
    [
        ([(5.0, 0.1), (5.5, 0.15), (7.0, 0.3)], 5 + 9),  # the start once, then a tenth in a second
        ([(30.0, 0.1)], 300),  # a first part that long is judged by itself
        ([(0.4, 0.5), (0.8, 1.0)], 0),  # done before the sample was
    ],
)
def test_a_sample_counts_the_start_of_a_run_once(
    signs: list[tuple[float, float]], projected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("harness.job.time", SimpleNamespace(monotonic=lambda: now[0]))
    sample = Sample(1.0)
    for now[0], share in signs:
        try:
            sample(share)
        except Enough:
            break
    assert sample.projected == pytest.approx(projected)


def test_a_worker_that_closes_its_pipe_and_stays_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "LEAVE_S", 0.2)
    worker = object.__new__(engines.Worker)
    worker.pipe, theirs = Pipe()
    theirs.close()
    worker.alive, worker.left = True, []
    worker.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert worker.receive() == []
    assert not worker.alive
    assert worker.process.returncode == -signal.SIGKILL


def test_an_actor_of_ray_speaks_after_the_stated_time_and_when_a_run_ends(tmp_path: Path) -> None:
    assert (listen_s(64), listen_s(10_000)) == (5.0, 200.0), "the driver has at most 50 answers a second to read"
    (job,) = jobs(planned(says(tmp_path, "import time; time.sleep(2)\nraise OSError('the end')"), seeds=1))
    actor = _Actor(Surroundings(), listen_s=0.2)
    ended, _ = actor.do(job)
    assert ended == []
    while not ended:
        ended, _ = actor.listen()
    assert [result.run_id for result in ended] == [run.run_id for run in job.runs] and "the end" in ended[0].error
    assert actor._worker is not None
    actor._worker.dismiss()


MAPS = """
import os, re, time
from dataclasses import dataclass

@dataclass(frozen=True)
class Maps:
    '''Says how many kB of the table its worker has in memory, its part of the shared ones, and how many are its own.'''
    reference = ""
    def search(self, view):
        view.query(view.space.sample(view.rng))
        time.sleep(1.0)
        worker = open(f"/proc/{os.getppid()}/stat").read().split()[3]  # the parent of the host
        with open(f"/proc/{worker}/smaps") as file:
            maps = re.split("^(?=[0-9a-f]+-[0-9a-f]+ )", file.read(), flags=re.M)
        table = [text for text in maps if ".npy" in text.split(chr(10))[0]]
        sizes = {name: sum(int(kb) for text in table for kb in re.findall(f"^{name}: +([0-9]+)", text, re.M))
                 for name in ("Rss", "Pss", "Anonymous")}
        view.log(pages=float(sizes["Rss"]), part=float(sizes["Pss"]), own=float(sizes["Anonymous"]))
"""


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="it reads /proc")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_table_is_in_memory_once_for_all_workers(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "maps.py").write_text(MAPS)
    by_run = results(engine, jobs(planned(str(tmp_path / "maps.py"), seeds=6), 1), workers=3)
    assert {(result.status, result.error) for result in by_run.values()} == {("done", "")}
    traces = [{name: float(values[0]) for name, values in result.trace.items()} for result in by_run.values()]
    assert all(trace["log/own"] == 0 for trace in traces), "no page of the table is a copy"
    assert all(trace["log/pages"] > 0 for trace in traces)
    assert min(trace["log/part"] / trace["log/pages"] for trace in traces) < 0.35, "three workers share each page"
