"""The training of one cell from scratch. It can stop after any epoch and resume.

Everything random in an epoch follows from the seed and the epoch's number. A resumed training therefore equals an
uninterrupted training bit for bit, if the arithmetic is deterministic. Inside an epoch no step waits for the device: losses are
summed on the device and read once. A GPU replays the whole step, from the augmentation to the optimiser; see
:mod:`harness.steps`. Data-parallel processes do not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.darts.data import Batch, Data
from benchmarks.darts.network import Network
from benchmarks.darts.recipe import Recipe
from benchmarks.training_state import packed, unpacked
from harness.device import autocast, compiled, fused, precision
from harness.errors import UserError
from harness.replay import hold
from harness.seeds import derive
from harness.space import Arch
from harness.steps import Number, Step, like, recorder

EVALUATION_BATCH = 512
HISTORY = ("epoch", "lr", "drop_path", "train_loss", "train_accuracy", "accuracy", "top5", "loss", "seconds")
"""Columns of a training's curve. ``accuracy`` and ``top5`` (percent) and ``loss`` (mean cross entropy, nats) are of the
held-out images. They are NaN in epochs without an evaluation. ``seconds`` are those of the whole epoch: an evaluation is part
of it, and in the first epoch of a process the compilation."""


@dataclass
class Curve:
    """The records of a training, a line per epoch."""

    lines: list[dict[str, float]] = field(default_factory=list)

    @property
    def final(self) -> float:
        """Held-out accuracy after the last epoch, percent: the headline."""
        return self.lines[-1]["accuracy"] if self.lines else math.nan

    @property
    def top5(self) -> float:
        """Share of the held-out images whose class is among the five likeliest after the last epoch, percent."""
        return self.lines[-1]["top5"] if self.lines else math.nan

    @property
    def loss(self) -> float:
        """Mean cross entropy on the held-out images after the last epoch, nats, without label smoothing."""
        return self.lines[-1]["loss"] if self.lines else math.nan

    @property
    def best(self) -> float:
        """The largest held-out accuracy of any evaluated epoch, percent. It is chosen on the held-out images; label it so."""
        return max((line["accuracy"] for line in self.lines if line["accuracy"] == line["accuracy"]), default=math.nan)


class Retraining:
    """The training of one cell with one recipe and one seed.

    Args:
        seed: seed of the weights, the order of the images, their augmentation and drop-path.
        device: ``cpu``, ``cuda`` or ``cuda:1``; see :mod:`harness.device` for the precision.
        compile_mode: see :func:`harness.device.compiled`; empty: no compilation. Only training steps are compiled: an
            evaluation is a fifteenth of an epoch's arithmetic, and would need two more graphs.
        processes: train data-parallel (PyTorch's DDP) in the process group that is already set up. Each process takes its
            part of every batch.
        light: leave the optimiser's momentum out of the state, which nearly halves it. A training that resumes from such a
            state differs from an uninterrupted training; ``restarts`` counts these resumptions.

    Raises:
        UserError: the batch is not divisible by the number of processes, or the images do not fit the network.
    """

    def __init__(
        self,
        arch: Arch,
        recipe: Recipe,
        data: Data,
        seed: int,
        device: str = "cpu",
        compile_mode: str = "",
        processes: bool = False,
        light: bool = False,
    ) -> None:
        self.recipe, self.data, self.seed = recipe, data, seed
        self.device = torch.device(device)
        self.share: tuple[int, int] = (dist.get_rank(), dist.get_world_size()) if processes else (0, 1)
        if recipe.batch % self.share[1]:
            raise UserError(f"a batch of {recipe.batch} cannot be divided evenly among {self.share[1]} processes")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive("retraining", "weights", seed))
            network = Network(arch, recipe.macro(data.classes, data.channels, data.size))
        self.network = network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.identity = f"{arch} {recipe.digest} {data.checksum} {data.train_images} {seed}"
        model: nn.Module = self.network
        if processes:
            model = nn.parallel.DistributedDataParallel(model)
        self.model: Any = compiled(model, compile_mode)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            recipe.lr,
            recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
            fused=fused(self.device),
        )
        self.curve = Curve()
        self.light, self.restarts = light, 0
        self._chance = torch.Generator(self.device)
        self._totals = torch.zeros(3, device=self.device, dtype=torch.float64)
        """Sums over the images of an epoch: loss, right answers, images."""
        self._step = Step(self._train, None if processes else recorder(self.device))

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.curve.lines)

    @property
    def done(self) -> bool:
        return self.epoch >= self.recipe.epochs

    def agreed(self, wish: bool) -> bool:
        """Return ``wish`` of the first process, in every process."""
        if self.share[1] == 1:
            return wish
        decision = torch.tensor(int(wish), device=self.device)
        dist.broadcast(decision, 0)
        return bool(decision.item())

    def run(
        self,
        save: Callable[[bytes], None] | None = None,
        after_epoch: Callable[[dict[str, float]], None] | None = None,
        until: int | None = None,
        watch: Callable[[float], None] = lambda share: None,
    ) -> Curve:
        """Train to the end and return the curve.

        Args:
            save: takes the state after each epoch.
            after_epoch: takes the line of the curve after each epoch.
            until: stop when this number of epochs is finished; None: train to the end.
            watch: takes the finished share of the training (0 to 1) after each batch.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        while self.epoch < min(self.recipe.epochs, until or self.recipe.epochs):
            line = self.train_epoch(watch)
            if save is not None:
                save(self.state())
            if after_epoch is not None:
                after_epoch(line)
        return self.curve

    def train_epoch(self, watch: Callable[[float], None] = lambda share: None) -> dict[str, float]:
        """Train one epoch, evaluate if an evaluation is due, and return the line of the curve.

        Args:
            watch: takes the finished share of the training (0 to 1) after each batch.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        recipe, number, started = self.recipe, self.epoch, time.perf_counter()
        rate, drop = recipe.learning_rate(number), recipe.drop_probability(number)
        batches = self.data.epoch(derive("retraining", "images", self.seed, number), recipe.batch, recipe.cutout, self.share)
        self._chance.manual_seed(derive("retraining", "drop-path", self.seed, number))
        probability = torch.tensor(drop, device=self.device)
        self._totals.zero_()
        self.model.train()
        for step, batch in enumerate(batches, 1):
            self._step(batch, probability, rate)
            watch((number + min(step * recipe.batch / self.data.train_images, 1.0)) / recipe.epochs)
        if self.share[1] > 1:
            dist.all_reduce(self._totals)
        loss_sum, right_sum, seen = self._totals.tolist()
        for group in self.optimizer.param_groups:
            group["lr"] = rate  # a state has no tensor of a device there
        if not math.isfinite(loss_sum):
            raise FloatingPointError(f"the loss is not finite in epoch {number + 1}")
        due = (number + 1) % recipe.evaluate_every == 0 or number + 1 == recipe.epochs
        accuracy, top5, held_out_loss = self.evaluate() if due and self.share[0] == 0 else (math.nan, math.nan, math.nan)
        line = {
            "epoch": number + 1,
            "lr": rate,
            "drop_path": drop,
            "train_loss": loss_sum / seen,
            "train_accuracy": 100 * right_sum / seen,
            "accuracy": accuracy,
            "top5": top5,
            "loss": held_out_loss,
            "seconds": time.perf_counter() - started,
        }
        self.curve.lines.append(line)
        return line

    def _keep(self, images: int, probability: Tensor) -> Tensor:
        """Return the factors of drop-path for this process's images. Every process draws the factors of all images.

        A recipe with drop-path has factors in every epoch, also with probability zero, so that all its epochs share a graph.
        """
        rank, processes = self.share
        factors: Tensor = self.network.drop_path(images * processes, probability, hold(self._chance))
        part = factors[:, rank * images : (rank + 1) * images]
        return part.to(precision(self.device))  # float32 factors would make later layers float32

    def _train(self, batch: Batch, probability: Tensor, rate: Number) -> None:
        """Train on a batch, and add its loss and right answers to the totals. A GPU records it.

        Args:
            probability: that of drop-path, () float32.
            rate: the learning rate.
        """
        recipe, (images, labels) = self.recipe, batch
        keep = self._keep(len(labels), probability) if recipe.drop_path else None
        with autocast(self.device):
            logits, auxiliary = self.model(images, keep)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        total = loss
        if auxiliary is not None:
            auxiliary_loss = F.cross_entropy(auxiliary.float(), labels, label_smoothing=recipe.label_smoothing)
            total = loss + recipe.auxiliary * auxiliary_loss
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        if recipe.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = like(rate, loss.detach())
        self.optimizer.step()
        with torch.no_grad():
            right = (logits.argmax(1) == labels).sum()
            seen = torch.ones_like(loss, dtype=torch.float64) * len(labels)
            self._totals += torch.stack([loss.double() * len(labels), right.double(), seen])

    def evaluate(self) -> tuple[float, float, float]:
        """Return accuracy and top-5 accuracy (percent), and mean cross entropy (nats), on the held-out images."""
        self.network.eval()
        right, seen = torch.zeros(2, device=self.device, dtype=torch.int64), 0
        loss = torch.zeros((), device=self.device, dtype=torch.float64)
        with torch.inference_mode(), autocast(self.device):
            for images, labels in self.data.evaluated(EVALUATION_BATCH):
                logits = self.network(images)[0].float()
                likeliest = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
                right += torch.stack([(logits.argmax(1) == labels).sum(), likeliest.sum()])
                loss += F.cross_entropy(logits, labels, reduction="sum")
                seen += len(labels)
        first, five = (100 * count / seen for count in right.tolist())
        return first, five, loss.item() / seen

    def state(self) -> bytes:
        """Return everything that the rest of the training depends on, serialised by torch."""
        content = {
            "identity": self.identity,
            "network": self.network.state_dict(),
            "optimizer": None if self.light else self.optimizer.state_dict(),
            "restarts": self.restarts,
            "curve": self.curve.lines,
        }
        return packed(content)

    def load(self, state: bytes) -> None:
        """Resume from a state that :meth:`state` returned.

        Raises:
            UserError: the state is of another cell, recipe, data set or seed.
        """
        content = unpacked(state, self.identity, "cpu")
        self.network.load_state_dict(content["network"])
        self.restarts = content["restarts"]
        if content["optimizer"] is None:
            self.restarts += 1
        else:
            self.optimizer.load_state_dict(content["optimizer"])
            for group in self.optimizer.param_groups:
                group["fused"] = fused(self.device)  # the state may come from another kind of device
        self.curve = Curve(content["curve"])
        self._step.forget()  # the momentum is in other tensors
