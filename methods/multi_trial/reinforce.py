from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from harness.space import Arch
from harness.view import SearchView
from methods.multi_trial.parts.recorded import first_recorded


@dataclass(frozen=True)
class Reinforce:
    """REINFORCE: policy gradient on logits per position, with a moving-average baseline and Adam.

    The loss of a sample is ``-sum(log pi(a)) * (reward - baseline)``, with the reward in percent (METHODS of NAS-Bench-201).
    The learning rate is documented as 0.5, 0.001 and 0.01 in three places, so each is a row (D-38). ``nb1shot1_2020`` is the
    1Shot1 paper's script: plain gradient ascent from uniform policies, with the reward as a share of 1. The budget decides
    whether the evaluation that crosses the limit counts (D-74).
    """

    lr: Annotated[float, "Adam's learning rate (D-38)"] = 0.01
    momentum: Annotated[float, "momentum of the reward baseline, which is bias-corrected and updated before use"] = 0.9
    init_scale: Annotated[float, "standard deviation of the initial logits"] = 1e-3
    betas: Annotated[tuple[float, float], "Adam's decay rates"] = (0.9, 0.999)
    optimizer: Annotated[Literal["adam", "sgd"], "Adam, or plain gradient steps"] = "adam"
    reward: Annotated[Literal["percent", "share"], "accuracy in percent, or as a share of 1"] = "percent"

    reference: ClassVar[str] = "Williams 1992; Dong & Yang 2020, arXiv:2001.00326"
    citations: ClassVar[tuple[str, ...]] = ("williams1992reinforce", "dong2020nasbench201")
    pure: ClassVar[bool] = True
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "lr_0.01": {"lr": 0.01},
        "lr_0.001": {"lr": 0.001},
        "lr_0.5": {"lr": 0.5},
        "nb1shot1_2020": {"lr": 0.1, "init_scale": 0.0, "optimizer": "sgd", "reward": "share"},
    }

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError("lr must be above zero")
        if not 0 <= self.momentum < 1:
            raise ValueError("momentum must be in [0, 1)")
        if self.optimizer not in ("adam", "sgd") or self.reward not in ("percent", "share"):
            raise ValueError("optimizer is 'adam' or 'sgd'; reward is 'percent' or 'share'")

    def search(self, view: SearchView) -> None:
        sizes = view.space.cardinalities
        rng = np.random.default_rng(view.seed("reinforce"))
        logits = self.init_scale * rng.standard_normal((len(sizes), max(sizes)))
        logits[np.arange(max(sizes)) >= np.array(sizes)[:, None]] = -np.inf  # positions with fewer choices
        rows = np.arange(len(sizes))
        mean, square = np.zeros_like(logits), np.zeros_like(logits)
        (beta1, beta2), step = self.betas, 0
        numerator = denominator = 0.0
        unit = 1.0 if self.reward == "percent" else 0.01
        while True:
            policy = np.exp(logits - logits.max(axis=1, keepdims=True))
            policy /= policy.sum(axis=1, keepdims=True)
            cumulative = policy.cumsum(axis=1)

            def draw(cumulative: np.ndarray = cumulative) -> Arch:
                below = cumulative <= rng.random((len(sizes), 1))
                return tuple(np.minimum(below.sum(axis=1), np.array(sizes) - 1).tolist())

            actions, observed = first_recorded(draw, view.query)
            reward = unit * observed.valid_accuracy

            numerator = self.momentum * numerator + (1 - self.momentum) * reward
            denominator = self.momentum * denominator + (1 - self.momentum)
            gradient = policy
            gradient[rows, actions] -= 1.0
            gradient *= reward - numerator / denominator
            if self.optimizer == "sgd":
                logits = logits - self.lr * gradient
                continue

            step += 1
            mean = beta1 * mean + (1 - beta1) * gradient
            square = beta2 * square + (1 - beta2) * gradient**2
            logits = logits - self.lr * (mean / (1 - beta1**step)) / (np.sqrt(square / (1 - beta2**step)) + 1e-8)
