"""The alternating search of DARTS and its kin: weights and architecture take turns, each down its own loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from harness.space import Arch
from methods.one_shot.parts.architecture import Architecture, Relaxation, mixture
from methods.one_shot.parts.search import Forward, Search
from methods.one_shot.parts.unrolled import unrolled_gradient

if TYPE_CHECKING:
    from harness.weight_sharing import Batch

Order = Literal["weights_first", "architecture_first"]
Objective = Literal["bilevel", "erm"]


def batches(search: Search, objective: Objective, epoch: int) -> Iterable[tuple[Batch, Batch]]:
    """Batches for the weights, each with one for the architecture.

    Bilevel: of the training part and of the validation part. ERM: both of all images, shuffled independently (GAEA, 4.1).
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
    begin: Callable[[int], bool] = lambda epoch: True,
    penalty: Callable[[Architecture], Tensor] | None = None,
    reported: Literal["last", "best"] = "last",
) -> Arch:
    """Trains to the last epoch; answers the derived architecture, which was proposed at every epoch.

    Args:
        order: of the two steps on a pair of batches.
        unrolled: the architecture's gradient looks through one step of the weights (DARTS, eq. 7): second order.
        clip_architecture: the clipped norm counts the gradients of the architecture parameters: that by the weights' loss
            added to what its last step left, which the scripts of NAS-Bench-201 do not clear in between.
        arch_clip: largest norm of the architecture's gradient by its own loss; 0: not clipped.
        begin: called with each epoch before it; whether the architecture moves in it.
        penalty: added to the architecture's loss.
        reported: ``best``: the architecture of the epoch whose supernet did best on the validation images (D-25).
    """
    best = _Best()
    search.keep(architecture=architecture, best=best)

    def step_weights(train: Batch) -> None:
        with torch.set_grad_enabled(clip_architecture):
            forward = relaxation(architecture)
        search.step_weights(search.loss(train, forward), architecture.values if clip_architecture else ())

    def step_architecture(train: Batch, valid: Batch) -> None:
        gradients: Sequence[Tensor]
        if unrolled:
            gradients = unrolled_gradient(search, architecture, train, valid)
        else:
            loss = search.loss(valid, relaxation(architecture))
            total = loss if penalty is None else loss + penalty(architecture)
            gradients = torch.autograd.grad(total, architecture.values, allow_unused=True, materialize_grads=True)
        if arch_clip:
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(one) for one in gradients]))
            gradients = [one * (arch_clip / (norm + 1e-6)).clamp(max=1.0) for one in gradients]
        architecture.step(gradients)

    for epoch in search.epochs(part="full" if objective == "erm" else "train"):
        moves = begin(epoch)
        for train, valid in batches(search, objective, epoch):
            if order == "architecture_first" and moves:
                step_architecture(train, valid)
            step_weights(train)
            if order == "weights_first" and moves:
                step_architecture(train, valid)
        table = [p.detach() for p in architecture.probabilities()]
        arch = search.net.derive(table)
        if reported == "best":
            best.offer(arch, search.validate(Forward(table))[0])
            arch = best.arch
        search.view.propose(arch)
        search.record(Forward(table), table)
    arch = best.arch if reported == "best" else search.net.derive(architecture.probabilities())
    search.record_discretised(arch)
    return arch


class _Best:
    """The architecture with the highest accuracy so far, the first of equals."""

    def __init__(self) -> None:
        self.arch: Arch = ()
        self.accuracy = -math.inf

    def offer(self, arch: Arch, accuracy: float) -> None:
        if accuracy > self.accuracy:
            self.arch, self.accuracy = arch, accuracy

    def state_dict(self) -> dict[str, Any]:
        return {"arch": list(self.arch), "accuracy": self.accuracy}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.arch, self.accuracy = tuple(state["arch"]), state["accuracy"]
