"""The training of one recurrent cell from scratch. It can stop after any epoch and resume.

Everything random in an epoch follows from the seed, the epoch's number and the number of rollbacks. A resumed training
therefore equals an uninterrupted training bit for bit, if the arithmetic is deterministic.

Matrix products of training have the precision of :mod:`harness.device`; evaluations are in float32. No device records a step,
because blocks have many lengths.
"""

from __future__ import annotations

import io
import math
import random
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.darts_rnn.blocks import streams
from benchmarks.darts_rnn.cell import pruned, surviving
from benchmarks.darts_rnn.corpus import Corpus
from benchmarks.darts_rnn.evaluation import Score, evaluate
from benchmarks.darts_rnn.model import CellStep, LanguageModel, slowness
from benchmarks.darts_rnn.recipe import Recipe
from benchmarks.training_state import packed, unpacked
from harness.device import autocast
from harness.errors import UserError
from harness.seeds import derive
from harness.space import Arch

HISTORY = ("epoch", "averaged", "train_loss", "valid_loss", "valid_perplexity", "valid_accuracy", "seconds")
"""Columns of a training's curve. ``averaged`` is 1 in epochs of averaged SGD; ``train_loss`` is the mean over tokens, with
dropout; the others are those of the validation text."""


class Retraining:
    """The training of one cell with one recipe and one seed.

    SGD without momentum becomes averaged SGD as in DARTS' code: an evaluation then uses the mean of the weights of all later
    steps but the first, and training continues from the weights themselves (``torch.optim.ASGD``, whose step has the rate of
    the block before).

    Args:
        seed: seed of the weights, the lengths of blocks and the dropouts.
        device: ``cpu`` or ``cuda``.

    Raises:
        UserError: the text is too short for the recipe's streams.
    """

    def __init__(self, arch: Arch, recipe: Recipe, data: Corpus, seed: int, device: str = "cpu") -> None:
        self.recipe, self.data, self.seed, self.device = recipe, data, seed, torch.device(device)
        self.train_rows = self._rows("train", recipe.streams)
        self._valid_rows = self._rows("valid", recipe.valid_streams)
        first = derive("rnn retraining", "weights", seed)
        self.model = LanguageModel(data.types, recipe.width, surviving(pruned(arch)), first).to(self.device)
        self.step = CellStep(self.model, arch)
        self.identity = f"{arch} {recipe.digest} {data.checksum} {seed}"
        self.optimizer = self._optimizer(False)
        self.lines: list[dict[str, float]] = []
        """The curve, a line per epoch; see :data:`HISTORY`."""
        self.best: dict[str, Any] | None = None
        """The epoch with the smallest validation loss: its number, its weights as evaluated, and its optimiser."""
        self.rolled_back = 0

    def _rows(self, part: str, count: int) -> Tensor:
        try:
            return torch.from_numpy(streams(self.data.part(part), count)).to(self.device)
        except ValueError as error:
            raise UserError(f"recipe {self.recipe.name} on {self.data.name}, {part}: {error}") from None

    @property
    def averaged(self) -> bool:
        """Return True after the change to averaged SGD."""
        return isinstance(self.optimizer, torch.optim.ASGD)

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.lines)

    def run(
        self,
        save: Callable[[bytes], None] | None = None,
        until: int | None = None,
        watch: Callable[[float], None] = lambda share: None,
    ) -> None:
        """Train to the end.

        Args:
            save: takes the state after each epoch.
            until: stop when this number of epochs is finished; None: train to the end.
            watch: takes the finished share of the training (0 to 1) after each block.

        Raises:
            FloatingPointError: the loss is not finite before the first evaluation, or once more than the recipe permits.
        """
        while self.epoch < min(self.recipe.epochs, until or self.recipe.epochs):
            self.train_epoch(watch)
            if save is not None:
                save(self.state())

    def train_epoch(self, watch: Callable[[float], None] = lambda share: None) -> None:
        """Train one epoch and evaluate. If the loss is not finite, return to the best epoch instead.

        Raises:
            FloatingPointError: there is no epoch to return to, or the recipe permits no further return.
        """
        started = time.perf_counter()
        train_loss = self._pass(watch)
        score = self.evaluate() if math.isfinite(train_loss) else Score(math.nan, math.nan)
        if not math.isfinite(score.loss):
            self._roll_back()
            return
        averaged, losses = self.averaged, [line["valid_loss"] for line in self.lines if not line["averaged"]]
        self.lines.append(
            {
                "epoch": self.epoch + 1,
                "averaged": float(averaged),
                "train_loss": train_loss,
                "valid_loss": score.loss,
                "valid_perplexity": math.exp(score.loss),
                "valid_accuracy": score.accuracy,
                "seconds": time.perf_counter() - started,
            }
        )
        if self.best is None or score.loss < self.best["loss"]:
            self.best = self._snapshot(score)
        patience = self.recipe.patience
        if not averaged and len(losses) > patience and score.loss > min(losses[:-patience]):
            self.optimizer = self._optimizer(True)

    def _pass(self, watch: Callable[[float], None]) -> float:
        """Train on every block of the text in order. Return the mean loss of a token, NaN if a block's is not finite."""
        recipe, rows, number = self.recipe, self.train_rows, self.epoch
        names = ("rnn retraining", self.seed, number, self.rolled_back)
        rng = random.Random(derive("lengths", *names))
        noise = torch.Generator().manual_seed(derive("dropout", *names))
        hidden = torch.zeros(recipe.streams, recipe.width, device=self.device)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        tokens = 0
        for block in recipe.lengths.blocks(len(rows), rng):
            part = rows[block.start : block.start + block.length + 1]
            masks = recipe.regularisation.draw(recipe.streams, recipe.width, self.data.types, noise, self.device)
            with autocast(self.device):
                outputs = self.model.outputs(part[:-1], hidden, self.step, masks)
                dropped = outputs if masks.outputs is None else outputs * masks.outputs
                logits = self.model.decode(dropped).float()
            hidden = outputs[-1].detach()
            loss = F.cross_entropy(logits.flatten(0, 1), part[1:].flatten())
            self.optimizer.zero_grad()
            (loss + recipe.slowness * slowness(outputs)).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
            for group in self.optimizer.param_groups:
                group["lr"] = recipe.lr * block.factor
            self.optimizer.step()
            total += loss.detach().double() * block.length
            tokens += block.length
            watch((number + min((block.start + block.length) / len(rows), 1.0)) / recipe.epochs)
        return total.item() / tokens if tokens else math.nan

    def evaluate(self) -> Score:
        """Return the score on the validation text of the weights, or of their mean in averaged SGD."""
        present = self._swap(self._means())
        score = evaluate(self.model, self.step, self._valid_rows, self.recipe.length)
        self._swap(present)
        return score

    def final(self, part: str) -> Score:
        """Return the score of the best epoch's weights on the validation or the test text. The weights change to those."""
        assert self.best is not None, "a training has at least one epoch"
        self.model.load_state_dict(self.best["network"])
        rows = self._valid_rows if part == "valid" else self._rows("test", self.recipe.test_streams)
        return evaluate(self.model, self.step, rows, self.recipe.length)

    def _optimizer(self, averaged: bool) -> torch.optim.Optimizer:
        values, recipe = self.model.parameters(), self.recipe
        if averaged:
            return torch.optim.ASGD(values, recipe.lr, lambd=0.0, t0=0.0, weight_decay=recipe.weight_decay)
        return torch.optim.SGD(values, recipe.lr, weight_decay=recipe.weight_decay)

    def _means(self) -> list[Tensor]:
        """Return the weights to evaluate: in averaged SGD their means, else the weights themselves."""
        if not self.averaged:
            return [value.detach() for value in self.model.parameters()]
        return [self.optimizer.state[value]["ax"] for value in self.model.parameters()]

    def _swap(self, values: list[Tensor]) -> list[Tensor]:
        """Set the weights, and return the weights before."""
        before = [value.detach().clone() for value in self.model.parameters()]
        with torch.no_grad():
            for value, new in zip(self.model.parameters(), values, strict=True):
                value.copy_(new)
        return before

    def _snapshot(self, score: Score) -> dict[str, Any]:
        present = self._swap(self._means())
        network = {name: value.clone() for name, value in self.model.state_dict().items()}
        self._swap(present)
        stream = io.BytesIO()
        torch.save(self.optimizer.state_dict(), stream)  # a copy: later steps change the tensors of the state in place
        where = {"epoch": self.epoch, "loss": score.loss, "accuracy": score.accuracy, "averaged": self.averaged}
        return {**where, "network": network, "optimizer": stream.getvalue()}

    def _roll_back(self) -> None:
        """Continue from the best epoch. As in DARTS' code its evaluated weights are the weights to train on."""
        if self.best is None or self.rolled_back >= self.recipe.rollbacks:
            raise FloatingPointError(f"the loss is not finite in epoch {self.epoch + 1}, after {self.rolled_back} rollbacks")
        self.rolled_back += 1
        self.model.load_state_dict(self.best["network"])
        self.optimizer = self._optimizer(self.best["averaged"])
        self.optimizer.load_state_dict(torch.load(io.BytesIO(self.best["optimizer"]), self.device, weights_only=True))
        del self.lines[self.best["epoch"] :]

    def state(self) -> bytes:
        """Return everything that the rest of the training depends on, serialised by torch."""
        content = {
            "identity": self.identity,
            "network": self.model.state_dict(),
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "lines": self.lines,
            "best": self.best,
            "rolled_back": self.rolled_back,
        }
        return packed(content)

    def load(self, state: bytes) -> None:
        """Resume from a state that :meth:`state` returned.

        Raises:
            UserError: the state is of another cell, recipe, data set or seed.
        """
        content = unpacked(state, self.identity, self.device)
        self.model.load_state_dict(content["network"])
        self.optimizer = self._optimizer(content["averaged"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.lines, self.best, self.rolled_back = content["lines"], content["best"], content["rolled_back"]
