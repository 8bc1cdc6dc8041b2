"""The clock of a table: time networks one by one, and fit the clock to the times.

A build trains on compiled kernels, which no search uses. The clock therefore times the networks in torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.bundled.clock import Floats, Line
from benchmarks.digits_tables.process import use_one_thread
from benchmarks.digits_tables.schedule import SgdSchedule


def fit(names: Sequence[str], features: Floats, costs: Floats) -> Line:
    """Fit an additive model by least squares.

    Args:
        names: names of the features.
        features: (cells, features).
        costs: (cells,), microseconds per image.
    """
    design = np.concatenate([np.ones((len(features), 1)), features], axis=1)
    solution, *_ = np.linalg.lstsq(design, costs, rcond=None)
    errors = costs - design @ solution
    r2 = 1 - float(errors @ errors) / float(((costs - costs.mean()) ** 2).sum())
    residual = float(np.sqrt(errors @ errors / (len(costs) - design.shape[1])))
    return Line(float(solution[0]), dict(zip(names, map(float, solution[1:]), strict=True)), r2, residual)


def time_alone(
    networks: Iterable[nn.Module], images: Tensor, labels: Tensor, sgd: SgdSchedule, rounds: int = 5, steps: int = 4
) -> tuple[Floats, Floats]:
    """Return microseconds per image of a training step (forward, backward, update) and of a forward pass in evaluation.

    The function times each network on one thread, on this one batch. It takes the fastest of ``rounds * steps`` steps and of
    ``rounds * steps`` passes. Every round runs all networks, so that load on the machine spoils a round and not a network.

    Returns:
        the times of steps (networks,) and of passes (networks,).
    """
    use_one_thread()
    x = images.contiguous(memory_format=torch.channels_last)
    plain = [network.to(memory_format=torch.channels_last) for network in networks]  # type: ignore[call-overload]
    best = np.full((2, len(plain)), np.inf)
    for column, network in list(enumerate(plain)) * rounds:
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
        best[:, column] = np.minimum(best[:, column], (training, evaluation))
    return best[0] / len(x), best[1] / len(x)


def _fastest(work: Callable[[], object], times: int) -> float:
    """Return the microseconds of the fastest call. A first call warms up and does not count."""
    work()
    durations = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        durations.append(time.perf_counter() - began)
    return min(durations) * 1e6
