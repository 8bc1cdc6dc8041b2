"""The claims of the papers with the results of their tests, as tables and lists of a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import nan

from harness.analysis.claims import UNDECIDED, Claim, Tested
from harness.analysis.published import PAPERS
from reports.addresses import linked
from reports.formats import MISSING, with_interval
from reports.layout import Bullets, Column, Table


def table(tested: Mapping[Claim, Sequence[Tested]], pages: Mapping[str, str]) -> Table:
    """Return the table of some claims with their results, a line for each setting.

    Args:
        pages: see :func:`reports.addresses.linked`.
    """
    names = ("in the paper", "claim", "result", "effect [95 %]", "n", "compared", "tested under, or why not")
    lines = Table(
        "Effect: mean over searches with its 95 % interval, of the row alone or minus (divided by) the other row in the same "
        "world. It leads to the report, n to the runs. Claims are not corrected for their number.",
        [Column(text, right=text in names[3:5]) for text in names],
    )
    for claim, results in tested.items():
        for result in results:
            digits = 3 if abs(result.effect) < 1 else 2
            effect = with_interval(result.effect, result.interval, digits, sign=claim.test == "difference")
            rows = [row for row in (claim.row, claim.against) if row]
            page = linked(effect, pages, result.study)
            runs = linked(str(result.n or MISSING), pages, result.study, result.benchmark, *rows)
            place, verdict = f"{PAPERS[claim.paper]}, {claim.place}", result.verdict + _equal(claim, result)
            lines.add([place, claim.says, verdict, page, runs, compared(claim), result.where])
    return lines


def _equal(claim: Claim, result: Tested) -> str:
    """Return in words that an undecided claim has the same value in all searches; empty for other results."""
    if not (result.equal and result.verdict.startswith(UNDECIDED)):
        return ""
    if abs(result.effect - {"difference": 0.0, "ratio": 1.0}.get(claim.test, nan)) < 1e-9:
        return f": the rows are equal in all {result.n} runs"
    return f": all {result.n} runs have the same value"


def quotes(claims: Iterable[Claim]) -> Bullets:
    """Return the papers' words by place, with the protocol and the benchmark of the paper's own setting."""
    texts = ((claim.place, f"“{claim.quote}”" + f" ({', '.join(claim.on)})" * bool(claim.on)) for claim in claims)
    return Bullets(list(dict.fromkeys(texts)))


def compared(claim: Claim) -> str:
    """Return the test of a claim in words: ``test error, conas − rsps < 0``."""
    if not claim.measure:
        return MISSING
    other = {"difference": f" − {claim.against}", "ratio": f" / {claim.against}"}
    rows = claim.row + other.get(claim.test, "")
    bound = f"within ±{claim.bound:g}" if claim.sign == "=" else f"{claim.sign} {claim.bound:g}"
    return f"{claim.measure}, {rows} {bound}"
