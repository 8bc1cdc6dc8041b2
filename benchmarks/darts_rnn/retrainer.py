"""The retrainer of recurrent cells. This module imports torch only when it trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmarks.darts_rnn.corpus import corpus
from benchmarks.darts_rnn.recipe import recipe
from benchmarks.darts_rnn.size import model_size
from harness.errors import UserError
from harness.space import Arch
from harness.training import Metric, Trained


@dataclass(frozen=True)
class Retrainer:
    """The training of cells from scratch; see :class:`harness.training.Retrainer`.

    The accuracy is that of the next token. Loss and accuracy are those of the weights with the smallest loss on the validation
    text, as in DARTS' code; perplexity is the exponential of the loss. The split ``valid`` reports them on the validation text,
    which chose the epoch; the split ``test`` on the test text. The last epoch's weights are reported nowhere.
    """

    metric: ClassVar[Metric] = "perplexity"

    dataset: str

    def describe(self, recipe_name: str, split: str, data: str = "") -> dict[str, Any]:
        dataset, how = corpus(data or self.dataset), recipe(recipe_name)
        if split not in ("test", "valid"):
            raise UserError(f"split {split!r} is not test or valid")
        sizes = f"{len(dataset.part('train')):,} + {len(dataset.part(split)):,} tokens of {dataset.types:,} types"
        return {
            "recipe": how.name,
            "digest": how.digest,
            "epochs": how.epochs,
            "split": split,
            "data": dataset.dataset,
            "images": f"{dataset.name}, {sizes}, {dataset.checksum[:12]}",
        }

    def train(
        self,
        arch: Arch,
        settings: Mapping[str, Any],
        seed: int,
        device: str,
        state: bytes | None,
        save: Callable[[bytes], None],
        report: Callable[[float], None],
    ) -> Trained:
        from benchmarks.darts_rnn.retraining import HISTORY, Retraining
        from harness.device import prepare

        prepare(device)
        how, data = recipe(settings["recipe"]), corpus(settings["data"])
        training = Retraining(arch, how, data, seed, device)
        if state is not None:
            training.load(state)
        training.run(save, watch=report)
        score, size = training.final(settings["split"]), model_size(arch, how.width, data.types)
        accuracies = [line["valid_accuracy"] for line in training.lines]
        return Trained(
            score.accuracy,
            max(accuracies) if settings["split"] == "valid" else math.nan,
            score.loss,
            {name: [line[name] for line in training.lines] for name in HISTORY},
            {
                "epochs": how.epochs,
                "macs": 3.0 * size.macs * training.train_rows.numel() * how.epochs,
                "seconds": sum(line["seconds"] for line in training.lines),
            },
            size.parameters,
            size.macs,
            valid_perplexity=min(line["valid_perplexity"] for line in training.lines),
        )
