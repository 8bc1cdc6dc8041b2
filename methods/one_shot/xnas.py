from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class Xnas(training.WeightTraining):
    """XNAS: operations are experts, rewarded by every validation image, and wiped out once they can no longer win.

    The cells of the network share their experts. A round is one image, and its reward is the sum over the cells.
    """

    nesterov: Annotated[bool, "use Nesterov momentum"] = False
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 3e-4
    reward_bound: Annotated[float, "rewards are clipped to this (L); archai takes the clipping norm of the weights"] = 5.0

    reference: ClassVar[str] = "arXiv:1906.08031"
    citations: ClassVar[tuple[str, ...]] = ("nayman2019xnas",)
    compared_with: ClassVar[str] = "darts:bilevel"
    settings: ClassVar[dict[str, dict[str, object]]] = {"darts": training.DARTS}
    proposes: ClassVar[str] = "self"

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem, on_edges=True)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts import xnas

        return xnas.search(view, self)
