"""The clock of nb201/digits: what training a cell would cost one by one, fitted on cells that were timed so.

Training many networks at once gives no time per cell. So some cells are trained alone, step by step, and an additive model
is fitted: microseconds per image = base + the sum over the six edges of what the operation there costs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.nb201.space import OPS, official_order
from harness.problem import UserError


@dataclass(frozen=True)
class Line:
    """One additive model, microseconds per image."""

    base: float
    per_edge: dict[str, float]
    """Of each operation on an edge, more than ``none``."""
    r2: float
    residual: float
    """Standard deviation of what the model leaves, microseconds per image."""

    def cost(self, cells: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Of cells (N, 6) of operation numbers: (N,)."""
        per_edge = np.array([self.per_edge[op] for op in OPS])
        return np.asarray(self.base + per_edge[cells].sum(1))


@dataclass(frozen=True)
class Clock:
    """Of a training step (forward, backward, update) and of a forward pass in evaluation."""

    train: Line
    evaluate: Line
    cells: int
    """How many were timed."""
    made_with: str


def fit(cells: npt.NDArray[np.int64], costs: npt.NDArray[np.float64]) -> Line:
    """Least squares on counts of operations. Cells (N, 6), costs (N,) microseconds per image."""
    counts = np.stack([np.ones(len(cells)), *((cells == op).sum(1) for op in range(1, len(OPS)))], axis=1)
    found, *_ = np.linalg.lstsq(counts, costs, rcond=None)
    left = costs - counts @ found
    names = dict(zip(OPS, (0.0, *map(float, found[1:])), strict=True))
    r2 = 1 - float(left @ left) / float(((costs - costs.mean()) ** 2).sum())
    return Line(float(found[0]), names, r2, float(np.sqrt(left @ left / (len(costs) - counts.shape[1]))))


def measure(indices: Sequence[int], rounds: int = 5, steps: int = 4) -> Clock:
    """Times the plain network of each cell on one thread: the fastest of ``rounds * steps`` steps, and of as many passes.

    Every round goes through all cells, so that a time when the machine was busy with something else spoils no cell.
    """
    import torch

    from benchmarks.nb201.digits_task import SETTINGS, Task
    from benchmarks.nb201.network import Network
    from benchmarks.training.batched import keep_memory

    torch.set_num_threads(1)
    keep_memory()
    task, sgd = Task(SETTINGS), SETTINGS.sgd("short")
    images, labels = task.batches(0, 0)
    x, y = images[0].contiguous(memory_format=torch.channels_last), labels[0]
    best = np.full((2, len(indices)), np.inf)
    for place in list(range(len(indices))) * rounds:
        index = indices[place]
        network = Network(official_order()[index], SETTINGS.macro).load(task.initial(index, 0))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.SGD(
            network.parameters(), sgd.rate, momentum=sgd.momentum, weight_decay=sgd.decay, nesterov=True
        )

        def step(network: Network = network, optimiser: torch.optim.Optimizer = optimiser) -> None:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

        training = _fastest(step, steps)
        network.eval()
        with torch.inference_mode():
            evaluation = _fastest(lambda network=network: network(x), steps)  # type: ignore[misc]
        best[:, place] = np.minimum(best[:, place], (training / len(x), evaluation / len(x)))
    cells = np.array([official_order()[index] for index in indices])
    made_with = f"torch {torch.__version__}, one thread, batch {len(x)}"
    return Clock(fit(cells, best[0]), fit(cells, best[1]), len(indices), made_with)


def _fastest(work: Callable[[], object], times: int) -> float:
    """Microseconds, after a first call that does not count."""
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken) * 1e6


def save(clock: Clock, path: Path) -> None:
    """As JSON."""
    path.write_text(json.dumps(asdict(clock), indent=1) + "\n")


def load(path: Path) -> Clock:
    """A clock that :func:`save` wrote. Raises :class:`UserError` where there is none."""
    try:
        values = json.loads(path.read_text())
        return Clock(**{**values, "train": Line(**values["train"]), "evaluate": Line(**values["evaluate"])})
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run the command 'time --out {path.parent}' first") from None
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{path} is damaged; delete it and repeat the command 'time'") from None
