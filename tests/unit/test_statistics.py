"""Estimates, intervals and tests agree with scipy.stats."""

from __future__ import annotations

from math import inf

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from harness.analysis.pairs import LEVEL, compare, families
from harness.analysis.statistics import (
    BOOTSTRAP_UP_TO,
    Difference,
    Interval,
    holm,
    mean_interval,
    mean_std,
    paired,
    signed_rank,
    smallest_p,
    welch,
)
from reports.formats import probability
from reports.pairs import APART, noted

ACCURACIES = st.lists(st.floats(0, 100).map(lambda x: round(x, 2)), min_size=3, max_size=30)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=25)


def test_standard_deviation_is_the_printed_one() -> None:
    assert mean_std([73.50, 73.50, 73.50, 73.21]) == pytest.approx((73.4275, 0.12557), abs=1e-5)
    assert np.isnan(mean_std([])).all()


@given(ACCURACIES)
def test_few_runs_have_the_student_interval(values: list[float]) -> None:
    interval = mean_interval(values)
    assert interval is not None
    if np.std(values) < 1e-9:
        assert interval.high - interval.low == pytest.approx(0, abs=1e-6)
    else:
        expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert interval == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [90.0], [90.0, 91.0]])
def test_fewer_than_three_runs_have_no_interval(values: list[float]) -> None:
    assert mean_interval(values) is None


@pytest.mark.parametrize(("n", "level"), [(50, 0.95), (200, 0.90), (500, 0.95)])
def test_many_runs_have_the_bca_interval(n: int, level: float) -> None:
    values = 94.37 - np.random.default_rng(n).lognormal(-0.5, 0.8, n)  # skewed, as regrets are
    expected = stats.bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    assert mean_interval(values, level) == pytest.approx(tuple(expected), abs=0.06 * (expected.high - expected.low))


def test_the_bootstrap_is_deterministic_and_moves_with_the_data() -> None:
    values = np.random.default_rng(0).normal(93, 1, 300)
    interval = mean_interval(values)
    assert interval is not None
    assert mean_interval(values) == interval
    assert mean_interval(values + 5) == pytest.approx((interval.low + 5, interval.high + 5))


def test_constant_values_have_a_point_interval() -> None:
    assert mean_interval([54.3] * 80) == Interval(54.3, 54.3)


@given(ACCURACIES, st.floats(0, 100), st.floats(0.01, 5), st.integers(3, 500))
def test_welch_agrees_with_scipy(ours: list[float], mean: float, std: float, n: int) -> None:
    difference = welch(ours, mean, std, n)
    sample = std * np.sqrt(n / (n - 1))
    expected = stats.ttest_ind_from_stats(np.mean(ours), np.std(ours, ddof=1), len(ours), mean, sample, n, equal_var=False)
    assert difference.delta == pytest.approx(np.mean(ours) - mean)
    assert difference.p_outside(0) == pytest.approx(expected.pvalue, abs=1e-9)
    variances = np.var(ours, ddof=1) / len(ours), sample**2 / n
    df = sum(variances) ** 2 / (variances[0] ** 2 / (len(ours) - 1) + variances[1] ** 2 / (n - 1))
    half = stats.t.ppf(0.975, df) * np.sqrt(sum(variances))
    assert difference.interval(0.95) == pytest.approx((difference.delta - half, difference.delta + half))


def test_an_exact_published_mean_leaves_the_one_sample_test() -> None:
    values = [93.1, 93.9, 94.0, 93.4]
    assert welch(values, 93.0, 0.3, inf).p_outside(0) == pytest.approx(stats.ttest_1samp(values, 93.0).pvalue)


@given(st.floats(-5, 5), st.floats(0.001, 2), st.integers(2, 400), st.floats(0, 1))
def test_p_outside_agrees_with_the_interval(delta: float, se: float, df: int, margin: float) -> None:
    difference = Difference(delta, se, df)
    p = difference.p_outside(margin)
    assert 0 <= p <= 1
    if abs(p - 0.05) > 1e-9:
        assert (p < 0.05) == difference.interval(0.95).outside(margin)


def test_one_run_has_no_standard_error() -> None:
    with pytest.raises(ValueError, match="two runs"):
        welch([93.0], 93.0, 0.3, 500)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@given(P_VALUES)
