"""A claim of a contract, and how it is found broken."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from harness import registry
from harness.errors import UserError


class Claim(NamedTuple):
    """A sentence of a contract."""

    text: str
    problem: str = ""
    """How it is broken; nothing where it holds."""
    checked: bool = True


class Broken(AssertionError):
    """A claim of the contract does not hold; the text says how."""


class Lost(Broken):
    """A search did not come back: there is no use in starting another."""


def require(holds: bool, problem: str) -> None:
    """Raise :class:`Broken` unless the claim holds."""
    if not holds:
        raise Broken(problem)


def said(claim: Callable[..., Any]) -> str:
    """Return the sentence of a claim: the first line of its docstring."""
    return (inspect.getdoc(claim) or "").split("\n")[0].rstrip(".")


def problem_of(claim: Callable[..., None], *subject: Any) -> str:
    """Return how ``subject`` breaks a claim; nothing where it holds. Raises :class:`Lost`."""
    try:
        claim(*subject)
    except Lost:
        raise
    except (Broken, UserError) as error:
        return str(error)
    except Exception as error:
        return registry.in_a_line(error)
    return ""
