from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from harness import protocols, registry
from harness.errors import UserError
from harness.method import MethodInfo
from harness.plan import make, preset, rows_of
from harness.problem import Benchmark
from harness.protocol import ALL_METHODS


def test_methods_are_found_by_file() -> None:
    folder = Path(registry.__file__).parents[1] / "methods" / "multi_trial"
    names = {file.stem for file in folder.glob("*.py") if not file.name.startswith("_")}
    assert names <= set(registry.methods())
    assert all(registry.methods()[name].kind == "multi-trial" for name in names)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("regularised_evolution", "regularized_evolution"), ("randomsearch", "random_search"), ("zzz", None)],
)
def test_a_typo_is_refused_with_a_suggestion(name: str, suggestion: str | None) -> None:
    with pytest.raises(UserError) as refusal:
        registry.method(name)
    assert f"no method {name!r}" in str(refusal.value)
    assert (f"did you mean {suggestion!r}" in str(refusal.value)) == (suggestion is not None)


def test_a_variant_selects_one_row_and_a_method_all_of_its_rows() -> None:
    assert list(registry.select_rows(["reinforce:lr_0.5"])) == ["reinforce:lr_0.5"]
    assert set(registry.select_rows(["reinforce"])) == set(registry.method("reinforce").rows)
    with pytest.raises(UserError, match=r"no row 'reinforce:lr_5'; did you mean 'reinforce:lr_0.5'"):
        registry.select_rows(["reinforce:lr_5"])


def test_a_file_may_not_take_the_name_of_a_registered_method(tmp_path: Path) -> None:
    (tmp_path / "random_search.py").write_text(METHOD)
    with pytest.raises(UserError, match="has the name of a registered method"):
        registry.select_rows([str(tmp_path / "random_search.py")])


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(METHOD)
    with pytest.raises(UserError, match="have the same name"):
        registry.select_rows([str(tmp_path / "a" / "mine.py"), str(tmp_path / "b" / "mine.py")])


def test_a_broken_method_file_takes_no_other_along(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = importlib.import_module

    def broken(name: str) -> object:
        if name.endswith(".bohb"):
            raise SyntaxError("invalid syntax")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", broken)
    methods = registry.methods.__wrapped__()
    assert "bohb" not in methods and "random_search" in methods
    assert "bohb.py cannot be imported: SyntaxError" in capsys.readouterr().err


def test_rows_are_named_after_what_is_set(made: Path) -> None:
    def names(method: str, **settings: str) -> list[str]:
        plan = make(protocols.protocol("smoke"), methods=[method], settings={method.partition(":")[0]: settings}, seeds=1)
        return [row.spec.row for row in plan.rows]

    assert names("reinforce", lr="0.1") == ["reinforce[lr=0.1]"]
    assert names("reinforce:lr_0.5", momentum="0.8") == ["reinforce:lr_0.5[momentum=0.8]"]
    assert names("local_search", starts="3") == ["local_search[starts=3]", "local_search:full_neighbourhood[starts=3]"]


METHOD = """
from dataclasses import dataclass
from typing import Annotated
@dataclass(frozen=True)
class M:
    '''Mine.'''
    k: Annotated[int, "how many"] = 3
    reference = "me"
    variants = {"small": {"k": 1}, "large": {"k": 9}}
    settings = {"toy": {"k": 5}}
    def search(self, view): ...
"""


@pytest.fixture
def mine(tmp_path: Path) -> MethodInfo:
    (tmp_path / "mine.py").write_text(METHOD)
    return registry.method(str(tmp_path / "mine.py"))


def test_settings_are_resolved_from_the_general_to_the_particular(mine: MethodInfo) -> None:
    def k(
        row: str = "mine",
        space: str = "home",
        preset: Mapping[str, int] | None = None,
        changes: Mapping[str, str] | None = None,
    ) -> object:
        return registry.settings(mine, row, space, preset or {}, changes or {})["k"]

    assert [k(), k(space="toy"), k("mine:large", "toy"), k("mine:large", "toy", {"k": 7})] == [3, 5, 9, 7]
    assert k("mine:large", "toy", {"k": 7}, {"k": "8"}) == 8


def test_an_unknown_setting_or_value_is_named(mine: MethodInfo) -> None:
    with pytest.raises(UserError, match="no setting 'kk'; did you mean 'k'"):
        registry.settings(mine, "mine:small", "home", {}, {"kk": "1"})
    with pytest.raises(UserError, match=r"mine\.k expects int, not '1\.5'"):
        registry.settings(mine, "mine:small", "home", {}, {"k": "1.5"})
    with pytest.raises(UserError, match="regularized_evolution: population and sample must be at least 1"):
        registry.settings(registry.method("regularized_evolution"), "regularized_evolution", "nb201", {}, {"sample": "0"})


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x = 1", "must define one class with a search"),
        ("class A:\n    def search(self, view): ...", "must be a .frozen. dataclass"),
        ("import not_there", "cannot be imported: ModuleNotFoundError"),
        ("def f(:", "cannot be imported: SyntaxError"),
    ],
)
def test_an_unusable_file_says_why(tmp_path: Path, source: str, complaint: str) -> None:
    file = tmp_path / f"m{abs(hash(source))}.py"
    file.write_text(source)
    with pytest.raises(UserError, match=complaint):
        registry.method(str(file))