def test_holm_keeps_the_order_and_lies_between_none_and_bonferroni(p: list[float]) -> None:
    adjusted = holm(p)
    for raw, corrected in zip(p, adjusted, strict=True):
        assert raw <= corrected <= min(1.0, len(p) * raw) + 1e-12
    ranked = [corrected for _, corrected in sorted(zip(p, adjusted, strict=True))]
    assert ranked == sorted(ranked)


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=40, unique=True), st.data())
def test_signed_rank_is_exact_without_ties(sizes: list[int], data: st.DataObject) -> None:
    signs = data.draw(st.lists(st.sampled_from([-1, 1]), min_size=len(sizes), max_size=len(sizes)))
    differences = np.multiply(sizes, signs) / 100
    assert signed_rank(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


@given(st.lists(st.integers(-4, 4).filter(bool), min_size=2, max_size=9))
def test_signed_rank_is_exact_with_ties(differences: list[int]) -> None:
    ranks = stats.rankdata(np.abs(differences))
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(ranks))).reshape(len(ranks), -1)
    sums = np.abs(ranks @ signs)
    observed = abs(ranks @ np.sign(differences))
    assert signed_rank(differences) == pytest.approx(np.mean(sums >= observed - 1e-9))


def test_signed_rank_is_normal_for_many_pairs() -> None:
    differences = np.random.default_rng(0).normal(0.1, 1, 400).round(1)
    expected = stats.wilcoxon(differences, zero_method="wilcox", correction=False, method="asymptotic").pvalue
    assert signed_rank(differences) == pytest.approx(expected)


def test_signed_rank_of_equal_methods_is_one() -> None:
    assert signed_rank([0.0, 0.0]) == 1.0


def test_smallest_p_is_reached_when_all_seeds_agree() -> None:
    assert signed_rank([0.1, 0.2, 0.3]) == smallest_p(3) == 0.25


@pytest.mark.parametrize("pairs", [1_022, 1_023, 1_024, 1_025, 100_000])
def test_any_number_of_pairs_has_finite_statistics(pairs: int) -> None:
    values = np.random.default_rng(0).normal(93, 1, pairs)
    ours, reference = pd.Series(values), pd.Series(values[::-1])
    pair = paired(ours, reference)
    assert pair is not None and pair.interval is not None
    assert pair.n == pairs and 0 <= pair.p <= 1 and np.isfinite(pair.interval).all()
    assert 0 <= smallest_p(pairs) < 1e-300
    assert noted([("t", compare({"mine": ours}, reference))]) == ""
    interval = mean_interval(values)
    assert interval is not None and np.isfinite(interval).all()
    assert np.isfinite(welch(values, 93.0, 1.0, 500).interval(0.95)).all()


def test_intervals_of_the_bootstrap_and_of_student_meet_where_one_takes_over() -> None:
    values = np.random.default_rng(1).normal(93, 1, BOOTSTRAP_UP_TO + 1)
    bootstrap, student = mean_interval(values[:-1]), mean_interval(values)
    assert bootstrap == pytest.approx(student, abs=0.003)


def test_rows_are_corrected_within_their_family_and_a_family_without_power_is_named() -> None:
    reference = pd.Series(np.zeros(10))
    better = pd.Series(np.arange(1.0, 11.0))
    plain, variants = [f"m{k}" for k in range(9)], [f"m:{k}" for k in range(18)]
    comparison = compare(dict.fromkeys([*plain, *variants], better), reference)
    smallest = 2 / 2**10
    assert comparison.pairs["m0"].p == smallest and comparison.corrected["m0"] == pytest.approx(9 * smallest)
    assert comparison.corrected["m:0"] == pytest.approx(18 * smallest) and noted([("digits", comparison)]) == ""
    many = compare(dict.fromkeys([*plain, *(f"n{k}" for k in range(17))], better), reference)
    assert noted([("digits", many)]) == (
        " Note: 10 seeds cannot show a difference on digits at the 5 % level: the smallest possible p is 0.0020, and 0.051 "
        "after the correction over 26 rows."
        f" Note: {APART}."
        " Note: a family of 26 rows is larger than the 25 that the protocol allows."
    )
    assert families([*variants, *plain]) == [plain, variants] and families(plain) == [plain]


