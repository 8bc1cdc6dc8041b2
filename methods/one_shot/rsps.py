from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Protocol, runtime_checkable

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import training

if TYPE_CHECKING:
    from harness.weight_sharing import Active
    from methods.one_shot.parts.search import Search


PROBED_IMAGES = 2048
"""Number of validation images that a probed cell is evaluated on, at most. Under a fitted budget, which may be short, each
counts once, even if images are evaluated under several draws of noise."""


@dataclass(frozen=True)
class Rsps(training.WeightTraining):
    """Random search with weight sharing (RSPS): each batch trains one random cell; the supernet then ranks random cells."""

    epochs: Annotated[int, "passes over the images that train the weights"] = 250
    sampling: Annotated[
        Literal["network", "cell"],
        "a batch trains one random cell everywhere, or (NATS-Bench, D-40) another connected one in each cell of the network",
    ] = "network"
    candidates: Annotated[int, "random cells that are ranked"] = 100
    selection_batch: Annotated[int, "validation images of a batch that ranks a cell"] = 512
    selection_batches: Annotated[int, "number of such batches per cell"] = 1
    ranked_on: Annotated[
        Literal["augmented", "plain"], "validation images of the first ranking: augmented like training images, or plain (D-66)"
    ] = "plain"
    finalists: Annotated[int, "best cells that are ranked again on all plain validation images; 0: none"] = 0
    selects: Annotated[Literal["at_the_end", "every_epoch"], "when random cells are ranked and the best proposed"] = (
        "at_the_end"
    )

    probed: Annotated[
        int, "further random cells whose accuracy under shared weights is stored, to compare it with their own (CoNAS, A.4)"
    ] = 32

    reference: ClassVar[str] = "arXiv:1902.07638"
    citations: ClassVar[tuple[str, ...]] = ("li2019random",)
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "nb1shot1": {
            **training.NB1SHOT1,
            "batch": 64,
            "clip": 0.25,
            "candidates": 1000,
            "selection_batch": 64,
            "selection_batches": 10,
            "ranked_on": "augmented",
            "finalists": 5,
            "selects": "every_epoch",
        },
        "darts": {
            **training.DARTS,
            "epochs": 50,
            "candidates": 1000,
            "selection_batch": 64,
            "selection_batches": 10,
            "ranked_on": "augmented",
            "finalists": 10,
        },
    }
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "": {},
        "nats_2021": {"sampling": "cell", "epochs": 200, "clip": 0.0, "conv_bias": True, "plain_last": True},
    }

    def skip(self, problem: Problem) -> str | None:
        if self.sampling == "cell" and not isinstance(problem.space, Connectable):
            return f"sampling = 'cell' is NATS-Bench's; {problem.space.name} has no rule for disconnected cells"
        return training.skip(problem)

    def search(self, view: SearchView) -> Arch | None:
        from methods.one_shot.parts.passes import Forward
        from methods.one_shot.parts.search import Search

        search = Search(view, self)
        search.draw = lambda: Forward(active=self._drawn(search))
        ranked = search.ranked_images(self.candidates, self.selection_batch, self.selection_batches, self.finalists)
        at_the_end = self.selects == "at_the_end"
        for epoch in search.epochs(evaluated=ranked * at_the_end, each=ranked * (not at_the_end)):
            with search.until_spent():
                for batch in search.steps(search.task.batches("train", self.batch, epoch)):
                    search.step_weights(search.loss(batch, Forward(active=self._drawn(search))))
                if self.selects == "every_epoch":
                    view.propose(self._selected(search))
            search.record(search.draw())
        selected = None if self.selects == "every_epoch" else self._selected(search)
        images = min(PROBED_IMAGES, search.task.images["valid"]) if search.schedule.fitted else PROBED_IMAGES
        with search.net.unmetered():
            for arch in (view.space.sample(search.rng) for _ in range(self.probed)):
                view.probe(arch, *search.validate(Forward(active=search.net.active_for(arch)), images))
        return selected

    def _selected(self, search: Search) -> Arch:
        drawn, images = self._candidates(search), self.ranked_on
        return search.best_of(drawn, self.selection_batch, self.selection_batches, self.finalists, images)

    def _drawn(self, search: Search) -> Active | list[Active]:
        space, rng = search.view.space, search.rng
        if self.sampling == "cell" and isinstance(space, Connectable):
            return [search.net.active_for(space.sample_connected(rng)) for _ in range(search.net.cells)]
        return search.net.active_for(space.sample(rng))

    def _candidates(self, search: Search) -> list[Arch]:
        """Draw the candidates uniformly from the space, including disconnected cells. Those of NATS-Bench are distinct."""
        space = search.view.space
        drawn: list[Arch] = []
        while len(drawn) < self.candidates:
            arch = space.sample(search.rng)
            if self.sampling == "network" or arch not in drawn or len(set(drawn)) == space.size:
                drawn.append(arch)
        return drawn


@runtime_checkable
class Connectable(Protocol):
    """A space that can sample without the cells in which a node has no input."""

    def sample_connected(self, rng: random.Random) -> Arch: ...
