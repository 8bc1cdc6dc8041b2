"""The command ``python -m benchmarks.darts_rnn.train``: train a recurrent cell from scratch and report its perplexity."""

from __future__ import annotations

import json
import math
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.darts_rnn.corpus import CUTS, corpus
from benchmarks.darts_rnn.published import named
from benchmarks.darts_rnn.recipe import recipe
from benchmarks.darts_rnn.size import model_size
from benchmarks.darts_rnn.space import RnnSpace
from benchmarks.trainings import checkpoint_file, command, last_state, ready, write_curve
from harness.cache import atomic
from harness.space import Arch

if TYPE_CHECKING:
    from benchmarks.darts_rnn.retraining import Retraining

EPILOG = """
\b
Train a published cell as its paper does (8 000 epochs; days on a GPU):
  python -m benchmarks.darts_rnn.train --cell DARTS_V2 --device cuda --out v2
For an hour at the width of the searches; the same command continues:
  python -m benchmarks.darts_rnn.train --cell DARTS_V1 --set width=300 --minutes 60 --out v1

The command writes checkpoint.pt and curve.csv into --out after every epoch, and result.json when it stops. The reported weights
are those of the epoch with the smallest loss on the validation text.
Exit codes: 0 trained, 1 diverged, 2 wrong call, 3 stopped by --minutes before the end, 130 interrupted.
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog=EPILOG)
def train(
    cell: Annotated[str, typer.Option(metavar="NAME|GENOTYPE", help="DARTS_V1, DARTS_V2 or a genotype.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the checkpoint and the results.")],
    data: Annotated[str, typer.Option(metavar="|".join(CUTS), help="Text to train on.")] = "ptb",
    recipe_: Annotated[str, typer.Option("--recipe", metavar="NAME", help="Recipe of the training.")] = "rnn_darts",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of the recipe; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of weights, block lengths and dropouts.")] = 0,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Device to train on.")] = "cpu",
    minutes: Annotated[float, typer.Option(metavar="N", help="Stop after the epoch that crosses this time.")] = 0.0,
) -> None:
    """Train a recurrent cell from scratch and report its perplexity."""
    arch, how, text = named(cell), recipe(recipe_).changed(set_ or []), corpus(data)
    from benchmarks.darts_rnn.retraining import HISTORY, Retraining

    training = Retraining(arch, how, text, seed, ready(device))
    size = model_size(arch, how.width, text.types)
    print(f"{RnnSpace('mixed').to_str(arch)}\n{size.parameters / 1e6:.2f} M parameters; {text.name}; recipe {how.digest[:12]}")
    checkpoint = checkpoint_file(out)
    state = last_state(checkpoint)
    if state is not None:
        training.load(state)
        print(f"continues after epoch {training.epoch}")
    started = time.monotonic()
    while training.epoch < how.epochs and not (minutes and time.monotonic() - started > 60 * minutes):
        training.train_epoch()
        checkpoint.save(training.state())
        write_curve(out / "curve.csv", HISTORY, training.lines)
        line = training.lines[-1]
        print(
            f"epoch {line['epoch']:.0f}/{how.epochs}  train {math.exp(line['train_loss']):.2f}  "
            f"valid {line['valid_perplexity']:.2f}{'  averaged' if line['averaged'] else ''}  {line['seconds']:.1f} s",
            flush=True,
        )
    if training.lines:
        _write_result(training, arch, out)
    if training.epoch < how.epochs:
        spent = (time.monotonic() - started) / 60
        print(f"stopped by --minutes {minutes:g}, after {spent:.1f} minutes; the same command continues")
        raise typer.Exit(3)


def _write_result(training: Retraining, arch: Arch, out: Path) -> None:
    import torch

    assert training.best is not None, "a training with a line has a best epoch"
    scores = {part: training.final(part) for part in ("valid", "test")}
    result = {
        "genotype": RnnSpace("mixed").to_str(arch),
        "valid_perplexity": math.exp(scores["valid"].loss),
        "test_perplexity": math.exp(scores["test"].loss),
        "chosen_epoch": training.best["epoch"],
        "epochs": training.epoch,
        "rollbacks": training.rolled_back,
        "parameters": model_size(arch, training.recipe.width, training.data.types).parameters,
        "data": training.data.name,
        "data_checksum": training.data.checksum,
        "recipe": training.recipe.name,
        "recipe_digest": training.recipe.digest,
        "seed": training.seed,
        "seconds": sum(line["seconds"] for line in training.lines),
        "device": torch.cuda.get_device_name() if training.device.type == "cuda" else f"{platform.machine()} CPU",
        "torch": torch.__version__,
    }
    with atomic(out / "result.json") as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")
    print(f"valid {result['valid_perplexity']:.2f}, test {result['test_perplexity']:.2f}   ({out / 'result.json'})")


if __name__ == "__main__":
    command(app)
