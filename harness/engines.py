"""Choose the engine that a command names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from harness.engine import Engine, Surroundings, local
from harness.errors import UserError


def choose(name: str, around: Surroundings, out: Path, slurm: Sequence[str], gpus_per_run: float) -> Engine:
    """Return an engine. Only the requested one is imported.

    Args:
        out: folder of the store.
        slurm: options of ``sbatch``.
        gpus_per_run: share of a GPU for each run, on a cluster.

    Raises:
        UserError: there is no such engine, or an option does not fit it.
    """
    if slurm and name != "slurm":
        raise UserError(f"--slurm {slurm[0]} needs --engine slurm")
    if not 0 < gpus_per_run <= 1:
        raise UserError(f"--gpus-per-run {gpus_per_run:g} is not a share of a GPU: above 0, at most 1")
    if name == "local":
        return partial(local, surroundings=around)
    if name == "ray":
        from harness.ray_engine import on_ray

        return partial(on_ray, surroundings=around, gpus_per_run=gpus_per_run)
    if name == "slurm":
        from harness.slurm_engine import on_slurm, options_of

        folder = out.absolute() / "slurm"
        return partial(on_slurm, surroundings=around, folder=folder, options=options_of(slurm), gpus_per_run=gpus_per_run)
    raise UserError(f"engine {name!r} is not local, ray or slurm")
