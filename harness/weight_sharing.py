"""The contracts of weight sharing: the images and the supernet that a benchmark offers, in any search space.

A method reaches a :class:`Task` as ``view.task``. The task has training and validation images, never a test image, and
builds the supernet. All randomness on this side (order of the images, augmentation, initial weights) comes from the seed of
the world. Methods compared in one world therefore see the same images and start from the same weights. The content of an
epoch depends on its number only, so that a resumed search sees the images that it would have seen.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from harness.delivery import Plain
from harness.space import Arch

if TYPE_CHECKING:
    from torch import Tensor, device, nn

    Batch = Sequence[Tensor]
    """Images (n, channels, height, width) and labels (n,)."""
    Tables = Sequence[Tensor]
    """One tensor per decision."""

Pairing = Literal["space", "partner", "redraw", "iterate"]
"""How the batches of a bilevel search find their validation images: see :meth:`Task.pairs`."""

Active = tuple[tuple[tuple[int, ...], ...], ...]
"""For each decision and each of its rows, the numbers of the options that are executed."""


def ranked(scores: Sequence[float], rng: random.Random) -> list[int]:
    """Return the positions of the scores, highest first. Equal scores are in random order (D-52)."""
    order = list(range(len(scores)))
    rng.shuffle(order)
    return sorted(order, key=scores.__getitem__, reverse=True)


class Rules(NamedTuple):
    """What every method does as the task requires. The defaults are those of images."""

    ranked_by: Literal["accuracy", "loss"] = "accuracy"
    """What compares candidates on validation data. Language models are compared by perplexity, the exponential of the loss."""
    arch_beta: float = 0.5
    """Decay rate of the first moment in Adam's steps of the architecture's logits (D-94)."""
    unrolled_clipped: bool = False
    """In the second order, gradients by the weights are clipped as in a step of the weights (D-93)."""
    guessing: float | None = None
    """Accuracy in percent of the best guess that does not look at an image. None: 100 over the number of classes."""
    learned: float = 1.5
    """A supernet has learned something if its accuracy is more than this many times that of guessing."""


class Decision(NamedTuple):
    """A table of architecture decisions: ``rows`` choices among the same ``options``."""

    name: str
    rows: int
    options: tuple[str, ...]
    kind: Literal["operation", "edge"] = "operation"
    """``operation``: the options are operations on an edge or a node; ``edge``: the options are the inputs of a node."""
    targets: tuple[int, ...] = ()
    """For each row, the node that it enters. Empty if the rows are not edges."""
    picks: int = 1
    """Number of options that an architecture takes from a row."""
    several: bool = False
    """True if an architecture may take zero or more options from a row; False if it takes exactly ``picks``."""


def everything(decisions: Sequence[Decision]) -> Active:
    """Return every option of every row."""
    return tuple((tuple(range(len(decision.options))),) * decision.rows for decision in decisions)


class Supernet(Protocol):
    """One network that contains every architecture of the search space."""

    decisions: tuple[Decision, ...]
    """The architecture decisions, in the order in which weights, scores and active options are given."""
    cells: int
    """Number of cells in the network."""
    module: nn.Module
    """The network: its weights, and its training or evaluation mode."""
    recordable: bool
    """Whether a pass with the same options is the same operations on the same tensors each time, so that a device may record
    it; see :class:`harness.steps.Step`. :class:`Metered` has False."""

    def __call__(
        self,
        images: Tensor,
        weights: Tables | Sequence[Tables] | None = None,
        active: Active | list[Active] | None = None,
        *,
        straight_through: bool = False,
    ) -> Tensor:
        """Return the logits (batch, classes) of one pass, and charge it: as training if gradients are on, else as evaluation.

        The cells of the network share weights and options, or each cell has its own: both arguments may be lists with an
        entry for each cell, in the order of the network. The two are independent; one may be a list and the other not.

        Args:
            images: (batch, channels, height, width).
            weights: one tensor (rows, options) per decision, or (batch, rows, options) if each image has its own weights.
                None: weight one for every executed option.
            active: the options to execute. None: all options. An option that is not executed counts as weight zero.
            straight_through: an option that is not executed adds its weight as a number (GDAS). The value of that number is
                zero; its gradient is not.

        Raises:
            ValueError: a list has another number of entries than the network has cells.
        """
        ...

    def price(
        self,
        images: int,
        weights: Tables | Sequence[Tables] | None = None,
        active: Active | list[Active] | None = None,
        *,
        training: bool = False,
    ) -> Mapping[str, float]:
        """Return the price of a pass by currency, as :meth:`__call__` would charge it. Nothing is computed or charged.

        Args:
            images: number of images.
            training: the price of a pass with gradients.
        """
        ...

    def unmetered(self) -> AbstractContextManager[None]:
        """Return a context in which passes cost nothing. Use it to record values, never to make a decision of the method.

        Nothing checks this: the rule is part of the contract of a method.
        """
        ...

    def active_for(self, arch: Arch) -> Active:
        """Return the options to execute so that the supernet computes the network of ``arch``.

        Raises:
            ValueError: this supernet lacks an operation of ``arch``.
        """
        ...

    def arch_of(self, active: Active) -> Arch:
        """Return the architecture whose network executes these options: the inverse of :meth:`active_for`.

        Raises:
            ValueError: the space has no such architecture.
        """
        ...

    def derive(self, scores: Sequence[Any], rng: random.Random) -> Arch:
        """Return the architecture that the space's rule derives from scores.

        Args:
            scores: one table (rows, options) per decision; higher is better.
            rng: decides between equal scores; see :func:`ranked`. It never changes the order of different scores.
        """
        ...


class StandAlone(Protocol):
    """A trained stand-alone network in evaluation mode: what :meth:`harness.view.SearchView.deliver` hands over."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits (batch, classes)."""
        ...

    @property
    def settings(self) -> Mapping[str, Plain]:
        """Return the settings by which the judge builds the network."""
        ...

    def weights(self) -> bytes:
        """Return the weights and the statistics of norms, serialised by ``torch.save``."""
        ...


