"""The search of XNAS: experts are rewarded by validation images, in turn with the weights (arXiv:1906.08031)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.space import Arch
from harness.steps import Number
from harness.view import SearchView
from methods.one_shot.parts.experts import Experts
from methods.one_shot.parts.passes import Forward
from methods.one_shot.parts.search import Search

if TYPE_CHECKING:
    from harness.weight_sharing import Active, Batch
    from methods.one_shot.xnas import Xnas


def search(view: SearchView, settings: Xnas) -> Arch:
    """Train experts and weights in turn, and propose the derived cell at every epoch. Return the last one."""
    search = Search(view, settings, none=False)
    rounds = round(search.planned_epochs(passes=2) * search.task.images["train"])
    decisions = search.net.decisions
    experts = [Experts(d.rows, len(d.options), rounds, settings.reward_bound, search.device) for d in decisions]
    search.keep(**{f"experts of {d.name}": of_decision for d, of_decision in zip(decisions, experts, strict=True)})

    def of_experts(train: Batch, valid: Batch) -> None:
        count = len(train[1])  # the last training batch of an epoch is smaller; the horizon counts training images
        _reward(search, experts, (valid[0][:count], valid[1][:count]), alive)

    def of_weights(train: Batch, rate: Number, slack: Sequence[Number]) -> Tensor:
        for of_decision, behind in zip(experts, slack, strict=True):
            of_decision.drop(behind)
        return search.descend(search.loss(train, Forward(_mixtures(experts), alive)), rate)

    step_experts, step_weights = search.step(of_experts), search.step(of_weights)
    for epoch in search.epochs():
        # what is wiped out within an epoch is executed with weight zero until its end: a look at it would wait for the device
        alive = _alive(experts)
        for train, valid in search.steps(search.task.pairs(settings.batch, epoch)):
            step_experts(train, valid, key=alive)
            share = search.schedule.share if search.schedule.fitted else None
            slack = [of_decision.advance(len(train[1]), share) for of_decision in experts]
            search.finish_step(step_weights(train, search.step_size, slack, key=alive))
        mixtures = _mixtures(experts)
        view.propose(search.derive(mixtures))
        living = float(sum((mixture > 0).sum() for mixture in mixtures))
        search.record(Forward(mixtures, _alive(experts)), mixtures, alive=living)
    arch = search.derive(_mixtures(experts))
    search.record_discretised(arch)
    return arch


def _reward(search: Search, experts: Sequence[Experts], valid: Batch, alive: Active) -> None:
    """Reward the experts by each image.

    Each image has its own copy of the weights, so that ``-d loss / d weight`` is the reward of an operation by that image.
    """
    weights = [mixture.expand(len(valid[1]), *mixture.shape).contiguous().requires_grad_() for mixture in _mixtures(experts)]
    with search.sgd.fixed():
        loss = search.loss(valid, Forward(weights, alive), reduction="sum")
    for of_decision, gradient in zip(experts, torch.autograd.grad(loss, weights), strict=True):
        of_decision.reward(-gradient)


def _mixtures(experts: Sequence[Experts]) -> list[Tensor]:
    return [of_decision.mixture.float() for of_decision in experts]


def _alive(experts: Sequence[Experts]) -> Active:
    """Return the options that have not been wiped out."""
    return tuple(tuple(tuple(row.nonzero().flatten().tolist()) for row in of_decision.mixture) for of_decision in experts)
