"""The contract of a search method, and the facts that the registry reads from a method's class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from harness.errors import UserError
from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView

Proposes = Literal["best_valid", "self"]
"""Who proposes: the harness (the architecture with the best validation accuracy so far), or the method itself."""
Presets = Mapping[str, Mapping[str, Any]]
"""Hyperparameters by field, under a name."""


class Method(Protocol):
    """A frozen dataclass of hyperparameters with one function. The file's name is the method's name.

    It needs no base class. Optional class attributes, read by :meth:`MethodInfo.of`:

    * ``reference``: the paper, as text.
    * ``citations``: keys of its papers in ``reports/references.bib``.
    * ``compared_with``: the row, or the method, that reports draw the method's rows with.
    * ``kind``: the side of a benchmark that it needs; the default for a file is ``multi-trial``.
    * ``proposes``: ``"best_valid"`` (the default) or ``"self"``.
    * ``settings``: ``{space name: {field: value}}``, the papers' values away from the home space.
    * ``remarks``: ``{space name: sentence}``, what a reader of its results in that space must know.
    * ``variants``: ``{name: {field: value}}``, the separate rows of the papers. The variant without a name is the
      row of the method itself.
    * ``imports``: names of libraries that take long to import and that every search imports. They are imported once for all
      searches of a row, if they are installed. On import they must not start threads or compute anything.
    * ``pure``: True if a search leaves nothing behind in its process, so that several short searches may share one process.
      The contract is tested. Without it every search has a process for itself.

    Optional function: ``skip(self, problem) -> str | None``, see :class:`Selective`.
    """

    def search(self, view: SearchView) -> Arch | None:
        """Search until the budget ends it or the schedule is done. The harness proposes an architecture that is returned.

        A method that ends with a trained network may hand it over: :meth:`harness.view.SearchView.deliver`.
        """
        ...


@runtime_checkable
class Selective(Method, Protocol):
    """A method that cannot run on every benchmark."""

    def skip(self, problem: Problem) -> str | None:
        """Return why it cannot run on the problem, as a clause; None if it can."""
        ...


@dataclass(frozen=True)
class MethodInfo:
    """Facts about a method that the harness reads without running it."""

    name: str
    kind: str
    """The side of a benchmark that it needs: ``multi-trial``, ``one-shot``, ..."""
    cls: type
    file: Path
    reference: str
    """How a worker finds the method again: a name, or the path of a file."""
    paper: str = ""
    citations: tuple[str, ...] = ()
    """Keys of its papers in ``reports/references.bib``."""
    compared_with: str = ""
    """The row, or the method, that reports draw its rows with; empty if it is drawn alone."""
    proposes: Proposes = "best_valid"
    pure: bool = False
    imports: tuple[str, ...] = ()
    """Names of libraries to import once for all searches of a row."""
    settings: Presets = field(default_factory=dict)
    """By space name, the papers' hyperparameters there."""
    remarks: Mapping[str, str] = field(default_factory=dict)
    """By space name, a sentence that reports print below the results."""
    variants: Presets = field(default_factory=dict)
    """By the variant's name, the hyperparameters that make it."""

    @classmethod
    def of(cls, method: type, name: str, kind: str, file: Path, reference: str) -> MethodInfo:
        """Read the optional attributes of a method's class. Nothing else reads them.

        Args:
            kind: the kind of a class that states none.

        Raises:
            UserError: an attribute has a value that means nothing.
        """
        info = cls(
            name,
            getattr(method, "kind", kind),
            method,
            file,
            reference,
            paper=str(getattr(method, "reference", "")),
            citations=tuple(getattr(method, "citations", ())),
            compared_with=str(getattr(method, "compared_with", "")),
            proposes=getattr(method, "proposes", "best_valid"),
            pure=bool(getattr(method, "pure", False)),
            imports=tuple(getattr(method, "imports", ())),
            settings=getattr(method, "settings", {}),
            remarks=getattr(method, "remarks", {}),
            variants=getattr(method, "variants", {}),
        )
        if info.proposes not in get_args(Proposes):
            raise UserError(f'{file}: {method.__name__} has proposes = {info.proposes!r}, which is not "best_valid" or "self"')
        return info

    @property
    def rows(self) -> list[str]:
        """Return the rows of tables that this method fills: ``method``, or one ``method:variant`` for each variant."""
        return [self.row(variant) for variant in self.variants] or [self.name]

    def row(self, variant: str) -> str:
        """Return the row of a variant. The variant without a name is the row ``method``."""
        return f"{self.name}:{variant}" if variant else self.name

    def variant(self, row: str) -> Mapping[str, Any]:
        """Return the hyperparameters that make a row's variant."""
        return self.variants.get(row.partition(":")[2], {})

    @property
    def summary(self) -> str:
        """Return the first line of the docstring."""
        return (inspect.getdoc(self.cls) or "").split("\n")[0]

    def construct(self, arguments: Mapping[str, Any]) -> Method:
        """Return the method with these hyperparameters. Raises the errors of its constructor."""
        method: Method = self.cls(**arguments)
        return method


def skip_reason(method: Method, problem: Problem) -> str | None:
    """Return why a method cannot run on a problem, as it says itself; None if it can."""
    return method.skip(problem) if isinstance(method, Selective) else None
