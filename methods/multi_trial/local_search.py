from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from harness.problem import MissingRecord
from harness.space import Arch
from harness.view import SearchView
from methods.multi_trial.parts.recorded import first_recorded


@dataclass(frozen=True)
class LocalSearch:
    """Local search: climbs from the best of several random architectures to better neighbours, and starts again at an optimum.

    The default is that of the authors' code, naszilla: it moves to the first better neighbour, from the best of ten starts.
    ``full_neighbourhood`` is the paper's algorithm (D-73). No architecture is evaluated twice: a climb goes on among neighbours
    that were not evaluated before, and random starts are new.
    """

    move: Annotated[Literal["first", "best"], "move to the first better neighbour, or to the best of all neighbours (D-73)"] = (
        "first"
    )
    starts: Annotated[int, "random architectures before each climb, which begins at the best of them (D-73)"] = 10

    reference: ClassVar[str] = "White et al. 2021, arXiv:2005.02960"
    citations: ClassVar[tuple[str, ...]] = ("white2021local",)
    pure: ClassVar[bool] = True
    variants: ClassVar[dict[str, dict[str, object]]] = {"": {}, "full_neighbourhood": {"move": "best", "starts": 1}}

    def __post_init__(self) -> None:
        if self.move not in ("best", "first"):
            raise ValueError(f"move must be 'best' or 'first', not {self.move!r}")
        if self.starts < 1:
            raise ValueError("starts must be at least 1")

    def search(self, view: SearchView) -> None:
        known = _Known(view)
        new = known.new()
        with known.until_all_are_known():
            while True:
                starts = [first_recorded(new.__next__, known.measure)[0] for _ in range(self.starts)]
                current: Arch | None = max(starts, key=known.accuracy.__getitem__)
                while current is not None:
                    current = self._better(known, current)

    def _better(self, known: _Known, current: Arch) -> Arch | None:
        """Return the neighbour to move to; None if no neighbour that was not evaluated before is better."""
        present, measured = known.accuracy[current], []
        for arch in known.neighbours(current):
            with suppress(MissingRecord):
                measured.append((known.measure(arch), arch))
                if self.move == "first" and measured[-1][0] > present:
                    return arch
        best, arch = max(measured, key=lambda entry: entry[0], default=(present, current))
        return arch if best > present else None


@dataclass
class _Known:
    """The architectures that were evaluated, and those without a record."""

    view: SearchView
    accuracy: dict[Arch, float] = field(default_factory=dict)
    """Validation accuracies of the evaluated architectures."""
    missing: set[Arch] = field(default_factory=set)

    def measure(self, arch: Arch) -> float:
        """Evaluate an architecture and return its validation accuracy. Raises :class:`MissingRecord`."""
        try:
            accuracy = self.accuracy[arch] = self.view.query(arch).valid_accuracy
        except MissingRecord:
            self.missing.add(arch)
            raise
        return accuracy

    def new(self) -> Iterator[Arch]:
        """Yield random architectures that were not evaluated. End if no other is left."""
        space = self.view.space
        while not self.accuracy or len(self.accuracy) + len(self.missing) < space.size:
            arch = space.sample(self.view.rng)
            if arch not in self.accuracy:
                yield arch

    @contextmanager
    def until_all_are_known(self) -> Iterator[None]:
        """Leave the body if every architecture is known, or if no other seems to have a record."""
        try:
            yield
        except StopIteration:
            pass
        except MissingRecord:
            if not self.accuracy:
                raise

    def neighbours(self, arch: Arch) -> list[Arch]:
        """Return the neighbours that are not known, in random order."""
        around = [near for near in self.view.space.neighbors(arch) if near not in self.accuracy and near not in self.missing]
        self.view.rng.shuffle(around)
        return around