class DeployableSupernet(Supernet, Protocol):
    """A supernet that can become the network to deploy: one-stage ISTA-NAS trains it to the end (D-13, D-15).

    Its operations end in norms with scale and shift, which take up the weights of the operations.
    """

    drop_path: float
    """Probability that the output of an operation is dropped in training, per image. An identity without a norm is never
    dropped; one with a norm is, as every other operation."""
    auxiliary_logits: Tensor | None
    """Logits (batch, classes) of the auxiliary head in the last pass in training mode; None if there is no such head."""

    def seed_drop_path(self, seed: int) -> None:
        """Seed the random numbers of drop-path."""
        ...

    def freeze_affine(self, nodes: Collection[tuple[int, int]]) -> Tensor:
        """Freeze the scale and shift of every operation that enters these nodes, and train those of all other operations.

        Args:
            nodes: pairs (decision, target).

        Returns:
            bool, flat, in the order of ``module.parameters()``: True for the values that an optimiser must not change.
        """
        ...

    def parameter_count(self, arch: Arch) -> int:
        """Return the number of parameters of the stand-alone network of ``arch``, without its auxiliary head."""
        ...

    def absorb(self, arch: Arch, weights: Sequence[Tensor] | None = None) -> StandAlone:
        """Return the stand-alone network of ``arch`` in evaluation mode.

        It computes the same as the supernet with these weights, up to rounding. The supernet does not change.

        Args:
            weights: the weights of the operations, as in a pass. None: weight one.
        """
        ...


class Metered:
    """Mixin for supernets: :attr:`metered` says whether a pass is charged at the moment."""

    metered = True
    recordable = False

    @contextmanager
    def unmetered(self) -> Iterator[None]:
        """See :meth:`Supernet.unmetered`."""
        self.metered = False
        try:
            yield
        finally:
            self.metered = True


class Task(Protocol):
    """The opened training side of one search in one world."""

    name: str
    """Name of the data set."""
    device: device
    classes: int
    rules: Rules
    rate_factor: float
    """Factor of the weights' learning rate for the training batch that was yielded last: 1, or in proportion to the length of
    a block of text."""
    images: Mapping[str, int]
    """Number of images of each part: ``train``; ``valid``; ``full``, all images, for single-level methods; and ``plain``, the
    evaluations of ``valid`` (several per image if the images have noise)."""

    def supernet(self, **choices: Any) -> Supernet:
        """Return the supernet of the space with the initial weights of this world.

        A choice has the same name in every space. Every space takes:

            none: ``none`` is one of the operations. No effect if the space has no such operation.
            track: norms keep running statistics for evaluation.
            track_outside: norms outside the cells keep running statistics, even without ``track`` (D-53). No effect if the
                space's own code makes no such difference.
            plain_last: the last norm has scale, shift and running statistics only if the norms inside the cells have them
                (D-54). No effect likewise.
            bias: the convolutions of the cells have a bias.
            channels: channels of the first stage; 0: as in the benchmark's networks.

        Some spaces take more, and name it in ``choices`` of the training side (``problem.training``), so that a method that
        needs the choice can ``skip`` the other spaces:

            partial: operations work on one of this many channels; the rest passes by, then channels are shuffled (PC-DARTS).
            edges: the inputs of nodes are decisions too, of the kind ``edge``. No effect if they always are.
            affine: the norms inside the cells have scale and shift.
            operations: for each decision, by name, the operations that are its options; a decision without an entry has all.
            normed: norms without scale and shift also follow poolings, skip connections and cells, for methods whose weights of
                operations are small (ISTA-NAS on NAS-Bench-201, D-43). They keep statistics as ``track`` says.

        The training side also states ``operations_on = "nodes"`` if operations are on nodes instead of edges, and
        ``deployable = True`` if its supernets are :class:`DeployableSupernet` with ``affine``. Such a space also takes:

            cells: number of cells; 0: as in the benchmark's searches.
            auxiliary: the network has an auxiliary head.
        """
        ...

    def batches(self, part: str, batch: int, epoch: int, stream: str = "", cutout: int = 0) -> Iterable[Batch]:
        """Yield augmented images and labels of a part, shuffled. The last batch may be smaller.

        Args:
            stream: batches of another stream are shuffled independently.
            cutout: side of the square that is cut out of each image; 0: none.
        """
        ...

    def pairs(self, batch: int, epoch: int, pairing: Pairing = "space") -> Iterable[tuple[Batch, Batch]]:
        """Yield the batches of ``train``, each with a batch of ``valid``, both augmented: the bilevel loader.

        Args:
            pairing: the validation images of a batch. ``space``: by the rule of the space's own code, which is one of the
                following. ``partner``: for each training image, one that is drawn uniformly with replacement. ``redraw``: the
                first batch of a new shuffle. ``iterate``: the next batch of a shuffled part, which is shuffled again when it
                ends; every image comes once before one comes twice.
        """
        ...

    def plain(self, part: str, batch: int, number: int) -> Batch:
        """Return batch ``number`` of a part for evaluation: shuffled once, without augmentation. Numbers wrap around."""
        ...
