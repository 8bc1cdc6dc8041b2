"""Hyperparameters: from text and plain values to the types of a method's fields, and back."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import registry
from harness.errors import UserError
from harness.hyperparameters import from_plain, from_text, to_plain


class Move(Enum):
    BEST = "best"
    FIRST = "first"


@dataclasses.dataclass(frozen=True)
class Optimizer:
    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)


TYPES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (bool, st.booleans()),
    (int, st.integers()),
    (float, st.floats()),
    (float, st.integers(-(2**50), 2**50)),
    (str, st.text()),
    (float | None, st.none() | st.floats()),
    (str | None, st.none() | st.text()),
    (Literal["a", 1] | None, st.sampled_from([None, "a", 1])),
    (Path, st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5})?", fullmatch=True).map(Path)),
    (Move, st.sampled_from(Move)),
    (list[int], st.lists(st.integers(-(2**63), 2**63 - 1))),
    (tuple[int, str], st.tuples(st.integers(-(2**63), 2**63 - 1), st.text())),
    (tuple[float, ...], st.lists(st.floats(allow_nan=False)).map(tuple)),
    (dict[str, float], st.dictionaries(st.text(), st.floats(allow_nan=False))),
    (Optimizer, st.builds(Optimizer, st.floats(0, 1), st.tuples(st.floats(0, 1), st.floats(0, 1)))),
    (Any, st.none() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.lists(st.booleans())),
    (np.float32, st.floats(width=32).map(np.float32)),
    (np.int64, st.integers(-(2**63), 2**63 - 1).map(np.int64)),
]


@given(st.data())
def test_a_value_comes_back_from_its_plain_form(data: st.DataObject) -> None:
    hint, values = data.draw(st.sampled_from(TYPES))
    value = data.draw(values)
    plain = json.loads(json.dumps(to_plain(value, hint, "m.f")))
    again = from_plain(plain, hint, "m.f")
    assert again == value or repr(again) == repr(value)
    assert to_plain(again, hint, "m.f") == plain or plain != plain


@pytest.mark.parametrize("value", [np.float32("inf"), np.float32("-inf"), np.float32("nan")])
def test_a_number_of_numpy_may_be_infinite_or_not_a_number(value: np.float32) -> None:
    assert repr(to_plain(value, np.float32, "m.f")) == repr(value.item())
    assert to_plain([float("inf")], Any, "m.f") == [float("inf")]


@pytest.mark.parametrize("text", ["[inf, -inf]", "(inf, -inf)", "[Infinity, -Infinity]"])
def test_numbers_in_a_list_may_be_infinite(text: str) -> None:
    assert from_text(text, tuple[float, ...], "m.f") == [math.inf, -math.inf]
    assert from_text("nan", Any, "m.f") == "nan"


@given(st.data())
def test_the_plain_form_as_text_means_the_same(data: st.DataObject) -> None:
    hint, values = data.draw(st.sampled_from([pair for pair in TYPES if pair[0] not in (str, str | None, Any)]))
    plain = to_plain(data.draw(values), hint, "m.f")
    for text in (json.dumps(plain), repr(plain), *([plain] if isinstance(plain, str) else [])):
        if text not in ("nan", "-inf"):
            again = from_text(text, hint, "m.f") if hint is not Path or text == plain else plain
            assert again == plain or repr(again) == repr(plain)


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("3", int, 3),
        ("3", float, 3.0),
        ("(1, -inf)", tuple[float, ...], (1.0, float("-inf"))),
        ("{'a': inf}", dict[str, float], {"a": float("inf")}),
        ("1e-3", float, 0.001),
        ("inf", float, math.inf),
        ("true", bool, True),
        ("False", bool, False),
        ("(0.5, 0.9)", tuple[float, float], (0.5, 0.9)),
        ("[1, 2]", tuple[float, ...], (1.0, 2.0)),
        ("[1, 2]", list[int], [1, 2]),
        ("(1, 2)", list[int], [1, 2]),
        ("none", int | None, None),
        ("1", float | None, 1.0),
        ("none", str | None, None),
        ("none", str, "none"),
        ("12", str | None, "12"),
        ("best", Literal["best", "first"], "best"),
        ("best", Literal["best", "first"] | None, "best"),
        ("None", Literal["best", "first"] | None, None),
        ("2", Literal[1, 2], 2),
        ("12", str, "12"),
        ("a/b", Path, Path("a/b")),
        ("first", Move, Move.FIRST),
        ('{"lr": 0.5}', Optimizer, Optimizer(0.5)),
        ("{'a': 1}", dict[str, int], {"a": 1}),
        ("hello", Any, "hello"),
        ("[1]", Any, [1]),
        ("0.5", np.float32, np.float32(0.5)),
    ],
)
def test_text_becomes_the_type_of_the_field(text: str, hint: object, value: object) -> None:
    parsed = from_plain(json.loads(json.dumps(from_text(text, hint, "m.f"))), hint, "m.f")
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        *(("x", int), ("true", int), ("1", bool), ("[", float), ("none", float), ("last", Literal["best", "first"])),
        *(("1.5", int), ("last", Move), ("[1, 'a']", list[int]), ("(1,)", tuple[int, int]), ("{}", list[int])),
        *(("{'rate': 1}", int | None), ("x", float | None), ("x", np.float32), ("[[[[[[", Optimizer)),
    ],
)
def test_text_of_another_type_is_refused(text: str, hint: object) -> None:
    with pytest.raises(UserError, match=r"m\.f (expects|is one of)"):
        from_text(text, hint, "m.f")


@pytest.mark.parametrize(
    "hint", [np.ndarray, set[str], tuple[frozenset[int], ...], Callable[[], int] | type(...), object.__new__]
)
def test_a_type_without_a_plain_form_is_named_with_its_field(hint: object) -> None:
    with pytest.raises(UserError, match=r"m\.f (has the type .*, which no setting can have; use bool, int|expects)"):
        to_plain(object(), hint, "m.f")


# -- whole methods ---------------------------------------------------------------------------------------------------------

FILE = """
from __future__ import annotations
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional
import numpy as np
if TYPE_CHECKING:
    from fractions import Fraction
