from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from harness.problem import Arch, Problem, SearchView
from methods.one_shot.parts import training

if TYPE_CHECKING:
    from torch import Tensor

    from methods.one_shot.parts.search import Search


@dataclass(frozen=True)
class IstaNas(training.WeightTraining):
    """ISTA-NAS: per node a short dense vector b, from which sparse coding recovers the few connections that are run.

    On NAS-Bench-201 a node's candidates are its edges times the four operations other than ``none``; an edge holds one
    operation there, so the kept connections of a node lie on different edges, and edges without one are ``none``.
    ``one_stage`` trains weights and b from the same gradients on all images and stops once every node has settled; its
    norms have no scale and shift here (what they train serves a retraining, which a table replaces).
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

    reference: ClassVar[str] = "arXiv:2010.06176"
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

        search = Search(view, self, none=False)
        codes = _Codes(search, self)
        search.keep(codes=codes)
        for epoch in search.epochs():
            if not any(codes.alive):
                break
            if self.one_stage:
                for batch in search.task.batches("full", self.batch, epoch):
                    search.step_weights(search.loss(batch, codes.forward()), between=codes.step)
            else:
                for train, valid in search.task.pairs(self.batch, epoch):
                    codes.descend(search.loss(valid, codes.forward()))
                    codes.step()
                    search.step_weights(search.loss(train, codes.forward()), codes.b)
            codes.recover(settle=self.one_stage and epoch > 0)
            view.propose(search.net.derive(codes.scores()))
            with_weights = codes.forward()
            found = Forward([one.detach() for one in with_weights.weights or ()], with_weights.active)
            search.record(found, alive=float(sum(codes.alive)))
        return search.net.derive(codes.scores())


class _Codes:
    """b of every node with its matrix, what was recovered from it, and Adam."""

    def __init__(self, search: Search, settings: IstaNas) -> None:
        import torch

        from methods.one_shot.parts.sparse_coding import measurement_matrix

        self.settings, self.device = settings, search.device
        self.decisions = search.net.decisions
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
        """Flat positions (edge times operation) kept for node ``k``: largest recovered entries on different edges."""
        import torch

        options = len(self.decisions[self.nodes[k][0]].options)
        kept: list[int] = []
        for position in torch.argsort(self.x[k].abs(), descending=True, stable=True).tolist():
            if position // options not in {one // options for one in kept}:
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

    def scores(self) -> list[Tensor]:
        """One where a connection is kept."""
        import torch

        tables, active = self._tables()
        scores = [torch.zeros_like(table.detach()) for table in tables]
        for score, rows in zip(scores, active, strict=True):
            for row, options in enumerate(rows):
                score[row, list(options)] = 1.0
        return scores

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
        """Solves every living node's Lasso anew; with ``settle``, a node that hardly moved is done."""
        import torch

        for k, alive in enumerate(self.alive):
            if alive:
                found = self._solve(k)
                if settle and float(torch.linalg.vector_norm(found - self.x[k])) <= self.settings.settled:
                    self.alive[k] = False
                self.x[k] = found
        self._keep()

    def state_dict(self) -> dict[str, Any]:
        return {
            **{"b": [b.detach() for b in self.b], "matrices": self.matrices, "x": self.x},
            **{"alive": self.alive, "adam": self._adam.state_dict()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        import torch

        with torch.no_grad():
            for b, kept in zip(self.b, state["b"], strict=True):
                b.copy_(kept)
        self.matrices, self.x, self.alive = state["matrices"], state["x"], state["alive"]
        self._keep()
        self._adam.load_state_dict(state["adam"])
