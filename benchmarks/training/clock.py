"""What training a network would cost one by one: some are timed so, and an additive model is fitted to them.

Training many networks side by side, or on kernels of our own, gives no time that a search should be charged.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from harness.problem import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from benchmarks.training.batched import Sgd

Floats = npt.NDArray[np.float64]
C = TypeVar("C")


def time_alone(
    networks: Iterable[nn.Module], images: Tensor, labels: Tensor, sgd: Sgd, steps: int = 9
) -> tuple[Floats, Floats]:
    """Microseconds per image of a training step (forward, backward, update) and of a forward pass in evaluation.

    On one thread; of each network the median of ``steps`` steps of this one batch, and of as many passes.
    """
    import torch

    from benchmarks.training.batched import keep_memory

    torch.set_num_threads(1)
    keep_memory()
    x = images.contiguous(memory_format=torch.channels_last)
    training, evaluation = [], []
    for plain in networks:
        network = plain.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.SGD(
            network.parameters(), sgd.rate, momentum=sgd.momentum, weight_decay=sgd.decay, nesterov=True
        )

        def step(network: nn.Module = network, optimiser: torch.optim.Optimizer = optimiser) -> None:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(x), labels).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

        training.append(_median(step, steps) / len(x))
        network.eval()
        with torch.inference_mode():
            evaluation.append(_median(lambda network=network: network(x), steps) / len(x))  # type: ignore[misc]
    return np.array(training), np.array(evaluation)


def _median(work: Callable[[], object], times: int) -> float:
    """Microseconds."""
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)) * 1e6


def least_squares(features: Floats, costs: Floats) -> tuple[Floats, float, float]:
    """Coefficients of the constant and of each feature (N, features), R2, and the standard deviation of what is left."""
    design = np.concatenate([np.ones((len(features), 1)), features], axis=1)
    found, *_ = np.linalg.lstsq(design, costs, rcond=None)
    left = costs - design @ found
    r2 = 1 - float(left @ left) / float(((costs - costs.mean()) ** 2).sum())
    return found, r2, float(np.sqrt(left @ left / (len(costs) - design.shape[1])))


def save(clock: Any, path: Path) -> None:
    """A data class as JSON."""
    path.write_text(json.dumps(asdict(clock), indent=1) + "\n")


def saved(path: Path, kind: type[C], line: type) -> C:
    """A clock of this kind that :func:`save` wrote, its ``train`` and ``evaluate`` of the kind ``line``.

    Raises :class:`UserError` where there is none.
    """
    try:
        values = json.loads(path.read_text())
        return kind(**{**values, "train": line(**values["train"]), "evaluate": line(**values["evaluate"])})
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run the command 'time --out {path.parent}' first") from None
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{path} is damaged; delete it and repeat the command 'time'") from None
