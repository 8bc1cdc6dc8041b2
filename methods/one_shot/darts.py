from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class Darts(training.WeightTraining):
    """DARTS: softmax mixtures on all edges, moved by Adam in turn with the weights; the best operations are selected.

    ``second_order`` is eq. 7 and 8. On NAS-Bench-201 the search with ``none`` ends in a cell of skip connections; nothing here
    prevents that.
    """

    objective: Annotated[
        Literal["bilevel", "erm"], "bilevel: the architecture trains on validation images; erm: both train on all images"
    ] = "bilevel"
    second_order: Annotated[bool, "the architecture's gradient looks through one step of the weights"] = False
    order: Annotated[Literal["weights_first", "architecture_first"], "order of the two steps on a pair"] = "weights_first"
    none: Annotated[bool, "'none' is one of the operations"] = True
    arch_lr: Annotated[float, "Adam's learning rate of the architecture"] = 3e-4
    arch_decay: Annotated[float, "L2 penalty on the logits"] = 1e-3
    clip_arch: Annotated[bool, "the clipped norm counts the architecture's gradients too"] = True

    reference: ClassVar[str] = "arXiv:1806.09055"
    citations: ClassVar[tuple[str, ...]] = ("liu2019darts",)
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "darts": {**training.DARTS, "order": "architecture_first", "clip_arch": False},
        # 1Shot1's code has 50 epochs by default; its scripts run 25, and 100 with cutout
        "nb1shot1": {**training.NB1SHOT1, "epochs": 50, "order": "architecture_first", "clip_arch": False},
    }
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "bilevel": {},
        "second_order": {"second_order": True, "order": "architecture_first"},
        # without the operation that DARTS prefers here; all other settings are the script's
        "no_none": {"none": False},
        # a row of the GAEA paper: without 'none', and with its training
        "erm": {
            "objective": "erm",
            "none": False,
            "order": "architecture_first",
            "clip_arch": False,
            "epochs": 25,
            "lr_period": 2.0,
            "nesterov": False,
            "weight_decay": 3e-4,
        },
    }

    def skip(self, problem: Problem) -> str | None:
        side = problem.training
        if side is not None and not self.none and side.operations_on == "nodes":
            return "leaves out 'none', which no cell of this space has"
        return training.skip(problem)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.architecture import SoftmaxAdam
        from methods.one_shot.parts.differentiable import alternate
        from methods.one_shot.parts.search import Search

        search = Search(view, self, none=self.none)
        return alternate(
            search,
            SoftmaxAdam(search, self.arch_lr, self.arch_decay),
            objective=self.objective,
            order=self.order,
            unrolled=self.second_order,
            clip_architecture=self.clip_arch,
        )
