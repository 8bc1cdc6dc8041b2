"""The contracts of weight sharing: what a benchmark offers to train on, whatever its search space.

A method reaches a :class:`Task` as ``view.task``. The task holds training and validation images, never a test image, and
builds the supernet. Everything random on this side (order of the images, their augmentation, the initial weights) comes from
the world's seed, so that methods compared in one world see the same; what an epoch holds depends on its number alone, so that
a resumed search sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from harness.space import Arch

if TYPE_CHECKING:
    from torch import Tensor, device, nn

    Batch = tuple[Tensor, Tensor]
    """Images (n, channels, height, width) and labels (n,)."""

Active = tuple[tuple[tuple[int, ...], ...], ...]
"""Per decision and row, the options that are executed."""


class Decision(NamedTuple):
    """A table of architecture decisions: ``rows`` choices among the same ``options``."""

    name: str
    rows: int
    options: tuple[str, ...]
    kind: Literal["operation", "edge"] = "operation"
    """``operation``: options are operations on an edge or node; ``edge``: options are the inputs of a node."""
    targets: tuple[int, ...] = ()
    """For each row the node that it enters, where rows are edges."""
    picks: int = 1
    """How many options of a row an architecture has."""
    several: bool = False
    """Whether a row of an architecture may hold any number of options, none too; else it holds one."""


class Supernet(Protocol):
    """One network that holds every architecture of the space."""

    decisions: tuple[Decision, ...]
    cells: int
    """How many cells the network has."""
    module: nn.Module
    """Its weights and their training mode."""

    def __call__(
        self,
        images: Tensor,
        weights: Sequence[Tensor] | None = None,
        active: Active | Sequence[Active] | None = None,
        *,
        straight_through: bool = False,
    ) -> Tensor:
        """Logits (batch, classes), and a charge for the pass: of training where gradients are on, else of evaluation.

        Args:
            images: (batch, channels, height, width).
            weights: one tensor (rows, options) per decision, or (batch, rows, options) for weights of each image's own; None:
                one for everything that is executed.
            active: what is executed, or a list of that for each cell of the network; None: everything. What is not executed
                counts as weight zero.
            straight_through: an option that is not executed enters as its weight, a number (GDAS): its value is zero, its
                gradient is not.
        """
        ...

    def unmetered(self) -> AbstractContextManager[None]:
        """In it passes cost nothing: for what is only recorded, never for what a method decides by."""
        ...

    def only(self, arch: Arch) -> Active:
        """What is executed where the supernet is to be the network of ``arch``."""
        ...

    def holding(self, active: Active) -> Arch:
        """The architecture whose network executes this: the inverse of :meth:`only`."""
        ...

    def derive(self, scores: Sequence[Any]) -> Arch:
        """The space's rule from a table of scores per decision, higher being better, to an architecture."""
        ...


class Metered:
    """For supernets: whether the passes of the moment are charged."""

    metered = True

    @contextmanager
    def unmetered(self) -> Iterator[None]:
        """See :meth:`Supernet.unmetered`."""
        self.metered = False
        try:
            yield
        finally:
            self.metered = True


class Task(Protocol):
    """The training side of a weight-sharing search in one world."""

    name: str
    device: device
    classes: int
    images: Mapping[str, int]
    """How many images there are: ``train``; ``valid``; ``full``, all that a single-level method trains on; and ``plain``, those
    of ``valid`` as they are evaluated (several times each, where the images have noise)."""

    def supernet(self, **choices: Any) -> Supernet:
        """The space's supernet with this world's initial weights.

        A choice has the same name in every space. All take:

            none: whether ``none`` is one of the operations; no difference where the space has no such operation.
            track: whether norms keep running statistics for evaluation.
            bias: whether the cells' convolutions have one.
            channels: of the first stage; 0: as many as the benchmark's networks have.

        Some take more, and name it in ``choices`` of what opens the task (``problem.task``), so that a method that needs it
        can ``skip`` the others:

            partial: operations work on one channel in so many, the rest passes by, then channels are shuffled (PC-DARTS).
            edges: whether the inputs of nodes are decisions too, of the kind ``edge``; no difference where they always are.
            affine: whether the norms inside the cells have scale and shift.

        What opens it also says ``operations_on = "nodes"`` where operations do not stand on edges.
        """
        ...

    def batches(self, part: str, batch: int, epoch: int, stream: str = "", cutout: int = 0) -> Iterable[Batch]:
        """Augmented images and labels of a part, shuffled; the last batch may be smaller.

        A ``stream`` shuffles by itself; ``cutout`` is the side of a square that is cut out of each image.
        """
        ...

    def pairs(self, batch: int, epoch: int) -> Iterable[tuple[Batch, Batch]]:
        """The space's bilevel loader: batches of ``train``, each with one of ``valid``, both augmented."""
        ...

    def plain(self, part: str, batch: int, number: int) -> Batch:
        """The ``number``-th batch of a once-shuffled part as it is evaluated, without augmentation; batches wrap round."""
        ...
