"""The piece ``facts``: what the device is, and what it can do at most."""

from __future__ import annotations

import os
import shutil
import subprocess

import torch

from benchmarks.gpu.pieces import Case, Numbers, Run
from benchmarks.gpu.roofline import device
from benchmarks.gpu.timing import needs_cuda, recorded, seconds

LAUNCHES = 1000


def cases(run: Run) -> list[Case]:
    """Return the cases."""
    limit = device(run.device)
    size = 512 if run.small else 8192
    matmul = {"TFLOP/s": limit.flops / 1e12}
    return [
        Case("device", dict, lambda: _device(run.device)),
        Case("copy", lambda: {"GB/s": limit.bytes / 1e9}, lambda: _copy(run.device, 1 << (22 if run.small else 30))),
        Case("matmul, bfloat16", lambda: matmul, lambda: _matmul(run.device, size, torch.bfloat16)),
        Case("matmul, float16", lambda: matmul, lambda: _matmul(run.device, size, torch.float16)),
        Case("matmul, float32 (TF32)", dict, lambda: _matmul(run.device, size, torch.float32)),
        Case("launch", lambda: {"us a kernel": 1e6 * limit.launch}, lambda: _launch(run.device)),
        Case("launch in a graph", lambda: {"us a kernel": 1e6 * limit.replay}, lambda: _launch(run.device, True)),
    ]


def _device(kind: str) -> Numbers:
    """Return what the driver says, and whether MPS, by which processes share a GPU, is there."""
    facts = {"torch": torch.__version__, "cores": len(os.sched_getaffinity(0))}
    control = shutil.which("nvidia-cuda-mps-control")
    facts["MPS"] = "no" if control is None else "running" if mps_runs() else "installed"
    if kind == "cpu":
        return {**facts, "device": "a CPU; facts about a GPU need CUDA"}
    card = torch.cuda.get_device_properties(kind)
    query = "driver_version,memory.total,clocks.max.sm,clocks.max.mem,compute_mode,persistence_mode"
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader", "--id=0"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        answer = f"nvidia-smi: {error}"
    return {
        **facts,
        "device": card.name,
        "GiB": card.total_memory / 2**30,
        "multiprocessors": card.multi_processor_count,
        "capability": f"{card.major}.{card.minor}",
        "CUDA": str(torch.version.cuda),
        "cuDNN": int(torch.backends.cudnn.version() or 0),
        query: answer,
    }


def mps_runs() -> bool:
    """Return whether a daemon of NVIDIA's Multi-Process Service listens where this process would look for it."""
    return os.path.exists(os.path.join(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"), "control"))


def _copy(kind: str, size: int) -> Numbers:
    source = torch.ones(size, dtype=torch.uint8, device=kind)
    target = torch.empty_like(source)
    return {"GB/s": 2 * size / seconds(lambda: target.copy_(source), kind) / 1e9}


def _matmul(kind: str, size: int, dtype: torch.dtype) -> Numbers:
    a, b = (torch.randn(size, size, device=kind).to(dtype) for _ in range(2))
    return {"TFLOP/s": 2 * size**3 / seconds(lambda: a @ b, kind) / 1e12}


def _launch(kind: str, graph: bool = False) -> Numbers:
    if graph:
        needs_cuda(kind, "a graph")
    number = torch.zeros(1, device=kind)

    def add() -> None:
        number.add_(1)

    if graph:
        return {"us a kernel": 1e6 * seconds(recorded(add, kind, LAUNCHES), kind) / LAUNCHES}
    return {"us a kernel": 1e6 * seconds(add, kind)}
