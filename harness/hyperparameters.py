"""The hyperparameters of a method: from text or plain values to the types of its fields, and back.

Plain values are the values of JSON. They are part of a run's identity and of the store. The command line, protocols, stored
runs and the contract check all convert with this module. Types that are not simple are converted by Pydantic.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import json
import math
import types
import typing
from collections.abc import Iterator, Mapping, Set
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final

from harness.errors import UserError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

TYPES: Final = "bool, int, float, str, Path, an Enum, a Literal, a dataclass, or None, tuples, lists and dicts of these"
_OTHER: Final = object()
_WORDS: Final = {"true": True, "false": False, "none": None, "inf": math.inf}


@cache
def types_of(cls: type) -> dict[str, Any]:
    """Return the type of each hyperparameter of a method's class. Raises :class:`UserError` for a name it cannot resolve."""
    fields = [field for field in dataclasses.fields(cls) if field.init]
    try:
        hints = typing.get_type_hints(cls)
    except NameError as error:
        users = [field.name for field in fields if error.name and error.name in str(field.type)]
        where = f"the type of {', '.join(users)}" if users else "a class attribute's type"
        missing = f"{error.name!r}, which is not defined when the file runs; import it outside TYPE_CHECKING"
        raise UserError(f"{cls.__name__}: {where} names {missing}") from None
    except Exception as error:
        raise UserError(f"{cls.__name__}: the types of its fields cannot be read: {type(error).__name__}: {error}") from error
    return {field.name: hints[field.name] for field in fields}


def defaults(cls: type) -> dict[str, Any]:
    """Return the default values of a method's fields; fields without a default are left out."""
    values = {}
    for field in dataclasses.fields(cls):
        if field.init and field.default is not dataclasses.MISSING:
            values[field.name] = field.default
        elif field.init and field.default_factory is not dataclasses.MISSING:
            values[field.name] = field.default_factory()
    return values


def from_text(text: str, hint: Any, name: str) -> Any:
    """Return ``text`` as a plain value for a field: ``0.1``, ``none``, ``(1, 2)``, ``{"lr": 0.1}``, or a word.

    Raises :class:`UserError` with the values that ``name`` expects.
    """
    if hint is str:
        return text
    for candidate in (*_values(text), text):
        with contextlib.suppress(ValueError, TypeError):
            return _dumped(_loaded(candidate, hint, name), hint, name)
    if typing.get_origin(hint) is typing.Literal:
        raise UserError(f"{name} is one of {', '.join(map(str, typing.get_args(hint)))}, not {text!r}")
    raise _refusal(text, hint, name)


def from_plain(value: Any, hint: Any, name: str) -> Any:
    """Return a plain value as the type of its field. Raises :class:`UserError`."""
    try:
        return _loaded(value, hint, name)
    except (ValueError, TypeError):
        raise _refusal(value, hint, name) from None


def to_plain(value: Any, hint: Any, name: str) -> Any:
    """Return the value of a field in JSON's types. Raises :class:`UserError` if it is not of the field's type."""
    with contextlib.suppress(ValueError, TypeError):
        plain = _dumped(value, hint, name)
        before, after = _listed(value), _listed(_loaded(plain, hint, name))
        if before == after or repr(before) == repr(after):  # NaN differs from itself
            return plain
    raise _refusal(value, hint, name)


def _refusal(value: Any, hint: Any, name: str) -> UserError:
    return UserError(f"{name} expects {type_name(hint)}, not {value!r}")


def type_name(hint: Any) -> str:
    """Return a type as a person writes it."""
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")


def _values(text: str) -> Iterator[Any]:
    """Return the values that ``text`` may mean besides a word."""
    if text.lower() in _WORDS:
        yield _WORDS[text.lower()]
    for parse in (json.loads, _literal):
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            yield parse(text)
            return


