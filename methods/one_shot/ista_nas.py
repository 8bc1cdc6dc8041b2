from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from harness.weight_sharing import Pairing
from methods.one_shot.parts import training


@dataclass(frozen=True)
class IstaNas(training.WeightTraining):
    """ISTA-NAS: for each node a short dense vector b, from which sparse coding recovers the few connections to execute.

    ``one_stage`` trains the weights and b by the same gradients on all images, until every node has settled. In the DARTS
    space the supernet is the network to deploy: it goes on training, and its norms absorb the weights of the operations
    (D-13, D-15).

    No paper uses it on NAS-Bench-201; that transfer is this project's. The candidates of a node are its edges times the four
    operations other than ``none``. A cell has one operation per edge, so the selected connections of a node are on different
    edges; the other edges are ``none``. One stage stops once every node has settled, and the norms have no scale and shift: the
    table replaces the further training. Two things differ from the DARTS space, in both stages:

    * The weights of the operations are near 0.001 at first. In the DARTS space convolutions and poolings end in norms, and
      each cell begins with norms. Here norms without scale follow poolings, skip connections and cells (``normed``, D-43);
      without them the signal is smaller by that factor in each cell.
    * A first cell without a convolution between input and output is linear, and its supernet learns next to nothing. Then b
      and the matrices are drawn again (``redraw``, D-45).

    In every space a node settles by its movement per step, because epochs have other lengths than on CIFAR-10 (D-44).
    """

    batch: Annotated[int, "images per step"] = 256
    lr: Annotated[float, "learning rate of the weights in the first epoch"] = 0.1
    lr_ahead: Annotated[int, "the schedule is this many epochs ahead (1: the scheduler steps before the first epoch)"] = 1
    nesterov: Annotated[bool, "use Nesterov momentum"] = False
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 3e-4
    arch_lr: Annotated[float, "Adam's learning rate of b"] = 6e-4
    arch_decay: Annotated[float, "L2 penalty on b"] = 1e-3
    pairing: Annotated[
        Pairing, "two stages: the validation images of a step, by the space's rule, or all in turn as in the code (D-64)"
    ] = "space"
    connections: Annotated[int, "connections per node (s), at most as many as it has inputs"] = 2
    penalty: Annotated[float, "penalty of the Lasso (gamma)"] = 1e-5
    one_stage: Annotated[bool, "one loss on all images moves weights and b, until every node has settled"] = False
    normed: Annotated[bool, "norms without scale also follow poolings, skip connections and cells (D-43)"] = False
    redraw: Annotated[bool, "draw b and its matrices again until the first cells are not linear (D-45)"] = True
    settled: Annotated[
        float, "a node has settled if its recovered vector moves by no more than this in an epoch after the first"
    ] = 1e-3
    settled_steps: Annotated[
        int, "steps of such an epoch; in an epoch of other length the limit is in proportion (D-44); 0: any epoch"
    ] = 521

    target_channels: Annotated[int, "one stage: channels of the first cells of the deployed network; 0: as in a search"] = 0
    target_cells: Annotated[int, "one stage: cells of the deployed network, with affine norms; 0: as in a search"] = 0
    auxiliary: Annotated[float, "one stage: weight of the auxiliary head's loss"] = 0.0
    largest: Annotated[float, "one stage: cells of this many million parameters or more are rejected (D-14); 0: none"] = 0.0
    settling: Annotated[int, "one stage: epochs at the search's rate after the last node has settled (D-62)"] = 0
    continued: Annotated[int, "one stage: further epochs after them; the rate falls to lr_last"] = 0
    lr_last: Annotated[float, "one stage: learning rate after the further epochs"] = 0.001
    drop_path: Annotated[float, "one stage: probability that drop-path reaches linearly in the further epochs"] = 0.0
    cutout: Annotated[int, "one stage: side of the square that is cut out of every training image; 0: none"] = 0

    reference: ClassVar[str] = "arXiv:2010.06176"
    citations: ClassVar[tuple[str, ...]] = ("yang2020istanas",)
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "darts": {
            **training.DARTS,
            "pairing": "iterate",
            "target_channels": 36,
            "target_cells": 20,
            "auxiliary": 0.4,
            "largest": 3.7,
            "settling": 1,
            "continued": 600,
            "drop_path": 0.2,
            "cutout": 16,
        },
        "nb201": {"normed": True},
    }
    remarks: ClassVar[dict[str, str]] = {
        "nb201": "The use of ISTA-NAS on NAS-Bench-201 is this project's; no paper has it (D-43, D-44, D-45). "
        "One stage ends when every node has settled, even if the budget is not spent."
    }
    proposes: ClassVar[str] = "self"
    imports: ClassVar[tuple[str, ...]] = ("sklearn.linear_model",)
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "two_stage": {},
        # the learning rate is constant during the search, which takes 600 epochs at most
        "one_stage": {
            "one_stage": True,
            "epochs": 600,
            "batch": 96,
            "lr": 0.025,
            "lr_end": 0.025,
            "arch_lr": 3e-4,
            "lr_ahead": 0,
        },
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.connections < 1:
            raise ValueError(f"connections = {self.connections} must be at least 1")

    @property
    def needs_deployable(self) -> bool:
        """True if the search needs a :class:`harness.weight_sharing.DeployableSupernet`."""
        return self.one_stage and bool(self.target_cells or self.largest)

    def tolerance(self, steps: int) -> float:
        """Return by how much the vector of a settled node moves in an epoch of ``steps`` steps, at most (D-44)."""
        return self.settled * (steps / self.settled_steps if self.settled_steps else 1.0)

    def skip(self, problem: Problem) -> str | None:
        choices = ("normed",) if self.normed else ()
        return training.skip(problem, *choices, on_edges=True, deployable=self.needs_deployable)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts import ista

        return ista.one_stage(view, self) if self.one_stage else ista.two_stage(view, self)
