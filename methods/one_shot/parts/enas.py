"""The search of ENAS: train cells that the controller draws, teach the controller, rank its cells (arXiv:1802.03268)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch

from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts.controller import Controller, Drawn
from methods.one_shot.parts.search import Forward, Search

if TYPE_CHECKING:
    from methods.one_shot.enas import Enas


def search(view: SearchView, settings: Enas) -> Arch | None:
    """Train weights and controller in turn. Return the best cell at the end, unless one was proposed at every epoch."""
    search = Search(view, settings)
    controller = Controller(
        search.net.decisions,
        search.new_generator("controller"),
        settings.controller_lr,
        beta=settings.controller_beta,
        size=settings.controller_size,
        op_bound=settings.op_bound,
    )
    search.keep(controller=controller)
    ranked = settings.candidates * settings.selection_batch if settings.selects == "at_the_end" else 0
    for epoch in search.epochs(evaluated=ranked):
        for batch in search.task.batches("train", settings.batch, epoch):
            (cell,) = _drawn(search, controller, 1)
            search.step_weights(search.loss(batch, Forward(active=search.net.active_for(cell))))
        _teach(search, controller, settings, epoch)
        if settings.selects == "every_epoch":
            view.propose(_selected(search, controller, settings))
        search.record(Forward(active=search.net.active_for(cell)), entropy=controller.mean_entropy)
    return None if settings.selects == "every_epoch" else _selected(search, controller, settings)


def _selected(search: Search, controller: Controller, settings: Enas) -> Arch:
    """Return the best of the cells that the controller draws, under the shared weights."""
    drawn = _drawn(search, controller, settings.candidates)
    return search.best_of(drawn, settings.selection_batch, finalists=settings.finalists)


@torch.no_grad()
def _drawn(search: Search, controller: Controller, count: int) -> list[Arch]:
    """Draw ``count`` cells, without gradients."""
    return _archs(search, controller.sample(count, search.generator))


def _archs(search: Search, drawn: Drawn) -> list[Arch]:
    return [search.net.derive(tables) for tables in drawn.tables()]


def _teach(search: Search, controller: Controller, settings: Enas, epoch: int) -> None:
    """Update the controller for one epoch. Rewards are accuracies (0 to 1) on augmented validation batches."""
    rounds = (search.task.batches("valid", settings.batch, epoch, f"controller {k}") for k in itertools.count())
    batches = itertools.chain.from_iterable(rounds)
    before = controller.baseline
    for _ in range(settings.controller_steps):
        if settings.baseline_moves == "every_update":
            before = controller.baseline
        drawn = controller.sample(settings.controller_samples, search.generator)
        scores = [search.score(next(batches), Forward(active=search.net.active_for(arch)))[0] for arch in _archs(search, drawn)]
        accuracies = [accuracy / 100 for accuracy in torch.stack(scores).tolist()]
        rewards = [a + settings.entropy_bonus * e for a, e in zip(accuracies, drawn.entropies.tolist(), strict=True)]
        # without a baseline, in the first epoch, a sample's accuracy is its baseline
        baselines = accuracies if before is None else [before + settings.baseline_rate * (r - before) for r in rewards]
        advantages = [reward - baseline for reward, baseline in zip(rewards, baselines, strict=True)]
        controller.reinforce(drawn, advantages, settings.controller_clip)
        controller.baseline = baselines[-1]
