"""The alternating search of DARTS and its successors: weights and architecture take turns, each down its own loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from harness.space import Arch
from harness.steps import Number
from methods.one_shot.parts.architecture import Architecture, Numbers, Relaxation, mixture
from methods.one_shot.parts.passes import Forward
from methods.one_shot.parts.search import Search
from methods.one_shot.parts.unrolled import unrolled_gradient

if TYPE_CHECKING:
    from harness.weight_sharing import Batch

Order = Literal["weights_first", "architecture_first"]
Objective = Literal["bilevel", "erm"]


def batches(search: Search, objective: Objective, epoch: int) -> Iterable[tuple[Batch, Batch]]:
    """Yield batches for the weights, each with a batch for the architecture.

    Bilevel: batches of the training part, with batches of the validation part. ERM: both batches are of all images, shuffled
    independently (GAEA, 4.1).
    """
    batch = search.settings.batch
    if objective == "bilevel":
        paired: Iterable[tuple[Batch, Batch]] = search.task.pairs(batch, epoch)
        return paired
    return zip(
        search.task.batches("full", batch, epoch), search.task.batches("full", batch, epoch, "architecture"), strict=True
    )


def alternate(
    search: Search,
    architecture: Architecture,
    relaxation: Relaxation = mixture,
    *,
    objective: Objective = "bilevel",
    order: Order = "weights_first",
    unrolled: bool = False,
    clip_architecture: bool = False,
    arch_clip: float = 0.0,
    begin: Callable[[], bool] = lambda: True,
    penalty: Callable[[Architecture], Tensor] | None = None,
    reported: Literal["last", "best"] = "last",
) -> Arch:
    """Train to the last epoch, and propose the derived architecture at every epoch. Return the final one.

    Args:
        search: the search.
        architecture: the architecture parameters.
        relaxation: turns them into a pass.
        objective: images of the two losses; see :func:`batches`.
        order: order of the two steps on a pair of batches.
        unrolled: the architecture's gradient looks through one step of the weights (DARTS, eq. 7): second order.
        clip_architecture: the clipped norm counts the gradients of the architecture parameters. These are the gradient by the
            weights' loss plus that of the last architecture step, which the scripts of NAS-Bench-201 do not clear.
        arch_clip: largest norm of the architecture's gradient by its own loss; 0: not clipped.
        begin: called before each epoch; returns whether the architecture moves in it.
        penalty: added to the architecture's loss.
        reported: ``best``: the architecture of the epoch with the best supernet on the validation images (D-25).
    """
    best = _Best()
    search.keep(architecture=architecture, best=best)

    def of_weights(train: Batch, rate: Number) -> Tensor:
        with torch.set_grad_enabled(clip_architecture):
            forward = relaxation(architecture)
        return search.descend(search.loss(train, forward), rate, architecture.values if clip_architecture else ())

    def of_architecture(train: Batch, valid: Batch, rate: Number, numbers: Numbers) -> None:
        gradients: Sequence[Tensor]
        if unrolled:
            gradients = unrolled_gradient(search, architecture, train, valid, rate=rate)
        else:
            with search.sgd.fixed():
                loss = search.loss(valid, relaxation(architecture))
            total = loss if penalty is None else loss + penalty(architecture)
            gradients = torch.autograd.grad(total, architecture.values, allow_unused=True, materialize_grads=True)
        if arch_clip:
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
            gradients = [gradient * (arch_clip / (norm + 1e-6)).clamp(max=1.0) for gradient in gradients]
        architecture.step(gradients, numbers)

    same = relaxation is mixture
    step_weights, step_architecture = search.step(of_weights, same), search.step(of_architecture, same)
    for epoch in search.epochs(part="full" if objective == "erm" else "train"):
        moves = begin()
        with search.until_spent():
            for train, valid in search.steps(batches(search, objective, epoch)):
                if order == "architecture_first" and moves:
                    step_architecture(train, valid, search.step_size, architecture.advance())
                search.finish_step(step_weights(train, search.step_size))
                if order == "weights_first" and moves:
                    step_architecture(train, valid, search.step_size, architecture.advance())
        table = [p.detach() for p in architecture.probabilities()]
        arch = search.derive(table)
        if reported == "best":
            best.offer(arch, search.merit(search.validate(Forward(table))))
            arch = best.arch
        search.view.propose(arch)
        search.record(Forward(table), table)
    arch = best.arch if reported == "best" else search.derive(architecture.probabilities())
    search.record_discretised(arch)
    return arch


class _Best:
    """The architecture of highest merit so far, the first of equals."""

    def __init__(self) -> None:
        self.arch: Arch = ()
        self.merit = -math.inf

    def offer(self, arch: Arch, merit: float) -> None:
        if merit > self.merit:
            self.arch, self.merit = arch, merit

    def state_dict(self) -> dict[str, Any]:
        return {"arch": list(self.arch), "merit": self.merit}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.arch, self.merit = tuple(state["arch"]), state["merit"]
