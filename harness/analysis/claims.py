"""What the papers conclude, tested on stored runs: a sentence of ``reports/claims.toml``, its place in the paper, its test."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, nan
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from harness.analysis.measures import MEASURES, Of, most
from harness.analysis.statistics import Interval, mean_interval, smallest_p
from harness.analysis.study import Study

FILE = Path(__file__).parents[2] / "reports" / "claims.toml"
NOT_TESTED = "not tested here"
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
ELSEWHERE = {
    SUPPORTED: "observed on {}",
    CONTRADICTED: "opposite observed on {}",
    UNDECIDED: "undecided on {}",
}
"""The words for a test under other rules, on other data or of another quantity than the paper's."""
RULES = {
    "supported, contradicted": "in the paper's own setting, the interval lies on the claimed side of the bound, or opposite",
    "observed, opposite observed": "the same in another setting, such as the bundled digits",
    "undecided": "the interval contains the bound, or there is none: fewer than 3 searches, or 6 with equal values",
}


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, and its test."""

    paper: str
    place: str
    """Section, table or figure."""
    quote: str
    """The words of the paper."""
    says: str
    """The sentence that is tested."""
    measure: str = ""
    """A name in :data:`harness.analysis.measures.MEASURES`; empty: the claim is not tested, see ``reason``."""
    row: str = ""
    against: str = ""
    """The row that ``row`` is compared with, world by world; empty: ``row`` alone is compared with ``bound``."""
    test: Literal["difference", "ratio", "mean"] = "difference"
    """``difference``: row − against; ``ratio``: row / against, geometric mean; ``mean``: of the row."""
    sign: Literal[">", "<", "="] = ">"
    """The effect is above ``bound``, below it, or within ±``bound``."""
    bound: float = 0.0
    main: bool = False
    """True for the claims that stand first."""
    on: tuple[str, ...] = ()
    """``PROTOCOL BENCHMARK`` of the paper's own setting; none for a test error or the time of a search, see the file."""
    also: tuple[str, ...] = ()
    """``PROTOCOL BENCHMARK`` of other settings that can test the sentence."""
    reason: str = ""


class Tested(NamedTuple):
    """A claim under one protocol on one benchmark: the effect with its interval over n searches (pairs, or of one row)."""

    where: str
    """Protocol, benchmark and what is different from the paper's setting; or why the claim is not tested."""
    verdict: str
    effect: float = nan
    interval: Interval | None = None
    n: int = 0
    study: Study | None = None
    benchmark: str = ""

    @property
    def equal(self) -> bool:
        """Return whether all searches, three or more, have the same value."""
        return self.n > 2 and (self.interval is None or self.interval.low == self.interval.high)


@cache
def load() -> tuple[Claim, ...]:
    """Read the claims. Raises ValueError, with the sentence, if a claim has neither a measure nor a reason, or both."""
    lines: list[dict[str, Any]] = tomllib.loads(FILE.read_text())["claim"]
    claims = tuple(Claim(**(line | {name: tuple(line.get(name, ())) for name in ("on", "also")})) for line in lines)
    for claim in claims:
        if bool(claim.measure) == bool(claim.reason) or claim.measure not in ("", *MEASURES):
            raise ValueError(f"the claim {claim.says!r} needs a known measure, or the reason why it is not tested")
    return claims


def results(claim: Claim, studies: Sequence[Study]) -> Iterator[Tested]:
    """Yield the result of a claim for each of its settings that has runs, see :func:`harness.analysis.measures.most`."""
    for place in (*claim.on, *claim.also) if claim.measure else ():
        protocol, benchmark = place.split()
        under = [study for study in studies if study.page.protocol == protocol]
        study, values = most((study, _sample(claim, Of(study, benchmark, claim.row, claim.against))) for study in under)
        if study is not None:
            effect, interval = _effect(claim, values)
            verdict = decide(claim, interval)
            obstacle = study.obstacle(benchmark, claim.row)
            if obstacle or place not in claim.on:
                verdict = ELSEWHERE[verdict].format("digits" if benchmark.endswith("digits") else benchmark)
            where = filter(None, (protocol, benchmark, study.common_budget(benchmark), obstacle if place in claim.on else ""))
            yield Tested(", ".join(where), verdict, effect, interval, len(values), study, benchmark)


def _sample(claim: Claim, of: Of) -> np.ndarray:
    """Return one number per world: the measure of the row, or its difference or logarithmic ratio to that of the other row."""
    measure = MEASURES[claim.measure]
    values = measure(of)
    if claim.test != "mean":
        theirs = measure(of.swapped())
        values = values / theirs if claim.test == "ratio" else values - theirs  # by world
    numbers = values.to_numpy(dtype=float)
    known: np.ndarray = numbers[np.isfinite(numbers)]
    return np.log(known) if claim.test == "ratio" else known


def _effect(claim: Claim, values: np.ndarray) -> tuple[float, Interval | None]:
    """Return the effect and its 95 % interval by :func:`harness.analysis.statistics.mean_interval`.

    Equal values show no spread. They have an interval, a point, from 6 on: then they cover the median with 95 %.
    """
    mean, interval = float(values.mean()), mean_interval(values)
    if np.ptp(values) < 1e-9 and smallest_p(len(values)) > 0.05:
        interval = None
    if claim.test == "ratio":
        return exp(mean), interval and Interval(exp(interval.low), exp(interval.high))
    return mean, interval


def decide(claim: Claim, interval: Interval | None) -> str:
    """Return whether the interval lies on the claimed side of the bound, on the other side, or contains it."""
    if interval is None:
        return UNDECIDED
    if claim.sign == "=":
        inside = -claim.bound <= interval.low and interval.high <= claim.bound
        return SUPPORTED if inside else CONTRADICTED if interval.outside(claim.bound) else UNDECIDED
    above, below = interval.low > claim.bound, interval.high < claim.bound
    if not (above or below):
        return UNDECIDED
    return SUPPORTED if above == (claim.sign == ">") else CONTRADICTED
