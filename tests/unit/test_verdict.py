"""The verdict rules, by hand and by property."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.statistics import Difference
from harness.analysis.verdict import (
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
    margin_of,
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
    assert judge_target(ours, line(), margin_of("nb201/cifar10", "cifar10")).name == expected


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
    assert MARGINS == {
        "nb201": {"cifar10": 0.20, "cifar100": 0.50, "imagenet16-120": 0.70},
        "darts": {"cifar10": 0.10, "cifar100": 0.30, "imagenet": 0.30},
        "darts_rnn": {"ptb": 0.50},
    }


def test_a_margin_belongs_to_what_is_measured_and_not_to_the_name_of_a_data_set() -> None:
    assert margin_of("nb201/imagenet16-120", "cifar10") == 0.20
    assert margin_of("darts/cifar10", "cifar10") == 0.10
    for benchmark in ("nb1shot1/1", "feature_maps/cifar10", "darts/digits"):
        assert margin_of(benchmark, "cifar10" if benchmark != "darts/digits" else "digits") is None


@given(st.floats(-0.5, 0.5), st.floats(0.01, 0.3), st.integers(3, 20), st.integers(2, 20))
def test_errors_are_judged_as_accuracies_are(shift: float, std: float, n: int, published_n: int) -> None:
    accuracies = runs(97.3 + shift, std, n)
    ours = judge_target(accuracies, line(97.3, 0.06, published_n), 0.10)
    mirrored = judge_target([100 - value for value in accuracies], line(2.7, 0.06, published_n), 0.10)
    assert mirrored.name == ours.name and mirrored.notes == ours.notes
    assert mirrored.difference is not None and ours.difference is not None
    assert mirrored.difference.delta == pytest.approx(-ours.difference.delta, abs=1e-9)
    assert mirrored.difference.interval(0.95).low == pytest.approx(-ours.difference.interval(0.95).high, abs=1e-9)


@pytest.mark.parametrize(
    ("ours", "published", "expected"),
    [
        (runs(2.76, 0.09, 10), line(2.76, 0.09, 10), REPRODUCED),
        (runs(3.00, 0.09, 10), line(2.76, 0.09, 10), DIFFERS),
        (runs(2.81, 0.09, 10), line(2.76, 0.14, 10), CONSISTENT),
        (runs(2.64, 0.06, 10), line(2.50, 0.06, 10), UNCLEAR),  # 0.10 is inside the interval, 0 is not
        (runs(2.57, 0.07, 10), line(2.57, 0.07, 3), CONSISTENT),  # three runs with this spread cannot say more
    ],
)
def test_full_trainings_in_the_darts_space_by_hand(ours: list[float], published: dict[str, Any], expected: str) -> None:
    verdict = judge_target(ours, published, margin_of("darts/cifar10", "cifar10"))
    assert verdict.name == expected
    assert any("out of reach" in note for note in verdict.notes) == (published["n"] == 3)


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
