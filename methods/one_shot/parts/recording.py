"""What a weight-sharing search logs of its supernet. None of it is charged, and none of it changes the search."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from harness.schedule import Schedule
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts.entropy import entropy
from methods.one_shot.parts.passes import Forward

if TYPE_CHECKING:
    from harness.weight_sharing import Supernet, Task

RECORDS = 25
"""Number of equal shares of a fitted schedule. The supernet is recorded at the first end of an epoch in each, and at the end.
Recording is not charged, but the epochs of a short budget are so short that it took up to a sixth of the time."""
FINAL_CELLS = 15
"""Number of cells that show what a supernet of single cells has learned. It is odd, so that one of them is the median."""
FINAL_IMAGES = 512
"""Number of validation images that each of these cells is evaluated on, at most."""
LATE_SHARE = 0.1
"""Last share of the schedule in which the logged training loss is the mean of the steps' losses."""


class Validate(Protocol):
    """Returns the supernet's accuracy (percent) and mean loss on plain validation images; see ``Search.validate``."""

    def __call__(self, forward: Forward, images: int, /) -> tuple[float, float]: ...


class Recording:
    """The records of one search.

    Args:
        view: the view of the method.
        task: the task.
        net: the supernet.
        schedule: the schedule of the search.
        validate: evaluates a pass.
    """

    def __init__(self, view: SearchView, task: Task, net: Supernet, schedule: Schedule, validate: Validate) -> None:
        self._view, self._task, self._net, self._schedule, self._validate = view, task, net, schedule, validate
        self._mixed = math.nan
        """Accuracy of the last recorded pass, percent; NaN if it was that of one cell."""
        self._share = -1
        """Number of the share of a fitted schedule that was recorded last."""
        self._left_out: tuple[tuple[Any, ...], Sequence[Tensor], dict[str, float]] | None = None
        """The last record that :meth:`epoch` left out since then."""
        self._losses, self._steps = torch.zeros(()), 0
        """Sum of the late training losses, and their number."""

    def step(self, loss: Tensor) -> None:
        """Note the training loss of a step, if it is a late one; see :data:`LATE_SHARE`."""
        if self._schedule.share + max(LATE_SHARE, 1 / self._schedule.length) > 1 - 1e-9:
            self._losses, self._steps = self._losses.to(loss.device) + loss.detach(), self._steps + 1

    def epoch(self, forward: Forward, probabilities: Sequence[Tensor], scalars: dict[str, float]) -> None:
        """Log the supernet's validation accuracy and loss, and the entropy of the probabilities.

        A search that fits its schedule to a budget is recorded :data:`RECORDS` times only, and after its last epoch.

        Args:
            forward: the pass of the whole supernet, with its weights; or that of one cell, without weights.
            probabilities: one table per decision. ``entropy`` is that of the operations, ``edge_entropy`` that of the edges.
            scalars: further values of the same line.
        """
        share = int(self._schedule.share * RECORDS)
        if self._schedule.fitted and share == self._share:
            self._left_out = tuple(forward), probabilities, scalars
            return
        self._share, self._left_out = share, None
        self._log(forward, probabilities, scalars)

    def discretised(self, arch: Arch) -> None:
        """Log the supernet's validation accuracy with the operations of ``arch`` alone."""
        with self._net.unmetered():
            accuracy, _ = self._validate(Forward(active=self._net.active_for(arch)), self._task.images["valid"])
        self._view.log(discretised_accuracy=accuracy)

    def final(self, trained: float, cells: Callable[[], Forward]) -> None:
        """Log what the supernet has learned: its accuracy, that of guessing, its late training loss, its number of epochs.

        The accuracy is that of the last recorded pass. A method that records single cells has no pass of its whole supernet;
        there it is the median accuracy of some cells, because one cell may be disconnected.

        Args:
            trained: epochs of the steps that train the weights; one that the budget cut short counts as its fraction.
            cells: draws a cell as the method trains them.
        """
        if self._left_out:
            forward, probabilities, scalars = self._left_out
            self._log(Forward(*forward), probabilities, scalars)
        accuracy = self._mixed
        if math.isnan(accuracy):
            images = min(FINAL_IMAGES, self._task.images["valid"])
            with self._net.unmetered():
                accuracy = median(self._validate(cells(), images)[0] for _ in range(FINAL_CELLS))
        loss = float(self._losses) / self._steps if self._steps else math.nan
        rules = self._task.rules
        guessing = 100 / self._task.classes if rules.guessing is None else rules.guessing
        final = {"final_supernet_accuracy": accuracy, "chance": guessing, "at_chance": rules.learned * guessing}
        self._view.log(**final, train_loss=loss, trained_epochs=trained)

    def _log(self, forward: Forward, probabilities: Sequence[Tensor], scalars: dict[str, float]) -> None:
        with self._net.unmetered():  # each image once, even if images are evaluated under several draws of noise
            accuracy, loss = self._validate(forward, self._task.images["valid"])
        self._mixed = accuracy if forward.weights is not None else math.nan
        for kind, name in (("operation", "entropy"), ("edge", "edge_entropy")):
            tables = [p for p, decision in zip(probabilities, self._net.decisions, strict=False) if decision.kind == kind]
            if tables:
                scalars[name] = entropy(tables)
        self._view.log(supernet_accuracy=accuracy, supernet_loss=loss, **scalars)

    def state_dict(self) -> dict[str, Any]:
        late = {"losses": self._losses, "steps": self._steps}
        return late | {"mixed": self._mixed, "share": self._share, "left_out": self._left_out}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._losses, self._steps = state["losses"], state["steps"]
        self._mixed, self._share, self._left_out = state["mixed"], state["share"], state["left_out"]
