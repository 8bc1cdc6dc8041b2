"""BOHB: Hyperband's successive halving, with a kernel density model that proposes configurations.

It reproduces the behaviour of the reference implementation (HpBandSter) on categorical spaces, including its quirks, because
the published rows were made with it. The normal-reference bandwidth of the *category numbers* is clipped below but not above,
so the value ``1 - h`` of a kernel may be negative. A density whose data have a single category is infinite elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.multi_trial.parts.recorded import first_recorded


@dataclass(frozen=True)
class Bohb:
    """BOHB: successive halving whose new configurations come from the ratio of a good and a bad density.

    ``nb201_2020`` is the row of the NAS-Bench-201 paper: rungs 22.2 / 66.7 / 200, whose value the oracle ignores. Every
    evaluation, including promotions, is the protocol's short training and is charged. Only top-rung runs become incumbent;
    until there is one, the proposal is the best run seen.
    ``nats_2021`` is the row of NATS-Bench: rungs are epochs 1 / 4 / 12, and the best run wins (D-39). ``nb1shot1_2020`` is
    the 1Shot1 paper's script on NAS-Bench-101: rungs are epochs 4 / 12 / 36 / 108.
    """

    min_budget: Annotated[float, "lower bound of the smallest rung"] = 12
    max_budget: Annotated[float, "top rung"] = 200
    eta: Annotated[float, "one of eta configurations is promoted"] = 3
    brackets: Annotated[int, "Hyperband iterations"] = 50
    fidelity: Annotated[Literal["ignored", "epochs"], "what a rung is to the oracle (D-39)"] = "ignored"
    incumbent: Annotated[Literal["top_rung", "best_seen"], "runs that may become the proposal"] = "top_rung"
    num_samples: Annotated[int, "candidates that are compared by density ratio"] = 4
    random_fraction: Annotated[float, "share of configurations drawn uniformly"] = 0.0
    top_percent: Annotated[int, "percentage of runs that train the good density"] = 15
    min_bandwidth: Annotated[float, "lower bound of the kernel bandwidths; there is no upper bound"] = 0.3

    reference: ClassVar[str] = "Falkner et al. 2018, arXiv:1807.01774; Dong & Yang 2020, arXiv:2001.00326"
    citations: ClassVar[tuple[str, ...]] = ("falkner2018bohb", "dong2020nasbench201")
    pure: ClassVar[bool] = True
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "nb201_2020": {},
        "nats_2021": {"min_budget": 1, "max_budget": 12, "brackets": 300, "fidelity": "epochs", "incumbent": "best_seen"},
        "nb1shot1_2020": {
            "min_budget": 4,
            "max_budget": 108,
            "brackets": 280,
            "fidelity": "epochs",
            "num_samples": 64,
            "random_fraction": 0.33,
        },
    }

    def __post_init__(self) -> None:
        if not 0 < self.min_budget <= self.max_budget:
            raise ValueError("budgets must satisfy 0 < min_budget <= max_budget")
        if not self.eta > 1:
            raise ValueError("eta must be above 1")
        if self.fidelity not in ("ignored", "epochs") or self.incumbent not in ("top_rung", "best_seen"):
            raise ValueError("fidelity is 'ignored' or 'epochs'; incumbent is 'top_rung' or 'best_seen'")

    def rungs(self) -> list[float]:
        """Return the budgets of successive halving: ascending, a factor ``eta`` apart, up to ``max_budget``."""
        count = -int(math.log(self.min_budget / self.max_budget) / math.log(self.eta)) + 1
        return [self.max_budget * self.eta**-i for i in reversed(range(count))]

    def bracket(self, iteration: int) -> list[tuple[float, int]]:
        """Return (budget, configurations) of each stage of one bracket, by HpBandSter's rule."""
        rungs = self.rungs()
        s = len(rungs) - 1 - iteration % len(rungs)
        first = (len(rungs) // (s + 1)) * self.eta**s
        return [(rungs[len(rungs) - 1 - s + i], max(int(first * self.eta**-i), 1)) for i in range(s + 1)]

    def skip(self, problem: Problem) -> str | None:
        missing = [int(rung) for rung in self.rungs() if int(rung) not in problem.fidelities]
        if self.fidelity == "epochs" and missing:
            epochs = ", ".join(map(str, missing))
            return f"needs validation accuracy after epoch {epochs}, which this table does not record"
        return None

    def search(self, view: SearchView) -> None:
        model = _Model(self, view)
        best = seen = -math.inf
        for iteration in range(self.brackets):
            ran: list[tuple[float, Arch]] = []
            for stage, (rung, count) in enumerate(self.bracket(iteration)):
                top = rung == self.max_budget
                ranking = sorted(range(len(ran)), key=lambda i: -ran[i][0])
                # a configuration without a record on the next rung is replaced by the next in rank
                order = iter([ran[i][1] for i in (*sorted(ranking[:count]), *ranking[count:])])
                ran = []
                measure = partial(view.query, fidelity=int(rung) if self.fidelity == "epochs" else None)
                for _ in range(count):
                    try:  # a new configuration is drawn after the previous one's result is known
                        arch, observed = first_recorded(order.__next__ if stage else model.suggest, measure)
                    except StopIteration:
                        break
                    accuracy = observed.valid_accuracy
                    model.learn(rung, arch, accuracy)
                    ran.append((accuracy, arch))
                    if accuracy > best and (top or self.incumbent == "best_seen"):
                        best = accuracy
                        view.propose(arch)
                    elif best == -math.inf and accuracy > seen:
                        seen = accuracy
                        view.propose(arch)


class _Model:
    """Good and bad densities per rung. Suggestions come from the highest rung that has them."""

    def __init__(self, settings: Bohb, view: SearchView) -> None:
        self.settings = settings
        self.space, self.rng = view.space, view.rng
        self.min_points = len(view.space.cardinalities) + 1
        self.runs: dict[float, tuple[list[Arch], list[float]]] = {}
        self.densities: dict[float, tuple[CategoricalDensity, CategoricalDensity]] = {}

    def learn(self, rung: float, arch: Arch, accuracy: float) -> None:
        if self.densities and max(self.densities) > rung:
            return
        archs, accuracies = self.runs.setdefault(rung, ([], []))
        archs.append(arch)
        accuracies.append(accuracy)
        n, d = len(archs), len(self.space.cardinalities)
        if n < self.min_points:
            return
        good = max(self.min_points, self.settings.top_percent * n // 100)
        bad = max(self.min_points, (100 - self.settings.top_percent) * n // 100)
        order = np.argsort(-np.array(accuracies), kind="stable")
        data = np.array(archs)[order]
        if good > d and len(data[good : good + bad]) > d:
            floor, sizes = self.settings.min_bandwidth, self.space.cardinalities
            parts = data[:good], data[good : good + bad]
            self.densities[rung] = (CategoricalDensity(parts[0], floor, sizes), CategoricalDensity(parts[1], floor, sizes))

    def suggest(self) -> Arch:
        rng = self.rng
        if not self.densities or rng.random() < self.settings.random_fraction:
            return self.space.sample(rng)
        good, bad = self.densities[max(self.densities)]
        before = rng.getstate()
        candidates = [self._near(good) for _ in range(self.settings.num_samples)]
        best, lowest = None, math.inf
        for k, (numerator, denominator) in enumerate(zip(bad.at(candidates), good.at(candidates), strict=True)):
            # the order of max's arguments decides the result for NaN, as in the reference
            ratio = max(1e-32, numerator) / max(denominator, 1e-32)
            if not math.isfinite(ratio) and math.isfinite(denominator):
                rng.setstate(before)  # the reference draws no further candidate
                return [self._near(good) for _ in range(k + 1)][-1]
            if ratio < lowest:
                best, lowest = candidates[k], ratio
        return self.space.sample(rng) if best is None else best

    def _near(self, good: CategoricalDensity) -> Arch:
        """Draw from the kernels around one of the good configurations."""
        rand = self.rng.random
        center = good.rows[int(rand() * len(good.rows))]
        return tuple(
            [
                value if rand() < 1 - width else int(rand() * size)
                for value, width, size in zip(center, good.widths, self.space.cardinalities, strict=True)
            ]
        )


class CategoricalDensity:
    """Product of Aitchison-Aitken kernels with normal-reference bandwidths, clipped below at ``floor``.

    For bandwidth ``h`` and ``k`` categories *seen in the data*, a kernel is ``1 - h`` for the matching category and
    ``h / (k - 1)`` for all others (infinite for k = 1).

    Args:
        data: (configurations, positions), category numbers.
        floor: lower bound of the bandwidths.
        sizes: number of categories per position.
    """

    def __init__(self, data: np.ndarray, floor: float, sizes: Sequence[int]) -> None:
        n, d = data.shape
        self.rows: list[Sequence[int]] = data.tolist()
        width = np.maximum(1.06 * data.std(axis=0) * n ** (-1.0 / (4 + d)), floor)
        self.widths: list[float] = width.tolist()
        seen = np.array([len(set(column)) for column in data.T.tolist()])
        with np.errstate(divide="ignore"):
            elsewhere = width / (seen - 1)
        columns = zip(data.T, 1.0 - width, elsewhere, sizes, strict=True)
        # per position: (categories, configurations)
        self._kernels = [np.where(column == np.arange(k)[:, None], match, other) for column, match, other, k in columns]

    def at(self, archs: Sequence[Arch]) -> list[float]:
        """Return the values of the density. They may be negative, infinite or NaN, as in the reference."""
        first, *rest = [kernels[list(values)] for kernels, values in zip(self._kernels, zip(*archs, strict=True), strict=True)]
        with np.errstate(invalid="ignore"):
            for kernels in rest:
                first *= kernels
            values: list[float] = (first.sum(axis=1) / len(self.rows)).tolist()
        return values
