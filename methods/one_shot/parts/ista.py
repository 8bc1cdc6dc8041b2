"""The searches of ISTA-NAS in two stages and in one, and the sparse codes of the architecture (arXiv:2010.06176)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.space import Arch
from harness.steps import Number
from harness.view import SearchView
from methods.one_shot.parts.adam import AdamSteps, set_gradient
from methods.one_shot.parts.architecture import Numbers
from methods.one_shot.parts.passes import Forward
from methods.one_shot.parts.search import Search
from methods.one_shot.parts.sgd import cosine
from methods.one_shot.parts.sparse_coding import measurement_matrix, recover, sparse_weights

if TYPE_CHECKING:
    from harness.weight_sharing import Active, Batch, DeployableSupernet
    from methods.one_shot.ista_nas import IstaNas


def two_stage(view: SearchView, settings: IstaNas) -> Arch:
    """Train b on validation images and the weights on training images, in turn. Return the derived architecture."""
    search = Search(view, settings, none=False, **_norms(settings))
    codes = Codes(search, settings)
    search.keep(codes=codes)

    def of_codes(valid: Batch, numbers: Numbers) -> None:
        with search.sgd.fixed():
            codes.descend(search.loss(valid, codes.forward()))
        codes.step(numbers)

    def of_weights(train: Batch, rate: Number) -> Tensor:
        return search.descend(search.loss(train, codes.forward()), rate, codes.b)

    step_codes, step_weights = search.step(of_codes), search.step(of_weights)
    for epoch in search.epochs():
        with search.until_spent():
            for train, valid in search.steps(search.task.pairs(settings.batch, epoch, settings.pairing)):
                step_codes(valid, codes.advance(), key=epoch)  # the executed connections are those of the epoch
                search.finish_step(step_weights(train, search.step_size, key=epoch))
        codes.recover()
        _report(search, codes)
    return codes.arch()


def one_stage(view: SearchView, settings: IstaNas) -> Arch:
    """Move b and the weights by one loss on all images until every node has settled. Return the derived architecture.

    With ``target_cells``, the supernet is the network to deploy. It goes on training with the settled architecture, and its
    norms absorb the weights of the operations at the end (D-15).
    """
    if settings.target_cells:
        longer = replace(settings, channels=settings.target_channels, epochs=settings.epochs + settings.continued)
        choices = {"affine": True, "cells": settings.target_cells, "auxiliary": settings.auxiliary > 0}
        search = Search(view, longer, none=False, **choices, **_norms(settings))
    else:
        search = Search(view, settings, none=False, **_norms(settings))
    # ``skip`` makes sure of it where the settings need it
    net = cast("DeployableSupernet", search.net) if settings.needs_deployable else None
    codes = Codes(search, settings)
    search.keep(codes=codes)

    def of_both(batch: Batch, rate: Number, numbers: Numbers) -> Tensor:
        loss = _loss(search, batch, codes, settings.auxiliary, net)
        return search.descend(loss, rate, between=lambda: codes.step(numbers))

    step = search.step(of_both)
    for epoch in search.epochs(part="full", goes_on=lambda epoch: _begins(search, codes, settings, net, epoch)):
        steps = 0
        with search.until_spent():
            for batch in search.steps(search.task.batches("full", settings.batch, epoch, cutout=settings.cutout)):
                search.finish_step(step(batch, search.step_size, codes.advance(), key=epoch))
                steps += 1
        codes.recover(settings.tolerance(steps) if epoch > 0 else None)
        if net and settings.largest and net.parameter_count(codes.arch()) >= 1e6 * settings.largest:
            codes.undo()  # nodes that moved little towards this network have settled nevertheless (D-14)
        _report(search, codes)
    if net and settings.target_cells:
        _absorb(search, codes, net)
    return codes.arch()


def _norms(settings: IstaNas) -> dict[str, bool]:
    """Return the choice of norms, for the spaces that have it (D-43)."""
    return {"normed": True} if settings.normed else {}


def _begins(search: Search, codes: Codes, settings: IstaNas, net: DeployableSupernet | None, epoch: int) -> bool:
    """Prepare an epoch of the one stage. Return False if the search is over.

    The search goes on while a node is unsettled, then for ``settling`` epochs of the same kind (D-62), which are part of
    ``epochs``, and then for ``continued`` epochs. Until its node has settled, the norm of an operation keeps scale one and
    shift zero (D-13).
    """
    if search.position >= settings.epochs:
        codes.alive = [False] * len(codes.alive)
    if net and settings.target_cells:
        search.sgd.frozen = net.freeze_affine(codes.nodes_alive())
        net.seed_drop_path(search.view.seed(f"drop-path of epoch {epoch}"))
    if any(codes.alive):
        return True
    if codes.settled_at is None:
        codes.settled_at = search.position
    begin = max(codes.settled_at, min(codes.settled_at + settings.settling, settings.epochs))
    continued = settings.continued
    if search.schedule.fitted and continued:  # the rest of the budget
        continued = max(search.schedule.length - round(begin), 1)
    since = search.position - begin
    if since >= continued:
        return False
    if since < 0:
        return True
    search.rate = lambda position: cosine(position - begin, continued, settings.lr, settings.lr_last)
    search.lr = search.rate(search.position)
    if net:
        net.drop_path = settings.drop_path * since / continued
    return True


def _loss(search: Search, batch: Batch, codes: Codes, auxiliary: float, net: DeployableSupernet | None) -> Tensor:
    """Return the loss of one pass, plus ``auxiliary`` times that of the auxiliary head if the network has one."""
    loss = search.loss(batch, codes.forward())
    logits = net.auxiliary_logits if net else None
    return loss if logits is None else loss + auxiliary * F.cross_entropy(logits.float(), batch[1])


def _report(search: Search, codes: Codes) -> None:
    """Propose the architecture of the epoch, and log the supernet's accuracy."""
    search.view.propose(codes.arch())
    forward = codes.forward()
    weights = [table.detach() for table in forward.weights or ()]
    search.record(Forward(weights, forward.active), alive=float(sum(codes.alive)), redrawn=float(codes.redrawn))


