"""What the papers conclude, tested on stored runs: ``claims.toml`` has a sentence, its place in the paper and its test."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, nan
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

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
"""The words for a test under other rules, on other data or of another quantity than the paper's."""
AVERAGED = "averaged over searches, each row trained by its own recipe; the paper trains one chosen cell"
ANOTHER_MACHINE = "measured on another machine"

NAMES = ("claim", "result", "effect [95 %]", "n", "compared", "tested under", "in the paper")


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
    test: Literal["difference", "ratio", "mean"] = "difference"
    """``difference``: row − against; ``ratio``: row / against, geometric mean; ``mean``: of the row."""
    sign: Literal[">", "<", "="] = ">"
    """The effect is above ``bound``, below it, or within ±``bound``."""
    bound: float = 0.0
    one_search: bool = False
    """True if the paper concludes from a single search: a single search decides here too."""
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
            obstacle = study.obstacle(benchmark, claim.row) or _other_quantity(claim)
            if obstacle or place not in claim.on:
                verdict = ELSEWHERE[verdict].format("digits" if benchmark.endswith("digits") else benchmark)
            where = filter(None, (protocol, benchmark, study.common_budget(benchmark), obstacle if place in claim.on else ""))
            yield Tested(", ".join(where), verdict, effect, interval, len(values))


def _other_quantity(claim: Claim) -> str:
    """Return why a measure is not the paper's number, or ``""``."""
    time = claim.measure.startswith("GPU") and claim.test == "mean"
    return AVERAGED if claim.measure == "test error" else ANOTHER_MACHINE if time else ""


def _sample(claim: Claim, of: Of) -> np.ndarray:
    """Return one number per world: the measure of the row, or its difference or logarithmic ratio to that of the other row."""
    measure = MEASURES[claim.measure]
    ours = measure(of)
    if claim.test == "mean":
        return ours.to_numpy(dtype=float)
    theirs = measure(of.swapped())
    pairs = (ours / theirs if claim.test == "ratio" else ours - theirs).to_numpy(dtype=float)  # by world
    known: np.ndarray = pairs[np.isfinite(pairs)]
    return np.log(known) if claim.test == "ratio" else known


def _effect(claim: Claim, values: np.ndarray) -> tuple[float, Interval | None]:
    """Return the effect and its 95 % interval by :func:`reports.statistics.mean_interval`: a point if all values are equal."""
    mean, interval = float(values.mean()), mean_interval(values)
    if claim.one_search and len(values) == 1:
        interval = Interval(mean, mean)
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


def untested(claim: Claim) -> Tested:
    """Return what a claim that was tested nowhere is shown as, with the reason in place of the setting."""
    why = claim.reason or f"no stored runs under {', '.join((*claim.on, *claim.also))}"
    return Tested(why, NOT_TESTED, nan, None, 0)


def blocks(tested: Mapping[Claim, Sequence[Tested]]) -> list[Block]:
    """Return for each paper a table of its claims with their results, and the words of the paper."""
    shown: list[Block] = []
    for paper, name in PAPERS.items():
        table = Table(
            "Effect: mean over searches with its 95 % interval, of the row alone or minus (divided by) the other row in the "
            "same world. A claim is decided if the interval, or the common value of all, lies on one side of its bound; claims "
            "are not corrected for their number. A result under other rules, on other data or of another quantity than the "
            "paper's is called observed or not observed.",
            [Column(text, right=text in NAMES[2:4]) for text in NAMES],
        )
        of_paper = {claim: results for claim, results in tested.items() if claim.paper == paper}
        for claim, results in of_paper.items():
            for result in results or [untested(claim)]:
                digits = 3 if abs(result.effect) < 1 else 2
                ends = result.interval and (None if result.interval.low == result.interval.high else result.interval)
                effect = with_interval(result.effect, ends, digits, sign=claim.test == "difference")
                if result.interval and not ends:
                    effect += f" (all {result.n} equal)" if result.n > 1 else " (one search)"
                n, place = str(result.n or MISSING), Cited(claim.place, [CITATIONS[paper]])
                table.add([claim.says, result.verdict, effect, n, compared(claim), result.where, place])
        quotes = dict.fromkeys((claim.place, f"“{claim.quote}”") for claim in of_paper)
        shown += [Heading(f"Claims of {name}"), table, Bullets(list(quotes))]
    return shown


def compared(claim: Claim) -> str:
    """Return the test of a claim in words: ``test error, conas − rsps < 0``."""
    if not claim.measure:
        return MISSING
    other = {"difference": f" − {claim.against}", "ratio": f" / {claim.against}"}
    rows = claim.row + other.get(claim.test, "")
    bound = f"within ±{claim.bound:g}" if claim.sign == "=" else f"{claim.sign} {claim.bound:g}"
    return f"{claim.measure}, {rows} {bound}"