class Move(Enum):
    BEST = "best"
@dataclass(frozen=True)
class Inner:
    lr: float = 0.1
@dataclass(frozen=True)
class M:
    '''Mine.'''
    x: Annotated[{hint}, "what it is"]{default}
    reference = "me"
    def search(self, view):
        view.query(view.space.sample(view.rng))
        assert self.x is not None
"""


def settings(folder: Path, hint: str, default: str, **texts: str) -> dict[str, Any]:
    """Return the settings as a run and the contract check resolve them. Build the method as a worker does."""
    file = folder / f"m{abs(hash((hint, default)))}.py"
    file.write_text(FILE.replace("{hint}", hint).replace("{default}", default and f" = {default}"))
    info = registry.method(str(file))
    plain = registry.settings(info, info.name, "toy", {}, texts)
    registry.build(info, json.loads(json.dumps(plain)))
    return plain


@pytest.mark.parametrize(
    ("hint", "default", "plain"),
    [
        ("list[int]", "field(default_factory=lambda: [1, 2])", [1, 2]),
        ("Path", "Path('a')", "a"),
        ("Move", "Move.BEST", "best"),
        ("int", "np.int64(3)", 3),
        ("float", "np.float32(0.5)", 0.5),
        ("np.float32", "np.float32(0.5)", 0.5),
        ("Inner", "Inner()", {"lr": 0.1}),
        ("Optional[float]", "1", 1.0),
        ("str | None", "None", None),
        ("Literal['a'] | None", "'a'", "a"),
        ("Any", "(1, 2)", [1, 2]),
        ("float", "5", 5.0),
    ],
)
def test_a_field_of_any_usual_type_runs_with_its_default(tmp_path: Path, hint: str, default: str, plain: object) -> None:
    resolved = settings(tmp_path, hint, default)["x"]
    assert resolved == plain
    assert type(resolved) is type(plain)


@pytest.mark.parametrize(
    ("hint", "default", "words"),
    [
        ("int", "", r"\.x has no default: give it one, or pass --set m\d+\.x=VALUE"),
        ("Fraction", "1", "the type of x names 'Fraction', which is not defined .* outside TYPE_CHECKING"),
        ("int", "'three'", r"\.x expects int, not 'three'"),
        ("Any", "object()", r"\.x expects Any, not <object"),
        ("np.ndarray", "field(default_factory=lambda: np.zeros(2))", r"\.x has the type ndarray, which no setting can have"),
        ("set[int]", "field(default_factory=set)", r"\.x has the type set\[int\], which no setting can have"),
    ],
)
def test_a_field_that_cannot_be_a_setting_is_one_line(tmp_path: Path, hint: str, default: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as refusal:
        settings(tmp_path, hint, default)
    assert "\n" not in str(refusal.value)


def test_a_field_without_default_takes_it_from_the_command_line(tmp_path: Path) -> None:
    assert settings(tmp_path, "int", "", x="3") == {"x": 3}


def test_a_constructor_that_refuses_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "picky_method.py"
    file.write_text(
        FILE.replace("{hint}", "int").replace("{default}", " = 1") + "    def __post_init__(self): raise KeyError('bad')\n"
    )
    info = registry.method(str(file))
    with pytest.raises(UserError, match="picky_method: KeyError: 'bad'"):
        registry.settings(info, info.name, "toy", {}, {})
