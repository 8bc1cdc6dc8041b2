"""What the papers conclude, tested on stored runs: ``claims.toml`` has a sentence, its place in the paper and its test."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.special import betaincinv

from reports.formats import MISSING, with_interval
from reports.layout import Block, Bullets, Cited, Column, Heading, Table
from reports.measures import MEASURES, Of
from reports.published import CITATIONS, PAPERS
from reports.statistics import Interval, mean_interval
from reports.study import Study

FILE = Path(__file__).with_name("claims.toml")
NOT_TESTED = "not tested here"
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
ELSEWHERE = {
    SUPPORTED: "observed on {}",
    CONTRADICTED: "not observed on {}: the opposite",
    UNDECIDED: "not observed on {}: open",
}
"""The words for a test under other rules or on other data than the paper's. It neither supports nor contradicts the paper."""


NAMES = ("claim", "in the paper", "compared", "tested", "result", "effect [95 %]", "n")


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
    """A name in :data:`reports.measures.MEASURES`; empty: the claim is not tested, see ``reason``."""
    row: str = ""
    against: str = ""
    """The row that ``row`` is compared with, world by world; empty: ``row`` alone is compared with ``bound``."""
    test: Literal["difference", "ratio", "mean", "share"] = "difference"
    """``difference``: row − against; ``ratio``: row / against, geometric mean; ``mean``: of the row; ``share``: of the row's
    searches whose measure is beyond ``bound``, which must be more than one half."""
    sign: Literal[">", "<", "="] = ">"
    """The effect is above ``bound``, below it, or within ±``bound``."""
    bound: float = 0.0
    target: str = ""
    on: tuple[str, ...] = ()
    """``PROTOCOL BENCHMARK`` of the paper's own setting."""
    also: tuple[str, ...] = ()
    """``PROTOCOL BENCHMARK`` of other settings that can test the sentence."""
    reason: str = ""


class Tested(NamedTuple):
    """A claim under one protocol on one benchmark: the effect with its interval over n searches (pairs, or of one row)."""

    where: str
    verdict: str
    effect: float
    interval: Interval | None
    n: int


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
    """Yield the result of a claim for each of its settings that has runs; of several studies, that with the most pairs."""
    for place in (*claim.on, *claim.also) if claim.measure else ():
        protocol, benchmark = place.split()
        samples = [
            (study, _sample(claim, Of(study, benchmark, claim.row, claim.against, claim.target)))
            for study in studies
            if study.page.protocol == protocol
        ]
        study, values = max(samples, key=lambda sample: len(sample[1]), default=(None, np.empty(0)))
        if study is not None and len(values):
            effect, interval = _effect(claim, values)
            verdict = decide(claim, interval)
            obstacle = study.obstacle(benchmark, claim.row)
            if obstacle or place not in claim.on:
                verdict = ELSEWHERE[verdict].format("digits" if benchmark.endswith("digits") else benchmark)
            where = filter(None, (protocol, benchmark, study.common_budget(benchmark), obstacle if place in claim.on else ""))
            yield Tested(", ".join(where), verdict, effect, interval, len(values))


def _sample(claim: Claim, of: Of) -> np.ndarray:
    """Return one number per world: the measure of the row, or its difference or logarithmic ratio to that of the other row."""
    measure = MEASURES[claim.measure]
    ours = measure(of)
    if claim.test in ("mean", "share"):
        return ours.to_numpy(dtype=float)
    theirs = measure(of.swapped())
    pairs = (ours / theirs if claim.test == "ratio" else ours - theirs).to_numpy(dtype=float)  # by world
    known: np.ndarray = pairs[np.isfinite(pairs)]
    return np.log(known) if claim.test == "ratio" else known


def _effect(claim: Claim, values: np.ndarray) -> tuple[float, Interval | None]:
    """Return the effect and its 95 % interval: Student t or bootstrap, Clopper and Pearson's for a share."""
    if claim.test == "share":
        n, k = len(values), int((values > claim.bound if claim.sign == ">" else values < claim.bound).sum())
        low = float(betaincinv(k, n - k + 1, 0.025)) if k else 0.0
        return k / n, Interval(low, float(betaincinv(k + 1, n - k, 0.975)) if k < n else 1.0)
    mean, interval = float(values.mean()), mean_interval(values)
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
    bound, sign = (0.5, ">") if claim.test == "share" else (claim.bound, claim.sign)
    above, below = interval.low > bound, interval.high < bound
    if not (above or below):
        return UNDECIDED
    return SUPPORTED if above == (sign == ">") else CONTRADICTED


def blocks(studies: Sequence[Study]) -> list[Block]:
    """Return a table of the claims of each paper, and the words of the papers."""
    shown: list[Block] = []
    for paper, name in PAPERS.items():
        table = Table(
            "Effect: mean over searches with its 95 % interval, of the row alone or minus (divided by) the other row in the "
            "same world. A claim is decided if the interval lies on one side of its bound; claims are not corrected for their "
            "number. A result under other rules or on other data than the paper's is called observed or not observed.",
            [Column(text, right=text in NAMES[5:]) for text in NAMES],
        )
        for claim in (claim for claim in load() if claim.paper == paper):
            first = [claim.says, Cited(claim.place, [CITATIONS[paper]]), compared(claim)]
            tests = list(results(claim, studies))
            why = claim.reason or f"no stored runs under {', '.join((*claim.on, *claim.also))}"
            for result in tests or [Tested(why, NOT_TESTED, float("nan"), None, 0)]:
                digits = 3 if abs(result.effect) < 1 else 2
                effect = with_interval(result.effect, result.interval, digits, sign=claim.test == "difference")
                table.add([*first, result.where, result.verdict, effect, str(result.n or MISSING)])
        quotes = [(claim.place, f"“{claim.quote}”") for claim in load() if claim.paper == paper]
        shown += [Heading(f"Claims of {name}"), table, Bullets(quotes)]
    return shown


def compared(claim: Claim) -> str:
    """Return the test of a claim in words: ``test error, conas − rsps < 0``."""
    if not claim.measure:
        return MISSING
    other = {"difference": f" − {claim.against}", "ratio": f" / {claim.against}"}
    rows = claim.row + other.get(claim.test, "")
    bound = f"within ±{claim.bound:g}" if claim.sign == "=" else f"{claim.sign} {claim.bound:g}"
    return f"{claim.measure}, {rows} {bound}" + (" in most searches" if claim.test == "share" else "")
