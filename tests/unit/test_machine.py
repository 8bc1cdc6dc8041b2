"""How many cores there are for this process, and what bounds its memory."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import machine, replicas, run
from harness.errors import UserError


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made file system of control groups, on a machine with 8 usable cores."""
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity here")
def test_the_affinity_counts_and_not_the_machine() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert machine.cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1)]
)
def test_the_quota_of_a_container_counts(quota: str, cores: int, groups: Path) -> None:
    put(groups / "membership", "0::/job/step\n")
    put(groups / "cgroup" / "job" / "cpu.max", quota)
    put(groups / "cgroup" / "job" / "step" / "cpu.max", "max 100000")
    assert machine.cores() == cores


def test_the_quota_of_an_old_container_counts(groups: Path) -> None:
    put(groups / "membership", "4:cpu,cpuacct:/job\n2:memory:/job\n")
    put(groups / "cgroup" / "cpu" / "job" / "cpu.cfs_quota_us", "300000")
    put(groups / "cgroup" / "cpu" / "job" / "cpu.cfs_period_us", "100000")
    put(groups / "cgroup" / "cpu" / "cpu.cfs_quota_us", "-1")
    put(groups / "cgroup" / "cpu" / "cpu.cfs_period_us", "100000")
    assert machine.cores() == 3


@pytest.mark.parametrize("membership", ["", "nonsense", "0::/not/there", "\x00\xff"])
def test_a_system_that_says_nothing_has_the_cores_of_its_affinity(membership: str, groups: Path) -> None:
    put(groups / "membership", membership)
    assert machine.cores() == 8


@pytest.mark.parametrize(
    ("visible", "count", "names"),
    [
        (None, 2, ("0", "1")),
        ("3, 5", 2, ("3", "5")),
        ("GPU-5ebe9f43,7,8", 1, ("GPU-5ebe9f43",)),  # CUDA stops at the first name that it does not know
    ],
)
def test_gpus_have_the_names_of_the_environment(
    visible: str | None, count: int, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpus() == names


@pytest.mark.parametrize(("free", "workers"), [([], 3), ([1, 1, 1], 6)])
def test_a_command_for_a_gpu_starts_a_worker_per_gpu_or_as_many_as_may_fit_and_says_so(
    free: list[int],
    workers: int,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    started: list[tuple[tuple[str, ...], int]] = []
    monkeypatch.setattr(run, "_carry_out", lambda plan, out, engine, workers, **_: started.append((gpus(engine), workers)))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(replicas, "free_bytes", lambda names: free)
    monkeypatch.setattr(machine, "cores", lambda: 7)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    call: dict[str, Any] = {"protocol": "smoke", "methods": ["random_search"], "device": "cuda", "outs": [tmp_path / "out"]}
    run.run(**call)
    said = capsys.readouterr().err
    assert ("up to 2 runs on each" if free else "one run on each; nvidia-smi does not tell") in said and "--workers" in said
    run.run(**call, workers=9)
    assert started == [(("4", "5", "6"), workers), (("4", "5", "6"), 9)]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match=r"--device cuda: PyTorch .* finds no CUDA device here; use --device cpu"):
        run.run(**call)
    assert len(started) == 2 and not (tmp_path / "out").exists()


def gpus(engine: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = engine.keywords["surroundings"].gpus
    return names


@pytest.mark.slow
def test_memory_beyond_the_bound_is_an_error_of_the_process_that_asks_for_it() -> None:
    with machine.bounded_memory(1 << 30):
        process = multiprocessing.get_context("fork").Process(target=_allocate)
        process.start()
        process.join()
    assert process.exitcode == 7
    with machine.bounded_memory(0):
        assert len(bytearray(2 << 30)) == 2 << 30


def _allocate() -> None:
    try:
        bytearray(8 << 30)
    except MemoryError:
        os._exit(7)
