"""The frame of every weight-sharing search: the supernet, its optimiser and schedule, epochs, trace, checkpoints."""

from __future__ import annotations

import io
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.space import Arch
from harness.view import SearchView
from harness.weight_sharing import Active
from methods.one_shot.parts.sgd import Sgd, cosine
from methods.one_shot.parts.training import WeightTraining

if TYPE_CHECKING:
    from harness.weight_sharing import Batch, Supernet, Task

CHECKPOINT_SHARE = 0.01
"""Of the real time, that checkpoints may take; they are written at the end of an epoch."""


class Forward(NamedTuple):
    """What a pass through the supernet takes; see :class:`harness.weight_sharing.Supernet`."""

    weights: Sequence[Tensor] | None = None
    active: Active | Sequence[Active] | None = None
    straight_through: bool = False


EVERYTHING = Forward()


class Search:
    """One search under way.

    Args:
        view: the method's view.
        settings: how the weights are trained.
        choices: of the supernet.
    """

    def __init__(self, view: SearchView, settings: WeightTraining, **choices: Any) -> None:
        self.view, self.settings = view, settings
        self.task: Task = view.task
        self.net: Supernet = self.task.supernet(
            track=settings.track_stats, bias=settings.conv_bias, channels=settings.channels, **choices
        )
        self.sgd = Sgd(self.net.module, settings.momentum, settings.weight_decay, settings.nesterov, settings.inactive)
        self.device = self.task.device
        self.rng = random.Random()
        """For choices of architectures; seeded anew for every epoch, so that a resumed search draws what it would have."""
        self.generator = torch.Generator()
        """Likewise, for tensors; on the CPU, so that every device draws the same."""
        self.lr = settings.lr
        self.epoch = 0
        self._steps, self._images, self._whole = 0, self.task.images["train"], float(settings.epochs)
        self._kept: dict[str, Any] = {"sgd": self.sgd}

    def new_generator(self, name: str) -> torch.Generator:
        """A generator on the CPU for what is drawn once."""
        return torch.Generator().manual_seed(self.view.seed(name))

    def keep(self, **state: Any) -> None:
        """Names what a resumed search must have again: objects with a state dictionary."""
        self._kept |= state

    def epochs(self, evaluated: int = 0, part: Literal["train", "full"] = "train") -> Iterator[int]:
        """The epochs that are left, with the learning rate set; what happened in each is kept and shown when it ends.

        ``evaluated``: images that are evaluated after the last one, so that the share of the search that is done is told
        with them: at a third of the price of training. ``part``: the images that an epoch passes over, for the share within it.
        """
        settings = self.settings
        epochs = settings.epochs
        whole = self._whole = epochs + evaluated / self.task.images["train"] / 3
        self._images = self.task.images[part]
        first = self._resume()
        written, cost = time.monotonic(), 0.0
        for epoch in range(first, epochs):
            self._seed(epoch)
            self.epoch = epoch
            horizon = settings.lr_horizon or epochs
            self.lr = cosine(epoch + settings.lr_ahead, horizon, settings.lr, settings.lr_end, settings.lr_restart)
            self._steps = 0
            yield epoch
            self.view.progress((epoch + 1) / whole)
            ended = time.monotonic()
            if cost <= CHECKPOINT_SHARE * (ended - written) or epoch + 1 == epochs:
                self._checkpoint(epoch + 1)
                written = time.monotonic()
                cost = written - ended
        self._seed(epochs)

    def loss(self, batch: Batch, forward: Forward = EVERYTHING, reduction: Literal["mean", "sum"] = "mean") -> Tensor:
        """Cross entropy of one pass."""
        return F.cross_entropy(self.logits(batch[0], forward), batch[1], reduction=reduction)

    def logits(self, images: Tensor, forward: Forward = EVERYTHING) -> Tensor:
        """Of one pass, float32; on a GPU computed in bfloat16."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            found: Tensor = self.net(images, forward.weights, forward.active, straight_through=forward.straight_through)
        return found.float()

    def step_weights(self, loss: Tensor, counted: Sequence[Tensor] = (), between: Callable[[], None] = lambda: None) -> None:
        """One step of the weights down ``loss``; the gradients of the ``counted`` tensors share the clipped norm.

        ``between`` is called once the gradients are there, before they are clipped.
        """
        self.sgd.zero()
        loss.backward()
        between()
        if self.settings.clip:
            self.sgd.clip(self.settings.clip, [one.grad for one in counted if one.grad is not None])
        self.sgd.step(self.lr)
        self._steps += 1
        self.view.progress((self.epoch + min(self._steps * self.settings.batch / self._images, 1.0)) / self._whole)

    @torch.no_grad()
    def evaluate(self, number: int, forward: Forward = EVERYTHING, batch: int = 512) -> tuple[Tensor, Tensor]:
        """Accuracy (percent) and mean loss on the ``number``-th batch of plain validation images; charged."""
        return self.score(self.task.plain("valid", batch, number), forward)

    @torch.no_grad()
    def score(self, batch: Batch, forward: Forward = EVERYTHING) -> tuple[Tensor, Tensor]:
        """Accuracy (percent) and mean loss on a batch, the network being in evaluation mode; charged."""
        self.net.module.eval()
        logits = self.logits(batch[0], forward)
        self.net.module.train()
        return (logits.argmax(-1) == batch[1]).float().mean() * 100, F.cross_entropy(logits, batch[1])

    def best_of(self, archs: Sequence[Arch], batch: int = 512, batches: int = 1, finalists: int = 0) -> Arch:
        """The architecture with the highest accuracy, each on validation batches of its own; the first of equals.

        Args:
            finalists: that many of the best are ranked again on all validation images; 0: the first ranking decides.
        """
        means = []
        for k, arch in enumerate(archs):
            forward = Forward(active=self.net.only(arch))
            found = [self.evaluate(k * batches + number, forward, batch)[0] for number in range(batches)]
            means.append(torch.stack(found).mean())
        order = torch.argsort(torch.stack(means), descending=True, stable=True).tolist()
        best = [archs[k] for k in order[: max(finalists, 1)]]
        return max(best, key=lambda arch: self.validate(Forward(active=self.net.only(arch)))[0]) if finalists else best[0]

    def validate(self, forward: Forward = EVERYTHING, images: int = 0) -> tuple[float, float]:
        """Accuracy (percent) and mean loss on the plain validation images, or so many of them at most; charged."""
        images = min(images, self.task.images["plain"]) or self.task.images["plain"]
        size = min(512, images)
        found = [self.evaluate(k, forward, size) for k in range(images // size)]
        accuracy, loss = (float(torch.stack(values).mean()) for values in zip(*found, strict=True))
        return accuracy, loss

    def record(self, forward: Forward, probabilities: Sequence[Tensor] = (), **scalars: float) -> None:
        """Logs the supernet's validation accuracy and loss in a pass, and the entropy of ``probabilities`` where given.

        Entropies are of the operations' weights; those of edges stand apart. Only recorded, hence not charged.
        """
        with self.net.unmetered():  # where images are evaluated under several draws of noise, so many as there are images
            accuracy, loss = self.validate(forward, self.task.images["valid"])
        for kind, name in (("operation", "entropy"), ("edge", "edge_entropy")):
            tables = [p for p, one in zip(probabilities, self.net.decisions, strict=False) if one.kind == kind]
            if tables:
                scalars[name] = entropy(tables)
        self.view.log(epoch=self.epoch + 1, supernet_accuracy=accuracy, supernet_loss=loss, lr=self.lr, **scalars)

    def record_discretised(self, arch: Arch) -> None:
        """Logs the supernet's validation accuracy with the operations of ``arch`` alone; not charged."""
        with self.net.unmetered():
            accuracy, _ = self.validate(Forward(active=self.net.only(arch)), self.task.images["valid"])
        self.view.log(discretised_accuracy=accuracy)

    def _seed(self, epoch: int) -> None:
        self.rng.seed(self.view.seed(f"choices of epoch {epoch}"))
        self.generator.manual_seed(self.view.seed(f"tensors of epoch {epoch}"))

    def _checkpoint(self, epoch: int) -> None:
        buffers = dict(self.net.module.named_buffers())
        state = {name: one.state_dict() for name, one in self._kept.items()}
        content = io.BytesIO()
        torch.save({"epoch": epoch, "buffers": buffers, "state": state}, content)
        self.view.checkpoint(content.getvalue())

    def _resume(self) -> int:
        """The epoch to go on with."""
        content = self.view.resume()
        if content is None:
            return 0
        kept: Mapping[str, Any] = torch.load(io.BytesIO(content), map_location=self.device, weights_only=True)
        for name, one in self._kept.items():
            one.load_state_dict(kept["state"][name])
        for name, buffer in self.net.module.named_buffers():
            buffer.copy_(kept["buffers"][name])
        return int(kept["epoch"])


def entropy(tables: Sequence[Tensor]) -> float:
    """Mean over rows of ``-sum p ln p / ln n``, n being a row's options: 1 where they are equal; a zero counts as zero.

    A row of one option has nothing to decide and is left out.
    """
    several = [table for table in tables if table.shape[-1] > 1]
    rows = torch.cat([-torch.xlogy(table, table).sum(-1).flatten() / math.log(table.shape[-1]) for table in several])
    return float(rows.mean())
