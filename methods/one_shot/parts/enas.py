"""The search of ENAS: train cells that the controller draws, teach the controller, rank its cells (arXiv:1802.03268)."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING

import torch

from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts.attention_controller import AttentionController
from methods.one_shot.parts.controller import Adam, Controller, Drawn, Learner
from methods.one_shot.parts.passes import Forward
from methods.one_shot.parts.search import PRICED_CELLS, Search

if TYPE_CHECKING:
    from methods.one_shot.enas import Enas


def search(view: SearchView, settings: Enas) -> Arch | None:
    """Train weights and controller in turn. Return the best cell at the end, unless one was proposed at every epoch."""
    search = Search(view, settings)
    controller = _controller(search, settings)
    search.keep(controller=controller)

    def cells(count: int) -> list[Forward]:
        return [Forward(active=search.net.active_for(arch)) for arch in _drawn(search, controller, count)]

    search.draw, search.priced = lambda: cells(1)[0], lambda: cells(PRICED_CELLS)
    ranked = search.ranked_images(settings.candidates, settings.selection_batch, finalists=settings.finalists)
    taught = settings.controller_steps * settings.controller_samples * (settings.reward_batch or settings.batch)
    at_the_end = settings.selects == "at_the_end"
    for epoch in search.epochs(evaluated=ranked * at_the_end, each=taught + ranked * (not at_the_end)):
        with search.until_spent():
            batches = search.task.batches("train", settings.batch, epoch)
            drawn = cells(math.ceil(search.task.images["train"] / settings.batch))  # at once, because it is faster
            for batch, cell in zip(search.steps(batches), drawn, strict=False):
                search.step_weights(search.loss(batch, cell))
            _teach(search, controller, settings, epoch)
            if settings.selects == "every_epoch":
                view.propose(_selected(search, controller, settings))
        search.record(drawn[-1], entropy=controller.mean_entropy)
    return None if settings.selects == "every_epoch" else _selected(search, controller, settings)


def _controller(search: Search, settings: Enas) -> Learner:
    """Return a new controller."""
    adam = Adam(settings.controller_lr, settings.controller_beta, settings.controller_eps, settings.controller_decay)
    kind = AttentionController if settings.controller == "nb1shot1" else Controller
    generator = search.new_generator("controller")
    controller = kind(search.net.decisions, generator, adam, size=settings.controller_size, op_bound=settings.op_bound)
    controller.baseline = 0.0 if settings.first_baseline == "zero" else None
    return controller


def _selected(search: Search, controller: Learner, settings: Enas) -> Arch:
    """Return the best of the cells that the controller draws, under the shared weights."""
    drawn = _drawn(search, controller, settings.candidates)
    return search.best_of(drawn, settings.selection_batch, finalists=settings.finalists, images=settings.ranked_on)


@torch.no_grad()
def _drawn(search: Search, controller: Learner, count: int) -> list[Arch]:
    """Draw ``count`` cells, without gradients."""
    return _archs(search, controller.sample(count, search.generator))


def _archs(search: Search, drawn: Drawn) -> list[Arch]:
    return [search.derive(tables) for tables in drawn.tables()]


def _teach(search: Search, controller: Learner, settings: Enas, epoch: int) -> None:
    """Update the controller for one epoch. Rewards are accuracies on validation batches."""
    samples = settings.controller_samples
    batches = search.validation(
        settings.reward_batch or settings.batch,
        settings.rewarded_on,
        "controller",
        first=epoch * settings.controller_steps * samples,
    )
    unit = 100 if settings.reward_unit == "share" else 1
    before, all_baselines = controller.baseline, []
    for _ in range(settings.controller_steps):
        if settings.baseline_moves == "every_update":
            before = controller.baseline
        drawn = controller.sample(samples, search.generator)
        scores = [search.score(next(batches), Forward(active=search.net.active_for(arch)))[0] for arch in _archs(search, drawn)]
        accuracies = [accuracy / unit for accuracy in torch.stack(scores).tolist()]
        rewards = [a + settings.entropy_bonus * e for a, e in zip(accuracies, drawn.entropies.tolist(), strict=True)]
        # without a baseline, in the first epoch, a sample's accuracy is its baseline
        baselines = accuracies if before is None else [before + settings.baseline_rate * (r - before) for r in rewards]
        advantages = [reward - baseline for reward, baseline in zip(rewards, baselines, strict=True)]
        controller.reinforce(drawn, advantages, settings.controller_clip)
        controller.baseline = baselines[-1]
        all_baselines += baselines
    if settings.baseline_moves == "epoch_mean":
        controller.baseline = fmean(all_baselines)