class Point:
    """An entry point of an installed package."""

    dist = None

    def __init__(self, name: str, load: Callable[[], object]) -> None:
        self.name, self.value, self.load = name, f"package.{name}", load


class Elsewhere:
    id = "elsewhere/x"


def outside(
    monkeypatch: pytest.MonkeyPatch, methods: Sequence[Point] = (), benchmarks: Sequence[Point] = ()
) -> tuple[dict[str, MethodInfo], dict[str, Benchmark]]:
    points = {registry.METHOD_GROUP: methods, registry.BENCHMARK_GROUP: benchmarks}
    monkeypatch.setattr(registry, "entry_points", lambda group: points[group])
    registry._outside_benchmarks.cache_clear()
    try:
        return registry.methods.__wrapped__(), registry.benchmarks.__wrapped__()
    finally:
        registry._outside_benchmarks.cache_clear()


def broken(*_: object) -> object:
    raise ModuleNotFoundError("No module named 'not_there'")


def test_an_outside_package_adds_methods_and_benchmarks(mine: MethodInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    methods, benchmarks = outside(
        monkeypatch,
        [Point("theirs", lambda: sys.modules[mine.cls.__module__])],
        [Point("any", lambda: lambda: [Elsewhere()])],
    )
    assert methods["theirs"].rows == ["theirs:small", "theirs:large"]
    assert "elsewhere/x" in benchmarks


def test_a_broken_package_takes_nothing_else_along(
    mine: MethodInfo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    methods, benchmarks = outside(
        monkeypatch,
        [Point("theirs", broken), Point("exits", sys.exit), Point("good", lambda: sys.modules[mine.cls.__module__])],
        [Point("bad", broken), Point("worse", lambda: broken), Point("any", lambda: lambda: [Elsewhere()])],
    )
    assert {"good", "random_search"} <= set(methods) and {"elsewhere/x", "nb201/digits"} <= set(benchmarks)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("left out: ") and " of package." in line for line in lines)
    assert "left out: method 'theirs' of package.theirs cannot be imported: ModuleNotFoundError: No module" in lines[0]


def test_a_package_cannot_take_the_name_of_what_is_built_in(
    mine: MethodInfo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Digits:
        id = "nb201/digits"

    methods, benchmarks = outside(
        monkeypatch,
        [Point("random_search", lambda: sys.modules[mine.cls.__module__])],
        [Point("any", lambda: lambda: [Digits()])],
    )
    assert methods["random_search"].file.parent.name == "multi_trial"
    assert not isinstance(benchmarks["nb201/digits"], Digits)
    assert "the name is taken" in (said := capsys.readouterr().err) and "'nb201/digits' is taken" in said


def test_a_broken_benchmark_folder_takes_no_other_along(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.import_module
    monkeypatch.setattr(
        importlib, "import_module", lambda name: broken() if name == "benchmarks.nb1shot1.benchmark" else real(name)
    )
    registry._space.cache_clear()
    known = registry.benchmarks.__wrapped__()
    registry._space.cache_clear()
    assert "nb201/digits" in known and "nb1shot1/1" not in known
    assert "nb1shot1/benchmark.py cannot be imported: ModuleNotFoundError" in capsys.readouterr().err


# -- files of the user's ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine", "\N{BOM}" + METHOD),
        ("latin", "# -*- coding: latin-1 -*-\n" + METHOD.replace("Mine", "Für mich")),
        ("windows", METHOD.replace("\n", "\r\n")),
    ],
)
def test_a_file_in_any_encoding_that_python_reads_is_a_method(tmp_path: Path, name: str, text: str, made: Path) -> None:
    file = tmp_path / f"{name}.py"
    file.write_bytes(text.encode("latin-1" if name == "latin" else "utf-8"))
    plan = make(protocols.protocol("smoke"), methods=[str(file)], seeds=1)
    assert {row.spec.row for row in plan.rows} == {f"{name}:small", f"{name}:large"}


@pytest.mark.parametrize("statement", ["import sys; sys.exit(0)", "raise SystemExit", "exit()"])
def test_a_file_that_exits_when_imported_is_refused(tmp_path: Path, statement: str) -> None:
    file = tmp_path / f"exits{abs(hash(statement))}.py"
    file.write_text(statement)
    with pytest.raises(UserError, match="cannot be imported: SystemExit"):
        registry.method(str(file))


@pytest.mark.parametrize("folder", ["a,b", "a:b", "a b", "a.py:b"])
def test_a_path_may_hold_what_separates_names_elsewhere(tmp_path: Path, folder: str) -> None:
    file = tmp_path / folder / "mine.py"
    file.parent.mkdir()
    file.write_text(METHOD)
    assert registry.split([f"random_search,{file},bohb"]) == ["random_search", str(file), "bohb"]
    assert registry.split([f"{file}:small", "bohb, darts,"]) == [f"{file}:small", "bohb", "darts"]
    assert list(registry.select_rows([str(file)])) == ["mine:small", "mine:large"]
    assert list(registry.select_rows([f"{file}:small"])) == ["mine:small"]


@pytest.mark.parametrize("name", ["a:b", "a[b]", "a,b", "a=b"])
def test_a_file_whose_name_cannot_be_a_rows_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(METHOD)
    with pytest.raises(UserError, match="rename the file"):
        registry.method(str(tmp_path / f"{name}.py"))


def test_a_helper_next_to_the_file_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "part_of_mine.py").write_text("DEFAULT = 7\n")
    (tmp_path / "with_part.py").write_text("from part_of_mine import DEFAULT\n" + METHOD.replace("= 3", "= DEFAULT"))
    assert registry.settings(registry.method(str(tmp_path / "with_part.py")), "with_part", "x", {}, {}) == {"k": 7}


