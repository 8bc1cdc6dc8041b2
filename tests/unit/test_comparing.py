"""Two sides are compared pair by pair: what is equal, what differs, and what has no partner."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import comparing, results
from harness.cli import app
from harness.errors import UserError
from harness.spec import RowSpec
from harness.store import Store
from reports.layout import to_markdown
from tests.unit.test_store import SPEC, result

OTHER = dataclasses.replace(SPEC, row="other")


def fill(folder: Path, tests: dict[int, float | None], spec: RowSpec = SPEC, commit: str = "abc1234", arch: str = "a") -> Path:
    """Save a run per seed with its test accuracy; None: it failed; NaN: it has no test accuracy."""
    with Store(folder, {"command": "c", "code": f"0.1.0 ({commit})"}) as store:
        for world, test in tests.items():
            run = spec.run(world)
            store.claim(spec, [run])
            made = result(world % 6, "failed" if test is None else "done")
            scores = {} if test is None else {"t": {"test": test, "valid": 1.0}}
            store.save(spec, [(run, dataclasses.replace(made, run_id=run.run_id, arch=arch, scores=scores, trace={}))])
    return folder


def compared(a: Path, b: Path, tolerance: float = 0.0, significant: bool = False) -> comparing.Comparison:
    return comparing.compare(comparing.side(str(a)), comparing.side(str(b)), tolerance, significant)


def verdict(comparison: comparing.Comparison) -> str:
    (only,) = comparison.verdicts.values()
    return only


def test_a_store_equals_itself(tmp_path: Path) -> None:
    fill(tmp_path, {0: 90.0, 1: None, 2: math.nan})
    same = compared(tmp_path, tmp_path)
    assert set(same.verdicts.values()) == {comparing.EQUAL} and not same.differs and same.alone == []
    assert len(same.lines) == 3


@pytest.mark.parametrize(
    ("theirs", "arch", "tolerance", "expected"),
    [
        ({0: 90.0, 1: 91.0}, "a", 0.0, comparing.EQUAL),
        ({0: 90.0, 1: 91.001}, "a", 0.0, comparing.DIFFERS),
        ({0: 90.0, 1: 91.001}, "a", 0.01, comparing.EQUAL),
        ({0: 90.0, 1: 91.001}, "b", 0.01, comparing.EQUAL),
        ({0: 90.0, 1: 91.0}, "b", 0.0, comparing.DIFFERS),
        ({0: 90.0, 1: None}, "a", 100.0, comparing.DIFFERS),
        ({0: 90.0, 1: math.nan}, "a", 100.0, comparing.DIFFERS),
    ],
)
def test_a_row_differs_if_a_pair_does(
    tmp_path: Path, theirs: dict[int, float | None], arch: str, tolerance: float, expected: str
) -> None:
    a, b = fill(tmp_path / "a", {0: 90.0, 1: 91.0}), fill(tmp_path / "b", theirs, arch=arch)
    assert verdict(compared(a, b, tolerance)) == verdict(compared(b, a, tolerance)) == expected


def test_runs_without_a_test_accuracy_are_equal_if_they_propose_the_same(tmp_path: Path) -> None:
    a, b, c = (fill(tmp_path / name, {0: math.nan}, arch=arch) for name, arch in zip("abc", "xxy", strict=True))
    assert (verdict(compared(a, b, 1.0)), verdict(compared(a, c, 1.0))) == (comparing.EQUAL, comparing.DIFFERS)


def test_the_paired_difference_is_that_of_b_less_a(tmp_path: Path) -> None:
    a = fill(tmp_path / "a", {world: 90.0 + world for world in range(8)})
    b = fill(tmp_path / "b", {world: 90.5 + world for world in range(2, 9)})
    comparison = compared(a, b)
    (test,) = comparison.tests.values()
    assert test.n == 6 and test.difference == pytest.approx(0.5) and test.p == pytest.approx(2 / 2**6)
    text = to_markdown("", comparing.blocks(comparison, "A", "B"))
    assert "B is better than A in 100 [61, 100] % of 6" in text


def test_with_a_test_few_pairs_decide_nothing_and_many_do(tmp_path: Path) -> None:
    few, many = ({world: 90.0 + world for world in range(n)} for n in (5, 6))
    for name, tests, expected in (("few", few, comparing.UNDECIDED), ("many", many, comparing.DIFFERS)):
        a = fill(tmp_path / name / "a", dict(tests))
        b = fill(tmp_path / name / "b", {world: test + 1 for world, test in tests.items()})
        assert verdict(compared(a, b, significant=True)) == expected
        assert verdict(compared(a, a, significant=True)) in (comparing.EQUAL, comparing.UNDECIDED)


def test_what_has_no_partner_is_listed_and_decides_nothing(tmp_path: Path) -> None:
    a, b = fill(tmp_path / "a", dict.fromkeys((0, 1, 2, 4), 90.0)), fill(tmp_path / "b", {1: 90.0, 7: 80.0})
    fill(a, {0: 1.0}, OTHER)
    comparison = compared(a, b)
    assert not comparison.differs
    assert comparison.alone == [
        ("only in A", "m:v on toy/x (p, seconds=inf), seeds 0, 2, 4"),
        ("only in A", "other on toy/x (p, seconds=inf), seeds 0"),
        ("only in B", "m:v on toy/x (p, seconds=inf), seeds 7"),
    ]


def test_two_versions_in_one_store_are_named_by_their_commits(tmp_path: Path) -> None:
    fill(tmp_path, {0: 90.0, 1: 91.0}, commit="abc1234")
    fill(tmp_path, {0: 90.0, 1: 92.0}, dataclasses.replace(SPEC, code="2"), commit="def5678, modified")
    by_commit = [comparing.side(f"{tmp_path}@{code}") for code in ("abc", "def5678")]
    by_digest = [comparing.side(f"{tmp_path}@{code}") for code in "12"]
    for a, b in (by_commit, by_digest):
        comparison = comparing.compare(a, b)
        assert comparison.differs and comparison.lines["equal"].tolist() == [True, False]
    with pytest.raises(UserError, match=r"made by 'fff'; its runs were made by 0.1.0 \(abc1234\), 0.1.0 \(def5678, modified\)"):
        comparing.side(f"{tmp_path}@fff")


def test_of_several_versions_the_newest_is_compared_and_the_others_are_listed(tmp_path: Path) -> None:
    fill(tmp_path / "a", {0: 90.0})
    fill(tmp_path / "a", {0: 95.0}, dataclasses.replace(SPEC, code="2"))
    comparison = compared(tmp_path / "a", fill(tmp_path / "b", {0: 95.0}))
    assert not comparison.differs
    assert comparison.alone == [("older runs of the same seeds in A", "m:v on toy/x (p, seconds=inf), seeds 0")]


seeds = st.dictionaries(st.integers(0, 5), st.sampled_from([90.0, 91.0, math.nan, None]), min_size=1)


@settings(max_examples=10, deadline=None)  # each writes two stores
@given(seeds, seeds)
def test_no_run_is_lost(
    tmp_path_factory: pytest.TempPathFactory, ours: dict[int, float | None], theirs: dict[int, float | None]
) -> None:
    folder = tmp_path_factory.mktemp("stores")
    a, b = (results.runs(fill(folder / name, tests)) for name, tests in (("a", ours), ("b", theirs)))
    if not ours.keys() & theirs.keys():
        with pytest.raises(UserError, match="no run of one side has a partner"):
            comparing.compare(a, b)
        return
    comparison = comparing.compare(a, b)
    assert sorted(comparison.lines["world"]) == sorted(ours.keys() & theirs.keys())
    listed = {reason[-1]: text.rpartition("seeds ")[2] for reason, text in comparison.alone}
    for letter, mine, other in (("A", ours, theirs), ("B", theirs, ours)):
        assert bool(listed.get(letter)) == bool(mine.keys() - other.keys())


def test_the_command_prints_the_table_and_ends_with_its_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = fill(tmp_path / "a", {0: 90.0}), fill(tmp_path / "b", {0: 91.0})
    assert app(["compare", str(a), str(b)], standalone_mode=False) == 1
    assert "1 of 1 lines differ" in capsys.readouterr().out
    assert not app(["compare", str(a), str(b), "--tolerance", "1"], standalone_mode=False)
    assert not app(["compare", str(a), str(a), "--to", str(tmp_path / "page.md")], standalone_mode=False)
    assert {file.name for file in tmp_path.glob("page.*")} == {"page.md", "page.html"}


def test_numbers_are_written_as_ranges() -> None:
    assert comparing._ranges([0, 1, 2, 4, 7, 8]) == "0–2, 4, 7–8"


def test_pairs_keep_failed_runs_of_both_sides() -> None:
    empty = pd.DataFrame({name: [] for name in (*results.COLUMNS, "cell")})
    assert all(side.empty for side in comparing._with_targets(empty, empty))