def test_the_power_of_a_family_is_that_of_its_row_with_the_most_pairs() -> None:
    reference = pd.Series(np.zeros(10))
    full, short = pd.Series(np.arange(1.0, 11.0)), pd.Series(np.arange(1.0, 4.0))
    mixed = compare({"full": full, "short": short}, reference)
    assert mixed.corrected["full"] == 2 * 2 / 2**10 < 0.05
    assert noted([("digits", mixed)]) == " Note: too few seeds to show a difference on digits: short."
    assert mixed.undecided == {"short"} and mixed.decisive
    alone = compare({"short": short}, reference)
    text = " Note: 3 seeds cannot show a difference on digits at the 5 % level: the smallest possible p is 0.25."
    assert noted([("digits", alone), ("digits", alone)]) == text, "each remark once"


def test_an_interval_without_0_next_to_a_large_p_is_explained() -> None:
    reference = pd.Series(np.zeros(3))
    alike, spread = pd.Series([1.0, 1.1, 1.2]), pd.Series([-1.0, 1.0, 3.0])
    assert APART in noted([("digits", compare({"alike": alike}, reference))])
    assert APART not in noted([("digits", compare({"spread": spread}, reference))])
    decided = pd.Series(np.arange(1.0, 13.0))
    assert APART not in noted([("digits", compare({"decided": decided}, pd.Series(np.zeros(12))))])


ROWS = st.dictionaries(st.sampled_from(["a", "b", "c", "a:x", "b:x", "c:x"]), st.integers(0, 12), min_size=1)
"""Number of pairs by row."""


@given(sizes=ROWS, data=st.data())
def test_a_row_is_undecided_if_no_values_make_its_difference_significant(sizes: dict[str, int], data: st.DataObject) -> None:
    zero = pd.Series(np.zeros(12))
    clear = compare({row: pd.Series(np.arange(1.0, size + 1)) for row, size in sizes.items()}, zero)
    assert clear.undecided == {row for row in sizes if clear.corrected.get(row, 1.0) >= LEVEL}
    values = {row: data.draw(st.lists(st.floats(-9, 9), min_size=size, max_size=size)) for row, size in sizes.items()}
    drawn = compare({row: pd.Series(numbers, dtype=float) for row, numbers in values.items()}, zero)
    assert drawn.undecided == clear.undecided
    assert all(drawn.corrected.get(row, 1.0) >= LEVEL for row in drawn.undecided)
    assert drawn.decisive == bool(sizes.keys() - drawn.undecided)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        *[
            (0.0527, "0.053"),
            (0.0499, "0.0499"),
            (0.0504, "0.0504"),
            (0.05, "≥ 0.05"),
            (0.049999999, "< 0.05"),
            (0.00996, "0.00996"),
            (float("nan"), "–"),
            (2 / 2**10, "0.0020"),
            (0.02, "0.020"),
        ],
        *[(0.1, "0.10"), (0.54, "0.54"), (1.0, "1.00"), (0.00049, "0.00049"), (0.00001, "< 0.0001"), (0.0, "< 0.0001")],
    ],
)
def test_a_p_value_is_never_printed_as_the_threshold_that_it_is_not(p: float, text: str) -> None:
    assert probability(p) == text


NEAR = st.builds(lambda level, step: level * (1 + step), st.sampled_from([0.05, 0.01, 0.001]), st.floats(-1e-2, 1e-2))


@given(st.floats(0, 1) | NEAR | st.integers(1, 2**12).map(lambda k: k / 2**12))
@example(0.05).via("Kendall's p of five cells, 6 / 5!")
@example(27 * 2 / 2**10)
@example(0.01)
@example(0.001)
def test_a_printed_p_value_lies_on_the_side_of_every_threshold_where_it_is(p: float) -> None:
    text = probability(p)
    sign, number = text.split() if " " in text else ("=", text)
    for level in (0.05, 0.01, 0.001):
        if p >= level:
            assert float(number) > level or (float(number) == level and sign == "≥")
        else:
            assert float(number) < level or (float(number) == level and sign == "<")
    if sign == "=":
        assert float(number) == pytest.approx(p, rel=0.06)


def test_pairs_are_matched_by_world() -> None:
    ours = pd.Series({0: 93.0, 1: 94.0, 2: np.nan, 3: 95.0, 9: 10.0})
    reference = pd.Series({3: 94.0, 1: 93.5, 0: 93.0, 2: 1.0})
    pair = paired(ours, reference)
    assert pair is not None and pair.n == 3 and pair.difference == pytest.approx(0.5)
    assert paired(ours, pd.Series({77: 1.0})) is None
