from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from harness.problem import Arch, Problem, SearchView
from methods.one_shot.parts import training

if TYPE_CHECKING:
    from torch import Tensor

    from harness.weight_sharing import Batch
    from methods.one_shot.parts.search import Forward, Search


@dataclass(frozen=True)
class IstaNas(training.WeightTraining):
    """ISTA-NAS: per node a short dense vector b, from which sparse coding recovers the few connections that are run.

    On NAS-Bench-201 a node's candidates are its edges times the four operations other than ``none``; an edge holds one
    operation there, so the kept connections of a node lie on different edges, and edges without one are ``none``.
    ``one_stage`` trains weights and b from the same gradients on all images until every node has settled. In the DARTS space
    that network is the one to be deployed: it goes on training, and the weights of its operations go into its norms (D-15). On
    NAS-Bench-201 it stops there, and its norms have no scale and shift: a table replaces that training.
    """

    batch: Annotated[int, "images per step"] = 256
    lr: Annotated[float, "learning rate of the weights in the first epoch"] = 0.1
    lr_ahead: Annotated[int, "epochs that the schedule runs ahead: the scheduler is advanced before the first epoch"] = 1
    nesterov: Annotated[bool, "Nesterov's form of momentum"] = False
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 3e-4
    arch_lr: Annotated[float, "Adam's learning rate of b"] = 6e-4
    arch_decay: Annotated[float, "L2 penalty on b"] = 1e-3
    connections: Annotated[int, "kept per node (s), or as many as it has inputs"] = 2
    penalty: Annotated[float, "of the Lasso (gamma)"] = 1e-5
    one_stage: Annotated[bool, "one loss on all images moves both, until every node has settled"] = False
    settled: Annotated[
        float, "a node has settled when its recovered vector moved by no more than this in an epoch, the first one aside"
    ] = 1e-3

    target_channels: Annotated[int, "one stage, of the first cells: the network that is deployed; 0: of a search"] = 0
    target_cells: Annotated[int, "one stage, cells of that network, whose norms have scale and shift; 0: as a search"] = 0
    auxiliary: Annotated[float, "one stage, weight of the auxiliary head's loss"] = 0.0
    largest: Annotated[float, "one stage, cells of so many million parameters are not recovered (D-14); 0: any"] = 0.0
    continued: Annotated[int, "one stage, further epochs with what has settled, their rate falling to lr_last"] = 0
    lr_last: Annotated[float, "learning rate after those"] = 0.001
    drop_path: Annotated[float, "probability that drop-path reaches linearly in those"] = 0.0
    cutout: Annotated[int, "one stage, side of the square that is cut out of every training image; 0: none"] = 0

    reference: ClassVar[str] = "arXiv:2010.06176"
    citations: ClassVar[tuple[str, ...]] = ("yang2020istanas",)
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "darts": {
            **training.DARTS,
            **{"target_channels": 36, "target_cells": 20, "auxiliary": 0.4, "largest": 3.7, "continued": 600, "drop_path": 0.2},
            "cutout": 16,
        }
    }
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "two_stage": {},
        # the rate stays while it searches; 600 epochs are the cap
        "one_stage": {
            **{"one_stage": True, "epochs": 600, "batch": 96, "lr": 0.025, "lr_end": 0.025, "arch_lr": 3e-4, "lr_ahead": 0},
        },
    }

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem, on_edges=True)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.search import Forward, Search

        if self.one_stage and self.target_cells:
            deployed = replace(self, channels=self.target_channels, epochs=self.epochs + self.continued)
            choices = {"affine": True, "cells": self.target_cells, "auxiliary": self.auxiliary > 0}
            search = Search(view, deployed, none=False, **choices)
        else:
            search = Search(view, self, none=False)
        codes = _Codes(search, self)
        search.keep(codes=codes)
        for epoch in search.epochs(part="full" if self.one_stage else "train"):
            if self.one_stage and not self._goes_on(search, codes, epoch):
                break
            if self.one_stage:
                for batch in search.task.batches("full", self.batch, epoch, cutout=self.cutout):
                    search.step_weights(self._loss(search, batch, codes.forward()), between=codes.step)
            else:
                for train, valid in search.task.pairs(self.batch, epoch):
                    codes.descend(search.loss(valid, codes.forward()))
                    codes.step()
                    search.step_weights(search.loss(train, codes.forward()), codes.b)
            codes.recover(settle=self.one_stage and epoch > 0)
            view.propose(codes.arch())
            with_weights = codes.forward()
            found = Forward([one.detach() for one in with_weights.weights or ()], with_weights.active)
            search.record(found, alive=float(sum(codes.alive)))
        if self.one_stage and self.target_cells:
            self._absorb(search, codes)
        return codes.arch()

    def _goes_on(self, search: Search, codes: _Codes, epoch: int) -> bool:
        """Prepares an epoch of the one stage: searching while a node is alive, then training what has settled.

        Until its node has settled, an operation's norm keeps scale one and shift zero (D-13).
        """
        from methods.one_shot.parts.sgd import cosine

        net: Any = search.net
        if epoch >= self.epochs:
            codes.alive = [False] * len(codes.alive)
        if self.target_cells:
            search.sgd.held = net.hold(codes.nodes_alive())
            net.module.noise.manual_seed(search.view.seed(f"drop-path of epoch {epoch}"))
        if any(codes.alive):
            return True
        if codes.settled_at is None:
            codes.settled_at = epoch
        since = epoch - codes.settled_at
        if since < self.continued:
            search.lr = cosine(since, self.continued, self.lr, self.lr_last)
            net.drop_path = self.drop_path * since / self.continued
        return since < self.continued

    def _absorb(self, search: Search, codes: _Codes) -> None:
        """Logs the validation accuracy before and after the norms have taken up the weights: the same to rounding (D-15)."""
        import torch

        net: Any = search.net
        with torch.no_grad(), net.unmetered():
            forward = codes.forward()
            images = search.task.images["valid"]
            before, _ = search.validate(forward, images)
            alone = net.absorbed(codes.arch(), forward.weights).eval()
            size = min(512, images)
            batches = [search.task.plain("valid", size, number) for number in range(images // size)]
            right = [(alone(batch)[0].argmax(-1) == labels).float().mean() for batch, labels in batches]
        search.view.log(accuracy_before_absorption=before, accuracy_after_absorption=100 * float(torch.stack(right).mean()))

    def _loss(self, search: Search, batch: Batch, forward: Forward) -> Tensor:
        """With the auxiliary head's, where there is one."""
        import torch.nn.functional as F

        loss, net = search.loss(batch, forward), search.net
        other = getattr(net, "auxiliary", None)
        return loss if other is None else loss + self.auxiliary * F.cross_entropy(other.float(), batch[1])


class _Codes:
    """b of every node with its matrix, what was recovered from it, and Adam."""

    def __init__(self, search: Search, settings: IstaNas) -> None:
        import torch

        from methods.one_shot.parts.sparse_coding import measurement_matrix

        self.settings, self.device = settings, search.device
        self.decisions, self.net = search.net.decisions, search.net
        self.nodes = [(d, node) for d, one in enumerate(self.decisions) for node in sorted(set(one.targets))]
        generator = search.new_generator("codes")
        self.b: list[Tensor] = []
        self.matrices: list[Tensor] = []
        for d, node in self.nodes:
            options = len(self.decisions[d].options)
            start = 1e-3 * torch.randn(options, generator=generator, dtype=torch.float64)
            self.b.append(start.to(self.device).requires_grad_())
            candidates = self.decisions[d].targets.count(node) * options
            self.matrices.append(measurement_matrix(options, candidates, generator).to(self.device))
        self._adam = torch.optim.Adam(self.b, lr=settings.arch_lr, betas=(0.5, 0.999), weight_decay=settings.arch_decay)
        self.alive = [True] * len(self.nodes)
        self.settled_at: int | None = None
        """Epoch before which the last node had settled."""
        self.x = [self._solve(k) for k in range(len(self.nodes))]
        self._keep()

    def _solve(self, k: int) -> Tensor:
        from methods.one_shot.parts.sparse_coding import recover

        return recover(self.matrices[k], self.b[k], self.settings.penalty)

    def _keep(self) -> None:
        """Notes which connections the recovered vectors keep; until they are recovered anew, no step looks at them."""
        import torch

        self._supports = [self._support(k) for k in range(len(self.nodes))]
        self._positions = [torch.tensor(support, device=self.device) for support in self._supports]

    def _support(self, k: int) -> list[int]:
        """Flat positions (edge times operation) kept for node ``k``: largest recovered entries, one at most on an edge that
        holds no more."""
        import torch

        decision = self.decisions[self.nodes[k][0]]
        options = len(decision.options)
        kept: list[int] = []
        for position in torch.argsort(self.x[k].abs(), descending=True, stable=True).tolist():
            if decision.several or position // options not in {one // options for one in kept}:
                kept.append(position)
        return sorted(kept[: self.settings.connections])

    def _tables(self) -> tuple[list[Tensor], list[list[tuple[int, ...]]]]:
        """z per decision (rows, options), differentiable by b, and what is executed."""
        import torch

        from methods.one_shot.parts.sparse_coding import sparse_weights

        rows: list[list[Tensor]] = [[] for _ in self.decisions]
        active: list[list[tuple[int, ...]]] = [[] for _ in self.decisions]
        for k, (d, _) in enumerate(self.nodes):
            options = len(self.decisions[d].options)
            support = self._supports[k]
            z = sparse_weights(self.matrices[k], self.b[k], self.x[k], self._positions[k]).view(-1, options)
            rows[d].append(z)
            kept = [(position // options, position % options) for position in support]
            active[d] += [tuple(option for edge, option in kept if edge == row) for row in range(len(z))]
        return [torch.cat(some) for some in rows], active

    def forward(self) -> Any:
        """A pass that runs the kept connections, weighted by z."""
        from methods.one_shot.parts.search import Forward

        tables, active = self._tables()
        return Forward([table.float() for table in tables], tuple(tuple(rows) for rows in active))

    def arch(self) -> Arch:
        """The kept connections."""
        return self.net.holding(self.forward().active)

    def zero(self) -> None:
        for b in self.b:
            b.grad = None

    def descend(self, loss: Tensor) -> None:
        """The gradients of b by ``loss`` alone."""
        import torch

        for b, gradient in zip(self.b, torch.autograd.grad(loss, self.b), strict=True):
            b.grad = gradient

    def step(self) -> None:
        """Adam on b of the nodes that have not settled."""
        for b, alive in zip(self.b, self.alive, strict=True):
            if not alive:
                b.grad = None
        self._adam.step()
        if self.settings.one_stage:
            self.zero()

    def recover(self, settle: bool) -> None:
        """Solves every living node's Lasso anew; with ``settle``, a node that hardly moved is done.

        What would be too large a network is not taken over, though nodes that moved little towards it are done (D-14).
        """
        import torch

        before = list(self.x)
        for k, alive in enumerate(self.alive):
            if alive:
                found = self._solve(k)
                if settle and float(torch.linalg.vector_norm(found - self.x[k])) <= self.settings.settled:
                    self.alive[k] = False
                self.x[k] = found
        self._keep()
        net: Any = self.net
        if self.settings.one_stage and self.settings.largest and net.parameters(self.arch()) >= 1e6 * self.settings.largest:
            self.x = before
            self._keep()

    def nodes_alive(self) -> list[tuple[int, int]]:
        """(decision, node) of those that have not settled."""
        return [node for node, alive in zip(self.nodes, self.alive, strict=True) if alive]

    def state_dict(self) -> dict[str, Any]:
        return {
            **{"b": [b.detach() for b in self.b], "matrices": self.matrices, "x": self.x},
            **{"alive": self.alive, "settled_at": self.settled_at, "adam": self._adam.state_dict()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        import torch

        with torch.no_grad():
            for b, kept in zip(self.b, state["b"], strict=True):
                b.copy_(kept)
        self.matrices, self.x, self.alive = state["matrices"], state["x"], state["alive"]
        self.settled_at = state["settled_at"]
        self._keep()
        self._adam.load_state_dict(state["adam"])
