"""What every weight-sharing search has: supernet, optimiser, schedule, epochs, trace and checkpoints."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.budget import BudgetExhausted
from harness.device import autocast
from harness.schedule import MARGIN, Schedule
from harness.space import Arch
from harness.steps import Number, Recorder, Step, recorder
from harness.view import SearchView
from methods.one_shot.parts.checkpoints import packed, unpack
from methods.one_shot.parts.passes import EVERYTHING, CellForward, Forward
from methods.one_shot.parts.recording import Recording
from methods.one_shot.parts.sgd import Sgd, cosine
from methods.one_shot.parts.training import WeightTraining

if TYPE_CHECKING:
    from harness.weight_sharing import Batch, Supernet, Task

CHECKPOINT_SHARE = 0.01
"""Share of the real time that checkpoints may take. They are written at the end of an epoch."""
PRICED_CELLS = 32
"""Number of drawn cells whose mean price a fitted schedule expects of a candidate."""
Item = TypeVar("Item")
Result = TypeVar("Result")
Merit = TypeVar("Merit", float, Tensor)

Images = Literal["augmented", "plain"]
"""How validation images are shown; see :meth:`Search.validation`."""


class Search:
    """A running search.

    Args:
        view: the view of the method.
        settings: settings of training the weights.
        choices: choices of the supernet; see :meth:`harness.weight_sharing.Task.supernet`.
    """

    def __init__(self, view: SearchView, settings: WeightTraining, **choices: Any) -> None:
        self.view, self.settings = view, settings
        self.task: Task = view.task
        self.net: Supernet = self.task.supernet(
            track=settings.track_stats,
            track_outside=settings.track_outside,
            plain_last=settings.plain_last,
            bias=settings.conv_bias,
            channels=settings.channels,
            **choices,
        )
        self.sgd = Sgd(self.net.module, settings.momentum, settings.weight_decay, settings.nesterov, settings.inactive)
        self.device = self.task.device
        self.rng = random.Random()
        """Draws architectures. It is seeded in every epoch, so that a resumed search draws the same as an uninterrupted one."""
        self.generator = torch.Generator()
        """Draws tensors on the CPU, seeded likewise."""
        self.noise = torch.Generator(self.device)
        """Draws tensors on the device, seeded likewise."""
        self._ties = view.seed("ties")
        self.schedule = Schedule(view.budget, settings.epochs)
        """The search's own epochs, or as many as the budget allows."""
        self.rate: Callable[[float], float] = self._cosine
        """Learning rate of the weights by the position in the schedule."""
        self.lr = settings.lr
        self.epoch = 0
        self.draw: Callable[[], Forward] = self._uniform
        """Draws the pass of one cell as the method trains them. The default draws uniformly from the space."""
        self.priced: Callable[[], Sequence[Forward]] = lambda: [self.draw() for _ in range(PRICED_CELLS)]
        """Returns passes of cells like those that the method evaluates; a fitted schedule expects their mean price."""
        self._recording = Recording(view, self.task, self.net, self.schedule, self.validate)
        self._trained = 0.0
        """Epochs of the steps that train the weights."""
        self._steps, self._images, self._length = 0, self.task.images["train"], float(settings.epochs)
        self._recorder: Recorder | None = None
        self._stateful: dict[str, Any] = {"sgd": self.sgd, "schedule": self.schedule, "records": self._recording}

    def new_generator(self, name: str) -> torch.Generator:
        """Return a generator on the CPU, for values that are drawn once per search."""
        return torch.Generator().manual_seed(self.view.seed(name))

    def keep(self, **state: Any) -> None:
        """Name the objects with a state dictionary that checkpoints must contain."""
        self._stateful |= state

    def epochs(
        self,
        evaluated: int = 0,
        each: int = 0,
        part: Literal["train", "full"] = "train",
        goes_on: Callable[[int], bool] = lambda epoch: True,
    ) -> Iterator[int]:
        """Yield the remaining epochs with the learning rate set. Report progress and write a checkpoint at the end of each.

        After the last epoch, log what the supernet has learned. The batches of an epoch come through :meth:`steps`.

        Args:
            evaluated: number of images that cells such as those of :attr:`priced` are evaluated on after the last epoch. A
                fitted schedule keeps their price. Progress counts each as a third of a training image.
            each: number of such images after the steps of each epoch.
            part: images of an epoch, for the progress within it.
            goes_on: called with the number of each epoch before it; if it returns False, there are no more epochs.
        """
        epochs = self.settings.epochs
        self._length = epochs + evaluated / self.task.images["train"] / 3
        self._images = self.task.images[part]
        first = self._resume()
        self.epoch = max(first - 1, 0)
        written, cost = time.monotonic(), 0.0
        self._keep_for(evaluated, each)
        for epoch in self.schedule.epochs(first):
            self._seed(epoch)
            self.epoch = epoch
            self.lr = self.rate(self.position)
            self._steps = 0
            if not goes_on(epoch):
                self._checkpoint(epoch)
                break
            yield epoch
            self._trained += self._epoch_share
            self._keep_for(evaluated, each)
            self._progress(1.0)
            ended = time.monotonic()
            if cost <= CHECKPOINT_SHARE * (ended - written) or epoch + 1 == epochs:
                self._checkpoint(epoch + 1)
                written = time.monotonic()
                cost = written - ended
        self.rng.seed(self.view.seed("final cells"))
        self._seed_tensors("final cells")
        self._recording.final(self._trained, lambda: self.draw())
        self._seed(epochs)

    @property
    def position(self) -> float:
        """Return the moment in the method's own schedule, in its epochs; see :class:`harness.schedule.Schedule`."""
        return self.schedule.position

    @property
    def step_size(self) -> float:
        """Return the learning rate of the weights for the present training batch."""
        return self.lr * self.task.rate_factor

    def steps(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Yield the batches of an epoch, as far as the budget allows another step."""
        for batch in self.schedule.steps(batches, math.ceil(self._images / self.settings.batch)):
            if self.schedule.fitted:
                self.lr = self.rate(self.position)
            yield batch

    @contextmanager
    def until_spent(self) -> Iterator[None]:
        """Let the budget end the steps of an epoch in order, if a step is dearer than all before and does not fit.

        The epoch and the search then end as after any other step. The first epoch has to be whole, and without a fitted
        schedule the budget ends the search at once.
        """
        try:
            yield
        except BudgetExhausted:
            if not (self.schedule.fitted and self.epoch):
                raise

    def planned_epochs(self, passes: int) -> float:
        """Return the number of epochs: of the own schedule, or as many as the budget pays for if their price stays the same.

        Args:
            passes: training passes with all operations, per training image.
        """
        if not self.schedule.fitted:
            return float(self.settings.epochs)
        currency = str(self.view.budget.currency)
        epoch = passes * self.net.price(self.task.images["train"], training=True)[currency]
        return max(float(self.view.budget.limit - self.schedule.reserve) / epoch, 1.0)  # fewer are too small a budget

    def _cosine(self, position: float) -> float:
        settings = self.settings
        if position < settings.lr_warmup:
            return settings.lr * (math.floor(position) + 1) / settings.lr_warmup
        period = settings.lr_period * settings.epochs
        return cosine(position + settings.lr_ahead, period, settings.lr, settings.lr_end, settings.lr_restart)

    def _keep_for(self, evaluated: int, each: int) -> None:
        """Let a fitted schedule keep the price of images that cells are evaluated on, by the mean price of :attr:`priced`.

        Args:
            evaluated: number of images after the last epoch.
            each: number of images after the steps of each epoch.
        """
        if self.schedule.fitted and evaluated + each:
            self.rng.seed(self.view.seed("priced cells"))
            self._seed_tensors("priced cells")
            currency = str(self.view.budget.currency)
            price = fmean(self.net.price(1, active=cell.active)[currency] for cell in self.priced())
            self.schedule.reserve = MARGIN * evaluated * price
            self.schedule.lesson = MARGIN * each * price

    def _progress(self, epoch_share: float) -> None:
        """Report the share of the search that is done.

        Args:
            epoch_share: share of the present epoch that is done, if the epochs are the method's own.
        """
        self.view.progress(self.schedule.share if self.schedule.fitted else (self.epoch + epoch_share) / self._length)

    def loss(
        self, batch: Batch, forward: Forward | CellForward = EVERYTHING, reduction: Literal["mean", "sum"] = "mean"
    ) -> Tensor:
        """Return the cross entropy of one pass."""
        return F.cross_entropy(self.logits(batch[0], forward), batch[1], reduction=reduction)

    def logits(self, images: Tensor, forward: Forward | CellForward = EVERYTHING, *, training: bool = True) -> Tensor:
        """Return the logits of one pass, float32; see :mod:`harness.device` for the precision of the layers."""
        if self.net.module.training != training:  # a switch visits every layer, so it waits until it is needed
            self.net.module.train(training)
        with autocast(self.device):
            logits = self.net(images, forward.weights, forward.active, straight_through=forward.straight_through)
        return logits.float()

    def step(self, function: Callable[..., Result], same: bool = True) -> Step[Result]:
        """Return a step of this search, which a GPU records; see :class:`harness.steps.Step` for what ``function`` may do.

        Args:
            same: False if the operations differ from call to call, as those of a drawn cell do: it is not recorded.
        """
        if self._recorder is None and self.net.recordable:
            self._recorder = recorder(self.device)
        return Step(function, self._recorder if same and self.net.recordable else None)

    def step_weights(self, loss: Tensor) -> None:
        """Take one step of the weights down ``loss``."""
        self.finish_step(self.descend(loss, self.step_size))

    def descend(
        self, loss: Tensor, rate: Number, counted: Sequence[Tensor] = (), between: Callable[[], None] = lambda: None
    ) -> Tensor:
        """Move the weights down ``loss``: what a device does in a step. Return the loss.

        Args:
            counted: tensors whose gradients are part of the clipped norm.
            between: called after the backward pass, before the gradients are clipped.
        """
        self.sgd.zero()
        loss.backward()
        between()
        if self.settings.clip:
            self.sgd.clip(self.settings.clip, [value.grad for value in counted if value.grad is not None])
        self.sgd.step(rate)
        return loss.detach()

    def finish_step(self, loss: Tensor) -> None:
        """Note a step of the weights and its loss, and report progress."""
        self._recording.step(loss)
        self._steps += 1
        self._progress(self._epoch_share)

    @property
    def _epoch_share(self) -> float:
        """Return the share of the present epoch that has trained the weights."""
        return float(min(self._steps * self.settings.batch / self._images, 1.0))

    @torch.no_grad()
    def score(self, batch: Batch, forward: Forward = EVERYTHING) -> tuple[Tensor, Tensor]:
        """Return accuracy (percent) and mean loss on a batch in evaluation mode. The pass is charged."""
        logits = self.logits(batch[0], forward, training=False)
        return (logits.argmax(-1) == batch[1]).float().mean() * 100, F.cross_entropy(logits, batch[1])

    def merit(self, score: tuple[Merit, Merit]) -> Merit:
        """Return what compares candidates, higher is better: the accuracy, or minus the loss if the task says so.

        Args:
            score: accuracy and loss.
        """
        accuracy, loss = score
        return -loss if self.task.rules.ranked_by == "loss" else accuracy

    def derive(self, scores: Sequence[Tensor]) -> Arch:
        """Return the architecture that the space derives from scores.

        The order of equal scores is random, by the method's seed, and the same for every call in a search (D-52). As long as
        all scores are equal, a search therefore proposes one random architecture.
        """
        return self.net.derive(scores, random.Random(self._ties))

    def validation(self, batch: int, images: Images, stream: str, first: int = 0) -> Iterator[Batch]:
        """Yield batches of validation images without end.

        Args:
            batch: images of a batch.
            images: ``augmented``: like training images, in the order of this epoch and ``stream``, shuffled again when all
                have come; ``plain``: without augmentation, in the one order of the search.
            stream: name of the order.
            first: number of the first plain batch.
        """
        if images == "plain":
            return (self.task.plain("valid", batch, number) for number in itertools.count(first))
        rounds = (self.task.batches("valid", batch, self.epoch, f"{stream} {k}") for k in itertools.count())
        return itertools.chain.from_iterable(rounds)

    def ranked_images(self, candidates: int, batch: int, batches: int = 1, finalists: int = 0) -> int:
        """Return the number of images that :meth:`best_of` evaluates."""
        return candidates * batch * batches + finalists * self.task.images["plain"]

    def best_of(
        self, archs: Sequence[Arch], batch: int = 512, batches: int = 1, finalists: int = 0, images: Images = "plain"
    ) -> Arch:
        """Return the architecture of highest merit. Each is ranked on other validation batches.

        Of equals the first wins, as in the papers' code. Candidates are in the order in which they were drawn, or likeliest
        first, so no option is preferred.

        Args:
            archs: the candidates.
            batch: validation images of a batch.
            batches: number of batches per candidate.
            finalists: number of best candidates that are ranked again on all validation images; 0: the first ranking decides.
            images: see :meth:`validation`.
        """
        means: list[float] = []
        drawn = self.validation(batch, images, "ranking")
        for arch in archs:
            forward = Forward(active=self.net.active_for(arch))
            merits = [self.merit(self.score(next(drawn), forward)) for _ in range(batches)]
            mean = float(torch.stack(merits).mean())
            if not means or mean > max(means):
                self.view.propose(arch)  # the budget may end before the last candidate
            means.append(mean)
        order = sorted(range(len(archs)), key=means.__getitem__, reverse=True)
        best = [archs[k] for k in order[: max(finalists, 1)]]
        if not finalists:
            return best[0]
        return max(best, key=lambda arch: self.merit(self.validate(Forward(active=self.net.active_for(arch)))))

    @torch.no_grad()
    def validate(self, forward: Forward = EVERYTHING, images: int = 0) -> tuple[float, float]:
        """Return accuracy (percent) and mean loss on plain validation images. The passes are charged.

        Args:
            images: number of images at most; 0: all.
        """
        count, sums = 0, torch.zeros(2, device=self.device)
        for batch in self.plain(images):
            logits = self.logits(batch[0], forward, training=False)
            correct = (logits.argmax(-1) == batch[1]).sum()
            sums += torch.stack([correct, F.cross_entropy(logits, batch[1], reduction="sum")])
            count += len(batch[1])
        correct_answers, loss = sums.tolist()
        return 100 * correct_answers / count, loss / count

    def plain(self, images: int = 0) -> Iterator[Batch]:
        """Yield plain validation images, each once, in batches of 512; the last batch may be smaller.

        Args:
            images: number of images at most; 0: all.
        """
        images = min(images, self.task.images["plain"]) or self.task.images["plain"]
        size = min(512, images)
        for number in range(math.ceil(images / size)):
            batch, labels = self.task.plain("valid", size, number)
            rest = images - number * size  # the last batch wraps around to the first images
            yield batch[:rest], labels[:rest]

    def record(self, forward: Forward, probabilities: Sequence[Tensor] = (), **scalars: float) -> None:
        """Log the supernet at the end of an epoch; see :meth:`Recording.epoch`."""
        self._recording.epoch(forward, probabilities, scalars | {"epoch": self.epoch + 1, "lr": self.lr})

    def record_discretised(self, arch: Arch) -> None:
        """Log the supernet with the operations of ``arch`` alone; see :meth:`Recording.discretised`."""
        self._recording.discretised(arch)

    def _uniform(self) -> Forward:
        return Forward(active=self.net.active_for(self.view.space.sample(self.rng)))

    def _seed(self, epoch: int) -> None:
        self.rng.seed(self.view.seed(f"choices of epoch {epoch}"))
        self._seed_tensors(f"tensors of epoch {epoch}")

    def _seed_tensors(self, name: str) -> None:
        for generator in (self.generator, self.noise):
            generator.manual_seed(self.view.seed(name))

    def _checkpoint(self, epoch: int) -> None:
        self.view.checkpoint(packed(epoch, self._trained, self._stateful, self.net.module))

    def _resume(self) -> int:
        """Load the checkpoint, if there is one. Return the number of the next epoch."""
        content = self.view.resume()
        if content is None:
            return 0
        epoch, self._trained = unpack(content, self._stateful, self.net.module, self.device)
        return epoch
