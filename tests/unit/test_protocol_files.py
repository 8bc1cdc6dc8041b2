"""Protocols come from files, the project's and others'; a mistake in one is named with its file, table and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import protocol_files, protocols, registry
from harness.errors import UserError
from harness.plan import make
from harness.protocol_files import protocols_in

TEXT = """
[mine]
title = "Mine"
seeds = 4
wall_limit_s = 60
comparable = false

[mine.multi-trial]
benchmarks = ["nb201/digits"]
budget = { currency = "queries", limit = 20 }
search = { recipe = 12 }

[mine.stages.again]
of = "multi-trial"
recipe = "digits"

[mine.judge]
recipe = 36
records = { digits = "x-test" }
"""


def written(folder: Path, text: str = TEXT, name: str = "mine.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_a_file_is_a_protocol(tmp_path: Path) -> None:
    file = written(tmp_path)
    rules = protocols.protocol(str(file))
    assert (rules.name, rules.seeds, rules.parts[0].budget.limit, rules.stages[0].name) == ("mine", 4, 20, "again")
    assert protocols.protocol(f"{file}:mine") == rules
    assert make(rules, methods=["random_search"]).total == 4


def test_of_several_protocols_in_a_file_one_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, TEXT + TEXT.replace("mine", "other"))
    assert protocols.protocol(f"{file}:other").name == "other"
    for which in ("", ":othr"):
        with pytest.raises(UserError, match=r"has the protocols mine, other; pass --protocol .*mine\.toml:NAME"):
            protocols.protocol(f"{file}{which}")


def test_a_file_cannot_take_a_registered_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a protocol 'digits' is already in .*; rename yours"):
        protocols.protocol(str(written(tmp_path, TEXT.replace("mine", "digits"))))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seeds = 4", "seed = 4", r"\[mine\] has no key 'seed'; did you mean 'seeds'"),
        ("seeds = 4", "", r"\[mine\] needs a key 'seeds'"),
        ("seeds = 4", 'seeds = "four"', r"\[mine\] seeds expects int, not 'four'"),
        ("seeds = 4", "seeds = true", r"\[mine\] seeds expects int, not True"),
        ("title =", "titel =", r"\[mine\] has no key 'titel'; did you mean 'title'"),
        ("limit = 20", "limt = 20", r"\[mine\.multi-trial\.budget\] has no key 'limt'; did you mean 'limit'"),
        ("limit = 20", "limit = 20, policy = 'never'", r"\[mine\.multi-trial\] has the budget policy 'never'"),
        (
            "[mine.multi-trial]",
            "[mine.multi_trial]",
            r"\[mine\.multi_trial\] is for .*; did you mean 'multi-trial'",
        ),
        ("benchmarks =", "benchmark =", r"\[mine\.multi-trial\] has no key 'benchmark'; did you mean 'benchmarks'"),
        ("benchmarks = [", "benchmarks = [3, ", r"\[mine\.multi-trial\] benchmarks expects tuple"),
        ("search = {", "rows = 3\nsearch = {", r"\[mine\.multi-trial\] rows expects"),
        ("[mine.judge]", "[mine.juge]", r"\[mine\] needs a table \[mine\.judge\]; did you mean 'juge'"),
        ("recipe = 'digits'", "", r"\[mine\.stages\.again\] needs a key 'recipe'"),
        ("[mine.stages.again]", "[mine.stages.again]\nchosen_by = 'x'", r"is chosen by 'x', and no stage before it"),
        ("[mine.stages.again]", "[mine.stages.again]\nsets_of = 4", r"has sets_of = 4; .* needs chosen_by"),
        ("[mine.stages.again]", "[mine.stages.again]\nfirst_sed = 1", r"no key 'first_sed'; did you mean 'first_seed'"),
        ("[mine]", "x = 1\n[mine]", r"'x' stands outside a table"),
        ("[mine]", "[mine", r"cannot be read as a protocol file: .*line 2"),
    ],
)
def test_a_mistake_is_named_with_file_table_and_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = TEXT.replace('"digits"\n', "'digits'\n")
    assert old in text
    with pytest.raises(UserError, match=words) as refusal:
        protocols_in(written(tmp_path, text.replace(old, new)))
    assert "mine.toml" in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), (b"\xff\xfe\x00", "invalid start byte|decode")])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(UserError, match=words):
        protocols_in(tmp_path / "mine.toml")


def test_a_protocol_file_next_to_a_benchmark_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "benchmarks", TEXT, "protocols.toml")
    file = written(tmp_path / "benchmarks" / "zz", TEXT.replace("mine", "theirs"), "protocols.toml")
    monkeypatch.setattr(protocol_files, "PROJECT", tmp_path)
    assert list(protocol_files.everywhere()) == ["mine", "theirs"]
    file.write_text(TEXT)
    with pytest.raises(UserError, match="a protocol 'mine' is already in"):
        protocol_files.everywhere()


def test_a_package_brings_its_protocols_and_a_mistake_there_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Point:
        def __init__(self, module: str) -> None:
            self.module = module

    for name, text in (("good_package", TEXT), ("bad_package", TEXT.replace("seeds", "seed"))):
        written(tmp_path / name, "raise AssertionError('a listing imports no package')", "__init__.py")
        written(tmp_path / name, text, "protocols.toml")
    monkeypatch.syspath_prepend(tmp_path)
    points = [Point(f"{name}.benchmark") for name in ("good_package", "bad_package", "not_there")]
    monkeypatch.setattr(protocol_files, "entry_points", lambda group: points)
    assert "mine" in protocol_files.everywhere()
    assert "left out: " in (said := capsys.readouterr().err) and "bad_package" in said and said.count("\n") == 1


class Toy:
    def __init__(self, id: str, *kinds: str) -> None:
        self.id, self.kinds = id, kinds or ("multi-trial",)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    toys = (Toy("mine/a"), Toy("mine/b", "multi-trial", "one-shot"))
    known = {**{toy.id: toy for toy in toys}, **registry.benchmarks()}
    monkeypatch.setattr(registry, "benchmarks", lambda: known)


def test_a_benchmark_in_no_protocol_gets_common_rules(toys: None) -> None:
    rules = protocols.chosen(None, ["mine"])
    assert rules.name == "common" and rules.seeds == 10 and not rules.comparable
    assert {part.kind: part.benchmarks for part in rules.parts} == {
        "multi-trial": ("mine/a", "mine/b"),
        "one-shot": ("mine/b",),
    }
    looked_up, trained = rules.parts
    assert (looked_up.budget.currency, trained.budget.currency) == ("queries", None)


def test_common_rules_are_for_no_benchmark_that_has_a_protocol(toys: None) -> None:
    assert protocols.chosen(None, []).name == protocols.chosen(None, ["nb201/digits"]).name == "digits"
    assert protocols.chosen("smoke", ["mine/a"]).name == "smoke"
    with pytest.raises(UserError, match="nb201/cifar10: pass --protocol with one of nb201-2020, nats-2021"):
        protocols.chosen(None, ["nb201/cifar10"])
    with pytest.raises(UserError, match="no protocol names mine/a: name it alone"):
        protocols.chosen(None, ["nb201/digits", "mine/a"])
    with pytest.raises(UserError, match="no benchmark 'mine/c'; did you mean 'mine/"):
        protocols.chosen(None, ["mine/c"])


def test_a_limit_that_lacks_the_benchmark_says_so(tmp_path: Path) -> None:
    text = TEXT.replace("limit = 20", "limit = { 'nb201/cifar10' = 3 }")
    with pytest.raises(UserError, match="no limit for nb201/digits, only for nb201/cifar10"):
        make(protocols_in(written(tmp_path, text))["mine"], methods=["random_search"])