def _literal(text: str) -> Any:
    """Return the value of a Python literal, in which a list, tuple or dict may contain ``inf`` and ``nan``."""
    tree = ast.parse(text.strip(), mode="eval")
    return ast.literal_eval(tree if isinstance(tree.body, ast.Name) else _Numbers().visit(tree))


class _Numbers(ast.NodeTransformer):
    """Transformer that replaces the names ``inf`` and ``nan``, which Python prints for such numbers, by the numbers."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node


def _loaded(value: Any, hint: Any, name: str) -> Any:
    simple = _simple(value, hint, tuple)
    if simple is _OTHER:
        return _adapter(hint, name).validate_json(json.dumps(_number(value)), strict=True)
    return simple


def _dumped(value: Any, hint: Any, name: str) -> Any:
    simple = _simple(value, hint, list)
    if simple is _OTHER:
        value = value if _from_numpy(hint) else _number(value)
        simple = _adapter(hint, name).dump_python(value, mode="json", warnings="error")
        json.dumps(simple)
    return simple


def _simple(value: Any, hint: Any, sequence: type) -> Any:
    """Return the value if its type is simple, without Pydantic; else ``_OTHER``. Nearly all fields have simple types.

    Tuples become a ``sequence``: a list in a plain value, a tuple in a field.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return value if any(type(option) is type(value) and option == value for option in parts) else _OTHER
    if origin in (typing.Union, types.UnionType):
        return next((done for part in parts if (done := _simple(value, part, sequence)) is not _OTHER), _OTHER)
    if origin in (tuple, list) and parts and isinstance(value, (tuple, list)):
        each = [parts[0]] * len(value) if origin is list or parts[-1] is ... else list(parts)
        done = [_simple(item, part, sequence) for item, part in zip(value, each, strict=False)]
        complete = len(each) == len(value) and all(item is not _OTHER for item in done)
        return _OTHER if not complete else done if origin is list else sequence(done)
    if origin in (dict, Mapping) and isinstance(value, dict) and all(type(key) is parts[0] is str for key in value):
        items = {key: _simple(item, parts[1], sequence) for key, item in value.items()}
        return _OTHER if any(item is _OTHER for item in items.values()) else items
    if hint is Any and sequence is tuple:
        return value
    if hint is float and type(value) is int:
        return float(value)
    return value if hint in (bool, int, float, str, type(None)) and type(value) is hint else _OTHER


def _number(value: Any) -> Any:
    """Return a NumPy scalar as a Python number."""
    return value.item() if _from_numpy(type(value)) else value


def _from_numpy(kind: Any) -> bool:
    return getattr(kind, "__module__", "") == "numpy" and hasattr(kind, "item") and not hasattr(kind, "__len__")


def _listed(value: Any) -> Any:
    """Return a value with lists for its tuples, as in JSON."""
    if isinstance(value, (tuple, list)):
        return [_listed(item) for item in value]
    return {key: _listed(item) for key, item in value.items()} if isinstance(value, dict) else value


@cache
def _adapter(hint: Any, name: str) -> TypeAdapter[Any]:
    """Return Pydantic's converter for a type. Raises :class:`UserError` for a type that has no plain form."""
    from pydantic import ConfigDict, PlainSerializer, PlainValidator, TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        if _has_sets(hint):
            raise TypeError
        if _from_numpy(hint):
            hint = Annotated[Any, PlainValidator(hint), PlainSerializer(lambda value: value.item())]
        with contextlib.suppress(PydanticUserError):  # a dataclass takes no settings from outside
            return TypeAdapter(hint, config=ConfigDict(ser_json_inf_nan="constants"))
        return TypeAdapter(hint)
    except (PydanticUserError, TypeError):
        raise UserError(f"{name} has the type {type_name(hint)}, which no setting can have; use {TYPES}") from None


def _has_sets(hint: Any) -> bool:
    """Return whether a type contains a set: it has no order, and a run's identity needs one."""
    origin = typing.get_origin(hint) or hint
    return (isinstance(origin, type) and issubclass(origin, Set)) or any(map(_has_sets, typing.get_args(hint)))
