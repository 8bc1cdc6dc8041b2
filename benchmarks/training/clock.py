"""What training a network would cost one by one: some are timed so, and an additive model is fitted to them.

Training many networks side by side, or on kernels of our own, gives no time that a search should be charged. Microseconds per
image = base + the sum over what a cell is made of, which each benchmark counts in its own way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from benchmarks.training.batched import Sgd

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One additive model, microseconds per image."""

    base: float
    per: dict[str, float]
    """What one of each of the things costs that a cell is made of, in the order of their columns."""
    r2: float
    residual: float
    """Standard deviation of what the model leaves, microseconds per image."""

    def cost(self, made_of: Floats) -> Floats:
        """Of cells (N, things): (N,)."""
        return np.asarray(self.base + made_of @ np.array(list(self.per.values())))


@dataclass(frozen=True)
class Clock:
    """Of a training step (forward, backward, update) and of a forward pass in evaluation."""

    train: Line
    evaluate: Line
    cells: int
    """How many were timed."""
    made_with: str

    def save(self, path: Path) -> None:
        """As JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def of(cls, values: Mapping[str, Any], names: Sequence[str] = ()) -> Clock:
        """Return the clock that ``asdict`` made ``values`` of. Raises KeyError if it prices other things than ``names``."""
        found = cls(**{**values, "train": Line(**values["train"]), "evaluate": Line(**values["evaluate"])})
        if names and not list(names) == list(found.train.per) == list(found.evaluate.per):
            raise KeyError("per")
        return found

    @classmethod
    def load(cls, path: Path, names: Sequence[str] = ()) -> Clock:
        """One that was saved. Raises :class:`UserError` where there is none, or where it prices other things than ``names``."""
        try:
            return cls.of(json.loads(path.read_text()), names)
        except FileNotFoundError:
            raise UserError(f"{path} is missing; run the command 'time --out {path.parent}' first") from None
        except (ValueError, TypeError, KeyError):
            raise UserError(f"{path} is damaged; delete it and repeat the command 'time'") from None


def fit(names: Sequence[str], made_of: Floats, costs: Floats) -> Line:
    """Least squares. What cells are made of (N, names), costs (N,) microseconds per image."""
    design = np.concatenate([np.ones((len(made_of), 1)), made_of], axis=1)
    found, *_ = np.linalg.lstsq(design, costs, rcond=None)
    left = costs - design @ found
    r2 = 1 - float(left @ left) / float(((costs - costs.mean()) ** 2).sum())
    residual = float(np.sqrt(left @ left / (len(costs) - design.shape[1])))
    return Line(float(found[0]), dict(zip(names, map(float, found[1:]), strict=True)), r2, residual)


def time_alone(
    networks: Iterable[nn.Module], images: Tensor, labels: Tensor, sgd: Sgd, rounds: int = 5, steps: int = 4
) -> tuple[Floats, Floats]:
    """Microseconds per image of a training step (forward, backward, update) and of a forward pass in evaluation.

    On one thread; of each network the fastest of ``rounds * steps`` steps of this one batch, and of as many passes. Every round
    goes through all networks, so that a time when something else kept the machine busy spoils none.
    """
    import torch

    from benchmarks.training.batched import keep_memory

    torch.set_num_threads(1)
    keep_memory()
    x = images.contiguous(memory_format=torch.channels_last)
    plain = [network.to(memory_format=torch.channels_last) for network in networks]  # type: ignore[call-overload]
    best = np.full((2, len(plain)), np.inf)
    for place, network in list(enumerate(plain)) * rounds:
        optimiser = torch.optim.SGD(
            network.parameters(), sgd.rate, momentum=sgd.momentum, weight_decay=sgd.decay, nesterov=True
        )

        def step(network: nn.Module = network, optimiser: torch.optim.Optimizer = optimiser) -> None:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(x), labels).backward()
            optimiser.step()

        network.train()
        training = _fastest(step, steps)
        network.eval()
        with torch.inference_mode():
            evaluation = _fastest(lambda network=network: network(x), steps)  # type: ignore[misc]
        best[:, place] = np.minimum(best[:, place], (training, evaluation))
    return best[0] / len(x), best[1] / len(x)


def _fastest(work: Callable[[], object], times: int) -> float:
    """Microseconds, after a first call that does not count."""
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken) * 1e6
