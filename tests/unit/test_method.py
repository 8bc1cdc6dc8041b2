"""What the registry reads of a method's class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.method import MethodInfo, Selective, skip_reason
from harness.problem import Problem
from harness.testing.toy import ToyProblem, ToySharingProblem
from harness.view import SearchView


@dataclass(frozen=True)
class Plain:
    """Does nothing.

    And says so in two lines.
    """

    k: int = 3

    def search(self, view: SearchView) -> None: ...


@dataclass(frozen=True)
class Described(Plain):
    kind = "one-shot"
    reference = "a paper"
    proposes = "self"
    pure = True
    settings = {"toy": {"k": 5}}
    variants = {"": {}, "large": {"k": 9}}

    def skip(self, problem: Problem) -> str | None:
        return None if problem.training else "needs training"


def info(method: type) -> MethodInfo:
    return MethodInfo.of(method, "mine", "multi-trial", Path("mine.py"), "mine")


def test_a_plain_class_has_the_defaults() -> None:
    plain = info(Plain)
    assert (plain.kind, plain.paper, plain.proposes, plain.pure) == ("multi-trial", "", "best_valid", False)
    assert (plain.settings, plain.variants, plain.rows) == ({}, {}, ["mine"])
    assert plain.summary == "Does nothing."
    assert skip_reason(plain.construct({"k": 4}), ToyProblem()) is None


def test_what_a_class_states_is_read() -> None:
    described = info(Described)
    assert (described.kind, described.paper, described.proposes, described.pure) == ("one-shot", "a paper", "self", True)
    assert described.rows == ["mine", "mine:large"]
    assert (described.variant("mine"), described.variant("mine:large")) == ({}, {"k": 9})
    method = described.construct({})
    assert isinstance(method, Selective)
    assert skip_reason(method, ToyProblem()) == "needs training"
    assert skip_reason(method, ToySharingProblem()) is None


def test_a_value_that_means_nothing_is_refused() -> None:
    @dataclass(frozen=True)
    class Mistyped(Plain):
        proposes = "itself"

    with pytest.raises(UserError, match=r"mine.py: Mistyped has proposes = 'itself', which is not \"best_valid\" or \"self\""):
        info(Mistyped)
