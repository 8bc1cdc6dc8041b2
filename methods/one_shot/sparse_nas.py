from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from harness.problem import Problem
from harness.view import SearchView
from methods.one_shot.parts import operations as subsets
from methods.one_shot.parts import training


@dataclass(frozen=True)
class SparseNas(training.WeightTraining):
    """SparseNAS: real weights on all operations under a sparse group lasso; proximal steps make most of them zero (eq. 2).

    A group is all weights that enter a node. On NAS-Bench-201 an edge takes its operation of largest absolute weight, and is
    ``none`` if all its weights are zero. In the DARTS space every operation with weight stays.
    """

    lr_end: Annotated[float, "learning rate after the last epoch of the cosine"] = 0.0
    nesterov: Annotated[bool, "use Nesterov momentum"] = False
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 3e-4
    optimiser: Annotated[
        Literal["hapg", "adam_hapg", "adam"], "optimiser of the architecture; Adam alone needs a threshold at the end"
    ] = "hapg"
    arch_lr: Annotated[float, "step size of the architecture"] = 0.025
    arch_cosine: Annotated[bool, "the step size falls in proportion to the weights' learning rate"] = True
    mixture: Annotated[float, "share of the l1 term in the penalty (alpha)"] = 0.5
    first_strength: Annotated[float, "lambda in the first epoch (D-19)"] = 0.01
    strength_step: Annotated[float, "increase of lambda per epoch"] = 0.01
    initial: Annotated[float, "initial architecture weights; 0: one over the number of operations (D-16)"] = 0.0
    second_order: Annotated[bool, "the architecture's gradient looks through one step of the weights"] = True
    tolerance: Annotated[
        float, "absolute weights up to this count as zero: 0 for the proximal methods (D-17), Adam needs a threshold (D-83)"
    ] = 0.0

    operations: Annotated[
        subsets.Subset,
        "operations of the space; cherry_picked: sep_conv_3x3 and skip_connect in normal cells, skip_connect and max_pool_3x3 "
        "in reduction cells; five: those of CoNAS' Table 6 (D-67)",
    ] = "all"

    reference: ClassVar[str] = "arXiv:2009.08966"
    citations: ClassVar[tuple[str, ...]] = ("wu2021sparsenas",)
    settings: ClassVar[dict[str, dict[str, object]]] = {"darts": training.DARTS}
    remarks: ClassVar[dict[str, str]] = {"nb201": "The use of SparseNAS on NAS-Bench-201 is this project's; no paper has it."}
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "hapg": {},
        "adam_hapg": {"optimiser": "adam_hapg", "arch_lr": 3e-4, "arch_cosine": False},
        "adam": {"optimiser": "adam", "arch_lr": 3e-4, "arch_cosine": False, "tolerance": 1e-3},
        "cherry_picked": {"optimiser": "adam_hapg", "arch_lr": 3e-4, "arch_cosine": False, "operations": "cherry_picked"},
    }

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem, *subsets.choices(self.operations), on_edges=True)

    def search(self, view: SearchView) -> None:
        from methods.one_shot.parts import sparse

        sparse.search(view, self)
