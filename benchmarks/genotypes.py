"""Genotypes as papers print them, ``Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6))``: their parts."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any


def fields(text: str, names: Sequence[str], form: str) -> dict[str, Any]:
    """Return the fields of a genotype as lists. The text is read, never executed.

    Args:
        names: the fields that a genotype has.
        form: an example, for the error.

    Raises:
        ValueError: the text is not a genotype with these fields.
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        call = None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "Genotype" or call.args:
        raise ValueError(f"not of the form {form}")
    values = {keyword.arg or "**": _value(keyword.value) for keyword in call.keywords}
    if missing := [name for name in names if name not in values]:
        raise ValueError(f"it has no {missing[0]}")
    if strange := [name for name in values if name not in names]:
        raise ValueError(f"{strange[0]} is no field of a genotype; there are {', '.join(names)}")
    return values


def _value(node: ast.expr) -> Any:
    """Return the value of a literal, and of ``range(...)`` as a list. Raises :class:`ValueError` for other expressions."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords:
        bounds = [_value(bound) for bound in node.args]
        if len(bounds) in (1, 2) and all(type(bound) is int and 0 <= bound <= 99 for bound in bounds):
            return list(range(*bounds))
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{ast.unparse(node)} is no plain list") from None


def is_pair(entry: Any) -> bool:
    """Return whether an entry has the form of (operation, predecessor)."""
    return isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[0], str)


def inputs(where: str, entering: Iterable[Any], node: int, operations: Sequence[str], kind: str) -> list[tuple[int, int]]:
    """Return what enters a node as pairs (number of the operation, predecessor).

    Args:
        where: the node in words, for errors.
        entering: pairs (operation, predecessor).
        node: number of the node; its predecessors are the states before it.
        operations: the names of operations.
        kind: what the names are called, for errors.

    Raises:
        ValueError: an entry is no such pair, or comes twice.
    """
    pairs: list[tuple[int, int]] = []
    for entry in entering:
        if not is_pair(entry):
            raise ValueError(f"{where}: {entry!r} is no pair ({kind}, predecessor)")
        name, source = entry
        if name not in operations:
            more = "; an edge with none is left out" if name == "none" else ""
            raise ValueError(f"{where}: no {kind} {name!r}; there are {', '.join(operations)}{more}")
        if type(source) is not int or not 0 <= source < node:
            raise ValueError(f"{where}: predecessor {source!r} is not one of 0 to {node - 1}")
        pair = (operations.index(name), source)
        if pair in pairs:
            raise ValueError(f"{where}: {name} on predecessor {source} twice")
        pairs.append(pair)
    return pairs


def check_concat(name: str, concat: Any, alive: Sequence[int]) -> None:
    """Raise :class:`ValueError` unless a field names the nodes that the cell inputs reach.

    Args:
        name: the field.
        concat: its value.
        alive: the nodes that are reached, ascending.
    """
    if not isinstance(concat, list | tuple) or not all(type(node) is int for node in concat):
        raise ValueError(f"{name} {concat!r} is no list of nodes")
    if sorted(concat) != list(alive):
        raise ValueError(f"{name} is {list(concat)}, but the nodes that the cell inputs reach are {list(alive)}")


def concat_text(alive: Sequence[int], first: int, nodes: int) -> str:
    """Return how a genotype spells the nodes that are reached: ``range(2, 6)`` if these are all."""
    return f"range({first}, {first + nodes})" if len(alive) == nodes else str(list(alive))
