"""A claim of a contract, and the check of a claim."""

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
    """How the claim is broken; empty if it is true."""
    checked: bool = True


class Broken(AssertionError):
    """A claim of the contract is false. The text says how."""


class Lost(Broken):
    """A search did not return. Another one would not return either."""


def require(condition: bool, problem: str) -> None:
    """Raise :class:`Broken` with ``problem`` unless ``condition`` is true."""
    if not condition:
        raise Broken(problem)


def sentence_of(claim: Callable[..., Any]) -> str:
    """Return the sentence of a claim: the first line of its docstring."""
    return (inspect.getdoc(claim) or "").split("\n")[0].rstrip(".")


def problem_of(claim: Callable[..., None], *subject: Any) -> str:
    """Return how ``subject`` breaks a claim; an empty text if it does not.

    Raises:
        Lost: a search did not return.
    """
    try:
        claim(*subject)
    except Lost:
        raise
    except (Broken, UserError) as error:
        return str(error)
    except Exception as error:
        return registry.in_a_line(error)
    return ""