@pytest.mark.parametrize(
    ("kind", "words"), [("oneshot", "did you mean 'one-shot'"), ("multi_trial", "did you mean 'multi-trial'")]
)
def test_a_kind_that_is_misspelt_is_named(tmp_path: Path, kind: str, words: str) -> None:
    file = tmp_path / f"of_{kind}.py"
    file.write_text(METHOD + f"    kind = {kind!r}\n")
    with pytest.raises(UserError, match=f"has kind = {kind!r}; {words}"):
        registry.method(str(file))


# -- settings from the command line ----------------------------------------------------------------------------------------


def planned_rows(method: str, **settings: dict[str, str]) -> list[str]:
    return [row.spec.row for row in make(protocols.protocol("smoke"), methods=[method], settings=settings, seeds=1).rows]


def test_a_setting_may_name_a_method_its_file_or_its_row(tmp_path: Path, made: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(METHOD)
    replaced = ["mine[k=7]"]  # the variants set nothing else
    assert planned_rows(str(file), mine={"k": "7"}) == replaced
    assert planned_rows(str(file), **{str(file): {"k": "7"}}) == replaced
    assert planned_rows(str(file), **{"mine:small": {"k": "7"}}) == ["mine[k=7]", "mine:large"]
    assert planned_rows(str(file), **{f"{file}:large": {"k": "7"}, "mine": {"k": "8"}}) == ["mine[k=8]", "mine[k=7]"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bohb", r"--set bohb\.k=7 changes no row: --methods random_search does not run bohb"),
        ("random_serch", "no method 'random_serch'; did you mean 'random_search'"),
        ("reinforce:lr_0.5", r"--set reinforce:lr_0\.5\.k=7 changes no row"),
        ("./nowhere.py", "no method file"),
    ],
)
def test_a_setting_that_changes_no_row_is_refused(made: Path, name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        planned_rows("random_search", **{name: {"k": "7"}})


def test_a_file_is_suggested_if_its_name_was_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_own.py").write_text(METHOD)
    with pytest.raises(UserError, match=r"no method 'my_own'; did you mean '\./my_own\.py'"):
        registry.method("my_own")


def test_every_protocol_names_benchmarks_rows_and_presets_that_exist() -> None:
    for rules in protocols.protocols().values():
        for part in rules.parts:
            for benchmark in part.benchmarks:
                assert part.kind in registry.benchmark(benchmark).kinds
                assert part.budget.on(benchmark, mean_cost=1.0)["limit"] > 0
            for method, variants in part.rows.items():
                info = registry.method(method)
                assert {info.row(variant) for variant in variants} <= set(info.rows)
            for row in part.settings:
                registry.select_rows([row] if row != ALL_METHODS else [])
            for row in rows_of(part):
                preset(part, row)
            for method in part.methods:
                assert registry.method(method).kind == part.kind
            assert set(part.changes) <= set(rows_of(part))


@pytest.mark.parametrize(
    "text", ["", "5", "seconds", "seconds=", "seconds=x", "seconds=0", "hours=3", "seconds=nan", "queries=inf", "queries=0.5"]
)
def test_an_impossible_budget_says_what_is_possible(text: str) -> None:
    with pytest.raises(UserError, match=r"is not CURRENCY=AMOUNT .* seconds=6000"):
        protocols.protocol("smoke").with_budget(text)


def test_another_budget_makes_other_runs_and_says_so(made: Path) -> None:
    rules = protocols.protocol("smoke")
    changed = rules.with_budget("queries=9")
    before, after = (make(protocol, methods=["random_search"], seeds=1).rows[0] for protocol in (rules, changed))
    assert before.runs[0].run_id != after.runs[0].run_id
    assert changed.modified == "budget queries=9"


def test_the_plan_skips_a_row_that_the_table_cannot_feed(made: Path) -> None:
    with pytest.raises(UserError, match="nothing to run under nats-2021: bohb:nats_2021 needs"):
        make(protocols.protocol("nats-2021"), methods=["bohb"], seeds=1)
    plan = make(protocols.protocol("nats-2021"), benchmarks=["nb201/cifar10"], seeds=1)
    one_shot = {row for row, info in registry.methods().items() if info.kind == "one-shot"}
    assert {row for *_, row in plan.skipped if row.partition(":")[0] not in one_shot} == {"bohb:nats_2021"}
    assert "epoch 1, 4" in plan.skipped["nb201/cifar10", "multi-trial", "bohb:nats_2021"]
    assert "bohb:nats_2021" not in {row.spec.row for row in plan.rows}


def test_the_paper_protocol_is_eight_rows_of_five_methods(made: Path) -> None:
    plan = make(protocols.protocol("nb201-2020"))
    assert len(plan.rows) == 8
    assert len({row.spec.method for row in plan.rows}) == 5
    assert plan.total == 4000


def test_filters_that_match_nothing_say_so(made: Path) -> None:
    rules = protocols.protocol("nb201-2020")
    with pytest.raises(UserError, match="no benchmark 'nb20'"):
        make(rules, benchmarks=["nb20"])
    with pytest.raises(UserError, match="does not search nb201/cifar100"):
        make(rules, benchmarks=["nb201/cifar100"])
    with pytest.raises(UserError, match="no method 'nobody'"):
        make(rules, settings={"nobody": {"k": "1"}})
