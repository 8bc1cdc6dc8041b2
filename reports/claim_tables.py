"""The claims of the papers with the results of their tests, as tables and lists of a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.analysis.claims import Claim, Tested
from harness.analysis.published import PAPERS
from reports.formats import MISSING, with_interval
from reports.layout import Bullets, Column, Table


def table(tested: Mapping[Claim, Sequence[Tested]]) -> Table:
    """Return the table of some claims with their results, a line for each setting."""
    names = ("claim", "result", "effect [95 %]", "n", "compared", "tested under, or why not", "in the paper")
    lines = Table(
        "Effect: mean over searches with its 95 % interval, of the row alone or minus (divided by) the other row in the same "
        "world. Claims are not corrected for their number.",
        [Column(text, right=text in names[2:4]) for text in names],
    )
    for claim, results in tested.items():
        for result in results:
            digits = 3 if abs(result.effect) < 1 else 2
            effect = with_interval(result.effect, result.interval, digits, sign=claim.test == "difference")
            place = f"{PAPERS[claim.paper]}, {claim.place}"
            lines.add([claim.says, result.verdict, effect, str(result.n or MISSING), compared(claim), result.where, place])
    return lines


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
