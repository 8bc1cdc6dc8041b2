from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class GaeaGdas(training.WeightTraining):
    """GAEA-GDAS: the sampling of GDAS with weights on the simplex, moved by exponentiated gradient (eq. 8).

    No paper runs it on NAS-Bench-1Shot1. There it samples as that benchmark's GDAS does, in every cell.
    """

    epochs: Annotated[int, "passes over the images that train the weights"] = 150
    nesterov: Annotated[bool, "use Nesterov momentum"] = False
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 3e-4
    arch_lr: Annotated[float, "rate of the exponentiated gradient: .1 in the paper, .01 in the released code (D-27)"] = 0.1
    warmup: Annotated[
        float,
        "share of the schedule before the architecture's first step: 0 in the paper, 50 of 150 epochs in the released code "
        "(D-27)",
    ] = 0.0
    entropic: Annotated[float, "factor of the entropic penalty: 0 in the paper, .01 in the released code (D-22)"] = 0.0
    hottest: Annotated[float, "temperature in the first epoch"] = 10.0
    order: Annotated[
        Literal["clamp_normalise", "normalise_clamp"], "order of the two projections; the released code clamps last (D-21)"
    ] = "normalise_clamp"
    floor: Annotated[float, "weights are raised to this, as in the released code; the paper has 0 (D-21)"] = 1e-5
    coldest: Annotated[float, "temperature in the last epoch"] = 0.1
    cooling: Annotated[Literal["linear", "released"], "linear: falls to coldest; released: ends at 3.4 (D-26)"] = "linear"
    noise: Annotated[Literal["network", "cell"], "a pass draws operations once for all cells, or for each (D-47)"] = "network"
    unsampled: Annotated[
        Literal["number", "nothing"], "an operation that is not drawn adds its weight as a number, or nothing (D-47)"
    ] = "number"

    reference: ClassVar[str] = "arXiv:2004.07802"
    citations: ClassVar[tuple[str, ...]] = ("li2021gaea",)
    compared_with: ClassVar[str] = "gdas"
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "nb1shot1": {**training.NB1SHOT1, "coldest": 1.0, "noise": "cell", "unsampled": "nothing"},
    }
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "": {},
        "released": {
            "arch_lr": 0.01,
            "warmup": 50 / 150,
            "entropic": 0.01,
            "cooling": "released",
            "lr_period": 50 / 150,
            "lr_restart": 0.5,
            "track_stats": True,  # D-55
        },
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        training.check_warmup(self.warmup)

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.architecture import HardGumbel, SimplexEG
        from methods.one_shot.parts.differentiable import alternate
        from methods.one_shot.parts.exponentiated import entropic_penalties
        from methods.one_shot.parts.gumbel import linear_temperature, released_temperature
        from methods.one_shot.parts.search import Search

        search = Search(view, self, none=True)
        gumbel = HardGumbel(search, self.noise, self.unsampled)
        schedule = linear_temperature if self.cooling == "linear" else released_temperature

        def begin() -> bool:
            gumbel.temperature = schedule(search.position, self.epochs, self.hottest, self.coldest, self.warmup * self.epochs)
            return search.schedule.share >= self.warmup

        return alternate(
            search,
            SimplexEG(search, self.arch_lr, self.order, floor=self.floor),
            gumbel,
            order="architecture_first",
            begin=begin,
            penalty=(lambda theta: self.entropic * entropic_penalties(theta.values)) if self.entropic else None,
        )