@torch.no_grad()
def _absorb(search: Search, codes: Codes, net: DeployableSupernet) -> None:
    """Let the norms absorb the weights, and deliver the network, which the judge tests (D-15).

    Log the validation accuracy before and after: the same up to rounding.
    """
    with net.unmetered():
        forward = codes.forward()
        images = search.task.images["valid"]
        before, _ = search.validate(forward, images)
        network = net.absorb(codes.arch(), forward.weights)
        correct = [(network(batch).argmax(-1) == labels).sum() for batch, labels in search.plain(images)]
    after = 100 * float(torch.stack(correct).sum()) / images
    search.view.log(accuracy_before_absorption=before, accuracy_after_absorption=after)
    search.view.deliver(codes.arch(), network.weights(), **network.settings)


@runtime_checkable
class CanBeLinear(Protocol):
    """A space whose cells are linear without certain operations, so that the supernet of such a cell can learn nothing."""

    def is_linear(self, arch: Arch) -> bool: ...


class Codes:
    """For every node a dense vector b with its matrix, the sparse vector x recovered from it, and the optimiser of b."""

    def __init__(self, search: Search, settings: IstaNas) -> None:
        self.settings, self.device = settings, search.device
        self.decisions, self.net = search.net.decisions, search.net
        self.nodes = [(d, node) for d, decision in enumerate(self.decisions) for node in sorted(set(decision.targets))]
        """(decision, target) of each node."""
        generator = search.new_generator("codes")
        self._draw(generator)
        self.redrawn = 0
        """Number of starts that were drawn and not taken (D-45)."""
        space = search.view.space
        while settings.redraw and isinstance(space, CanBeLinear) and space.is_linear(self.arch()):
            self.redrawn += 1
            self._draw(generator)
        self._adam = AdamSteps(self.b, settings.arch_lr, decay=settings.arch_decay)
        self.alive = [True] * len(self.nodes)
        """For each node, True until it has settled."""
        self.settled_at: float | None = None
        """Position in the schedule before which the last node had settled."""

    def _draw(self, generator: torch.Generator) -> None:
        """Draw b and the matrix of every node, and solve for x."""
        self.b: list[Tensor] = []
        self.matrices: list[Tensor] = []
        for d, node in self.nodes:
            options = len(self.decisions[d].options)
            start = 1e-3 * torch.randn(options, generator=generator, dtype=torch.float64)
            self.b.append(start.to(self.device).requires_grad_())
            candidates = self.decisions[d].targets.count(node) * options
            self.matrices.append(measurement_matrix(options, candidates, generator).to(self.device))
        self.x = [self._solve(k) for k in range(len(self.nodes))]
        self._before = self.x
        self._select()

    def _solve(self, k: int) -> Tensor:
        return recover(self.matrices[k], self.b[k], self.settings.penalty)

    def _select(self) -> None:
        """Select the connections of largest recovered entries. No step looks at them until the next recovery."""
        self._supports = [self._support(k) for k in range(len(self.nodes))]
        self._positions = [torch.tensor(support, device=self.device) for support in self._supports]

    def _support(self, k: int) -> list[int]:
        """Return the flat positions (edge times operation) of the selected connections of node ``k``, ascending.

        If an edge takes a single operation, at most one of its entries is selected.
        """
        decision = self.decisions[self.nodes[k][0]]
        options = len(decision.options)
        support: list[int] = []
        for position in torch.argsort(self.x[k].abs(), descending=True, stable=True).tolist():
            if decision.several or position // options not in {taken // options for taken in support}:
                support.append(position)
        return sorted(support[: self.settings.connections])

    def forward(self) -> Forward:
        """Return a pass that executes the selected connections, weighted by z, which is differentiable by b."""
        rows: list[list[Tensor]] = [[] for _ in self.decisions]
        active: list[list[tuple[int, ...]]] = [[] for _ in self.decisions]
        for k, (d, _) in enumerate(self.nodes):
            options = len(self.decisions[d].options)
            z = sparse_weights(self.matrices[k], self.b[k], self.x[k], self._positions[k]).view(-1, options)
            rows[d].append(z)
            connections = [divmod(position, options) for position in self._supports[k]]
            active[d] += [tuple(option for edge, option in connections if edge == row) for row in range(len(z))]
        return Forward([torch.cat(tables).float() for tables in rows], tuple(map(tuple, active)))

    def arch(self) -> Arch:
        """Return the architecture of the selected connections."""
        return self.net.arch_of(cast("Active", self.forward().active))

    def descend(self, loss: Tensor) -> None:
        """Set the gradients of b to those of ``loss``."""
        for b, gradient in zip(self.b, torch.autograd.grad(loss, self.b), strict=True):
            set_gradient(b, gradient)

    def advance(self) -> list[tuple[float, float]]:
        """Count a step of Adam, and return its numbers that differ from step to step."""
        return self._adam.advance(self.alive)

    def step(self, numbers: Numbers) -> None:
        """Take a step of Adam on b of the nodes that have not settled.

        Args:
            numbers: what :meth:`advance` returned for this step.
        """
        for b, alive in zip(self.b, self.alive, strict=True):
            if not alive:
                b.grad = None
        self._adam.step(numbers)
        if self.settings.one_stage:  # the weights' next backward pass would add to them
            for b in self.b:
                b.grad = None

    def recover(self, tolerance: float | None = None) -> None:
        """Solve the Lasso of every node that has not settled.

        Args:
            tolerance: a node has settled if its vector moved by no more than this; None: no node settles.
        """
        self._before = list(self.x)
        for k, alive in enumerate(self.alive):
            if alive:
                x = self._solve(k)
                if tolerance is not None and float(torch.linalg.vector_norm(x - self.x[k])) <= tolerance:
                    self.alive[k] = False
                self.x[k] = x
        self._select()

    def undo(self) -> None:
        """Return to the vectors before the last recovery. Nodes that have settled stay settled."""
        self.x = self._before
        self._select()

    def nodes_alive(self) -> list[tuple[int, int]]:
        """Return (decision, target) of the nodes that have not settled."""
        return [node for node, alive in zip(self.nodes, self.alive, strict=True) if alive]

    def state_dict(self) -> dict[str, Any]:
        return {
            "b": [b.detach() for b in self.b],
            "matrices": self.matrices,
            "x": self.x,
            "alive": self.alive,
            "settled_at": self.settled_at,
            "adam": self._adam.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for b, stored in zip(self.b, state["b"], strict=True):
                b.copy_(stored)
        self.matrices, self.x, self.alive = state["matrices"], state["x"], state["alive"]
        self.settled_at = state["settled_at"]
        self._select()
        self._adam.load_state_dict(state["adam"])
