"""The verdict rules, by hand and by property."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics import Difference
from reports.verdict import (
    CONSISTENT,
    DIFFERS,
    LETTERS,
    MARGINS,
    NOT_COMPARABLE,
    NOT_MEASURED,
    REPRODUCED,
    UNCLEAR,
    VERDICTS,
    Verdict,
    judge_difference,
    judge_row,
    judge_target,
)


def line(
    mean: float = 93.70, std: float = 0.36, n: float = 500.0, n_source: str = "printed", record: str = "ori-test"
) -> dict[str, float | str]:
    return {"mean": mean, "std": std, "n": n, "n_source": n_source, "record": record}


def runs(mean: float, std: float, n: int) -> list[float]:
    """Return values with exactly this mean and ddof-0 standard deviation."""
    values = np.random.default_rng(0).normal(size=n)
    return list(mean + std * (values - values.mean()) / values.std())


DIFFERENCES = st.builds(Difference, st.floats(-3, 3), st.floats(0, 2), st.floats(1, 1000))
VERDICT_SETS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]),
    st.builds(lambda name, p: Verdict(name, "why", None, (), p * 0.05 if name == DIFFERS else 0.05 + 0.95 * p),
              st.sampled_from(VERDICTS), st.floats(0, 0.999)),
    min_size=1,
)  # fmt: skip


@given(DIFFERENCES, st.floats(0.05, 2))
def test_every_difference_has_exactly_one_verdict_symmetric_in_sign(difference: Difference, margin: float) -> None:
    name = judge_difference(difference, margin)
    assert name in (REPRODUCED, DIFFERS, CONSISTENT, UNCLEAR)
    assert name == judge_difference(Difference(-difference.delta, difference.se, difference.df), margin)


@given(DIFFERENCES, st.floats(0.05, 2))
def test_reproduced_means_close_and_differs_means_far(difference: Difference, margin: float) -> None:
    name = judge_difference(difference, margin)
    assert name != REPRODUCED or abs(difference.delta) < margin
    assert name != DIFFERS or abs(difference.delta) > margin


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (runs(93.72, 0.36, 500), REPRODUCED),
        (runs(93.40, 0.36, 500), DIFFERS),
        (runs(93.55, 0.36, 12), CONSISTENT),  # ± 0.23: contains 0 and reaches beyond the margin
        (runs(93.90, 0.36, 500), UNCLEAR),  # on the margin
        (runs(93.70, 0.36, 2), UNCLEAR),
        ([], NOT_MEASURED),
    ],
)
def test_examples_by_hand(ours: Sequence[float], expected: str) -> None:
    assert judge_target(ours, line(), MARGINS["cifar10"]).name == expected


@pytest.mark.parametrize(
    ("published", "margin", "reason", "words"),
    [
        (line(), 0.2, "the protocol was modified", "modified"),
        (line(record="ori-test (inferred)"), 0.2, "", "inferred"),
        (line(std=nan), 0.2, "", "without a spread"),
        (line(n=nan), 0.2, "", "number of runs"),
        (line(n=1.0), 0.2, "", "single run"),
        (line(), None, "", "no margin"),
    ],
)
def test_what_cannot_be_compared_says_why(
    published: dict[str, float | str], margin: float | None, reason: str, words: str
) -> None:
    verdict = judge_target(runs(93.7, 0.3, 500), published, margin, reason)
    assert verdict.name == NOT_COMPARABLE
    assert words in verdict.reason


def test_margins_are_the_ones_fixed_in_advance() -> None:
    assert MARGINS == {"cifar10": 0.20, "cifar100": 0.50, "imagenet16-120": 0.70}


@pytest.mark.parametrize(("same", "expected"), [(4, REPRODUCED), (2, UNCLEAR), (0, DIFFERS)])
def test_a_printed_zero_spread_is_judged_by_cell(same: int, expected: str) -> None:
    ours = [54.2967] * same + [91.2] * (4 - same)
    verdict = judge_target(ours, line(54.30, 0.0, 4.0), 0.2)
    assert verdict.name == expected
    assert f"{same} of 4" in verdict.reason


def test_an_assumed_n_that_decides_is_flagged() -> None:
    ours = runs(93.73, 0.30, 500)
    flagged = judge_target(ours, line(n=4.0, n_source="assumed: why"), 0.2)
    assert flagged.name == CONSISTENT
    assert any("∞" in note and REPRODUCED in note for note in flagged.notes)
    assert not any("∞" in note for note in judge_target(ours, line(n=500.0, n_source="assumed: why"), 0.2).notes)
    assert not any("∞" in note for note in judge_target(ours, line(n=4.0), 0.2).notes)


def test_a_margin_out_of_reach_is_said() -> None:
    assert any("out of reach" in note for note in judge_target(runs(93.7, 0.3, 500), line(std=0.3, n=4.0), 0.2).notes)
    assert not judge_target(runs(93.7, 0.3, 500), line(), 0.2).notes


@given(VERDICT_SETS)
def test_a_row_has_exactly_one_verdict_in_any_order_of_its_targets(targets: dict[str, Verdict]) -> None:
    verdict = judge_row(targets)
    assert verdict.name in VERDICTS
    assert judge_row(dict(reversed(targets.items()))).name == verdict.name
    if verdict.name == REPRODUCED:
        assert {target.name for target in targets.values()} == {REPRODUCED}


def test_a_row_needs_every_target_to_be_reproduced() -> None:
    reproduced, consistent = Verdict(REPRODUCED), Verdict(CONSISTENT)
    assert judge_row({"a": reproduced, "b": reproduced}).name == REPRODUCED
    assert judge_row({"a": reproduced, "b": consistent}).name == CONSISTENT
    assert judge_row({"a": reproduced, "b": Verdict(UNCLEAR)}).name == UNCLEAR


def test_a_row_differs_where_one_target_does_after_holm() -> None:
    fine = Verdict(REPRODUCED, p_outside=1.0)
    assert judge_row({"a": fine, "b": fine, "c": Verdict(DIFFERS, p_outside=0.01)}).name == DIFFERS
    weak = judge_row({"a": fine, "b": fine, "c": Verdict(DIFFERS, p_outside=0.04)})
    assert weak.name == UNCLEAR
    assert "Holm" in weak.reason


def test_a_row_that_is_compared_in_part_says_which_part() -> None:
    row = judge_row({"C10": Verdict(REPRODUCED), "C100": Verdict(NOT_COMPARABLE, "record inferred")})
    assert row.name == NOT_COMPARABLE
    assert "C100" in row.reason
    assert "C10: reproduced" in row.reason
    assert judge_row({"a": Verdict(NOT_MEASURED, "no GPU")}).reason == "no GPU"


def test_every_verdict_has_its_own_letter() -> None:
    assert set(LETTERS) == set(VERDICTS)
    assert len(set(LETTERS.values())) == len(VERDICTS)
