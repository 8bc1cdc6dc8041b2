"""The command ``python -m benchmarks.darts.train``: train a cell of the DARTS space from scratch and evaluate it."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.darts.published import about, named
from benchmarks.darts.recipe import recipe, recipes
from benchmarks.darts.size import network_size
from benchmarks.darts.space import DartsSpace
from benchmarks.trainings import checkpoint_file, command, last_state, ready, write_curve
from harness.cache import atomic
from harness.errors import UserError
from harness.space import Arch

if TYPE_CHECKING:
    from benchmarks.darts.data import Data
    from benchmarks.darts.retraining import Retraining

DATA = ("cifar10", "cifar100", "digits", "imagenet")

EPILOG = """
\b
Train a published cell as its paper does (600 epochs; days without a GPU):
  python -m benchmarks.darts.train --cell DARTS_V2 --data cifar10 --recipe darts --device cuda --out v2
Train a cell of a search, in a few seconds on one core:
  python -m benchmarks.darts.train --cell "Genotype(normal=[...], ...)" --data digits --recipe digits --out mine
Choose between cells: train each briefly on 45 000 images, and compare them on the other 5 000:
  python -m benchmarks.darts.train --cell DARTS_V1 --data cifar10 --split valid --recipe short --device cuda --out v1-short
Train in pieces of eight minutes, with the same command each time:
  python -m benchmarks.darts.train --cell DARTS_V2 --data cifar10 --device cuda --minutes 8 --out v2
Train one cell on four GPUs (each takes a part of every batch):
  torchrun --nproc-per-node 4 -m benchmarks.darts.train --cell DARTS_V2 --data cifar10 --device cuda --out v2

The command writes checkpoint.pt and curve.csv into --out after every epoch, and result.json at the end. The same command
resumes a training that was stopped or killed. Report the accuracy after the last epoch; the accuracy of the best epoch is
chosen on the test set, and is stored under a name that says so. For several cells or seeds, run one command each, or a
protocol of python -m harness.run.
Exit codes: 0 trained, 1 diverged, 2 wrong call, 3 stopped by --minutes before the end, 130 interrupted.
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog=EPILOG)
def train(
    cell: Annotated[
        str, typer.Option(metavar="NAME|GENOTYPE", help="A published cell (--cells lists them) or a genotype.")
    ] = "",
    data: Annotated[str, typer.Option(metavar="|".join(DATA), help="Data set to train on.")] = "cifar10",
    recipe_: Annotated[
        str, typer.Option("--recipe", metavar="NAME", help="Recipe of the training (--recipes lists them).")
    ] = "darts",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of the recipe; repeatable.")
    ] = None,
    split: Annotated[
        str, typer.Option(metavar="test|valid", help="Hold out the test set, or a tenth of the training images.")
    ] = "test",
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of weights, order, augmentation and drop-path.")] = 0,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Device to train on.")] = "cpu",
    compile_: Annotated[
        str, typer.Option("--compile", metavar="MODE", help="Mode of torch.compile: default or max-autotune.")
    ] = "",
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="ImageNet: DIR/train/CLASS, DIR/val/CLASS. [default: imagenet in NAS_DATA]"),
    ] = None,
    size: Annotated[int, typer.Option(metavar="N", help="ImageNet: pixels on each side.")] = 224,
    minutes: Annotated[float, typer.Option(metavar="N", help="Stop after the epoch that crosses this time.")] = 0.0,
    light: Annotated[
        bool, typer.Option("--light", help="Checkpoints without momentum, half as large; a resumed training then differs.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for the checkpoint and the results.")] = None,
    cells: Annotated[bool, typer.Option("--cells", help="Print the published cells.")] = False,
    recipes_: Annotated[bool, typer.Option("--recipes", help="Print the recipes.")] = False,
) -> None:
    """Train a cell of the DARTS space from scratch and evaluate it."""
    if cells or recipes_:
        _list_cells() if cells else _list_recipes()
        return
    if not cell or out is None:
        raise UserError("pass --cell, the cell to train, and --out, the folder of the results   (see --help and --cells)")
    data = data.lower()
    if data not in DATA:
        raise UserError(f"no data {data!r}; there are {', '.join(DATA)}")
    if compile_ not in ("", "default", "max-autotune"):
        raise UserError(f"--compile {compile_!r} is not default or max-autotune")
    arch, how = named(cell), recipe(recipe_).changed(set_ or [])
    processes = int(os.environ.get("WORLD_SIZE", "1")) > 1
    device = _ready(device, processes)
    if compile_:
        from harness.device import keep_compiled

        keep_compiled(out / "compiled")
    opened = _opened(data, split, device, images, size, how.statistics(data))
    from benchmarks.darts.retraining import Retraining

    training = Retraining(arch, how, opened, seed, device, compile_, processes, light)
    _carry_out(training, arch, out, minutes)


def _carry_out(training: Retraining, arch: Arch, out: Path, minutes: float) -> None:
    from benchmarks.darts.retraining import HISTORY

    checkpoint = checkpoint_file(out)
    if (state := last_state(checkpoint)) is not None:
        training.load(state)
    leads = training.share[0] == 0
    if leads:
        count = network_size(arch, training.network.macro)
        print(f"{DartsSpace('mixed').to_str(arch)}")
        print(f"{count.parameters / 1e6:.2f} M parameters, {count.macs / 1e6:.1f} M multiply-adds; {training.data.name}")
        print(f"recipe {training.recipe.name}, {training.recipe.digest[:12]}; seed {training.seed}; on {_device(training)}")
        if training.epoch:
            print(f"goes on after epoch {training.epoch}")
    started, first = time.monotonic(), training.epoch
    while not training.done and not (minutes and training.agreed(time.monotonic() - started > 60 * minutes)):
        line = training.train_epoch()
        if leads:
            checkpoint.save(training.state())
            write_curve(out / "curve.csv", HISTORY, training.curve.lines)
            left = (time.monotonic() - started) / (training.epoch - first) * (training.recipe.epochs - training.epoch)
            print(_progress(line, training.recipe.epochs, left), flush=True)
    if leads and not training.done:
        print(f"stopped after {minutes:g} minutes; the same command goes on")
    if not training.done:
        raise typer.Exit(3)
    if leads:
        result = _result(training, arch)
        with atomic(out / "result.json") as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n")
        print(f"{result['held_out']} accuracy {training.curve.final:.2f} % after the last epoch   ({out / 'result.json'})")


def _ready(device: str, processes: bool) -> str:
    """Set up torch, and return the device of this process.

    Args:
        device: ``cpu`` or ``cuda``.
        processes: also set up the process group, because ``torchrun`` started several processes.

    Raises:
        UserError: an unknown device, or no GPU.
    """
    ready(device)
    if not processes:
        return device
    import torch
    import torch.distributed as dist

    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device != "cpu" else "gloo")
    return device


def _opened(data: str, split: str, device: str, images: Path | None, size: int, statistics: str) -> Data:
    from benchmarks.darts.data import open_data

    if split not in ("test", "valid"):
        raise UserError(f"--split {split!r} is not test or valid")
    if data != "imagenet":
        return open_data(data, "test" if split == "test" else "valid", device, statistics)
    from benchmarks.darts.image_folder import FolderData, image_folder

    return FolderData(images or image_folder(), "test" if split == "test" else "valid", device, size)


def _progress(line: dict[str, float], epochs: int, left: float) -> str:
    """Return the progress message of an epoch. ``left`` is the estimated rest of the training, seconds."""
    accuracy = "" if line["accuracy"] != line["accuracy"] else f"  held out {line['accuracy']:.2f} %"
    eta = (
        time.strftime("%d d %H:%M", time.gmtime(left - 86400))
        if left >= 86400
        else time.strftime("%H:%M:%S", time.gmtime(left))
    )
    return (
        f"epoch {line['epoch']:.0f}/{epochs}  lr {line['lr']:.4f}  loss {line['train_loss']:.3f}  "
        f"train {line['train_accuracy']:.2f} %{accuracy}  {line['seconds']:.1f} s  eta {eta}"
    )


def _result(training: Retraining, arch: Arch) -> dict[str, Any]:
    import torch

    recipe, curve, count = training.recipe, training.curve, network_size(arch, training.network.macro)
    seconds = sum(line["seconds"] for line in curve.lines)
    return {
        "genotype": DartsSpace("mixed").to_str(arch),
        "held_out": training.data.split,
        "accuracy_last_epoch": curve.final,
        "accuracy_best_epoch_chosen_on_held_out": curve.best,
        "top5_accuracy_last_epoch": curve.top5,
        "loss_last_epoch": curve.loss,
        "epochs": training.epoch,
        "restarts_without_momentum": training.restarts,
        "parameters": count.parameters,
        "macs": count.macs,
        "data": training.data.name,
        "data_checksum": training.data.checksum,
        "recipe": recipe.name,
        "recipe_digest": recipe.digest,
        "seed": training.seed,
        "seconds": seconds,
        "gpu_days": seconds * training.share[1] / 86400 if training.device.type == "cuda" else None,
        "images_per_second": training.epoch * training.data.train_images / seconds,
        "device": _device(training),
        "processes": training.share[1],
        "torch": torch.__version__,
        "command": shlex.join(["python", "-m", "benchmarks.darts.train", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _device(training: Retraining) -> str:
    import torch

    if training.device.type == "cuda":
        return torch.cuda.get_device_name(training.device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def _list_cells() -> None:
    for name, text in about().items():
        count = network_size(named(name))
        print(f"{name:20} {count.parameters / 1e6:5.2f} M parameters  {count.macs / 1e6:5.0f} M multiply-adds  {text}")


def _list_recipes() -> None:
    for name, entry in recipes().items():
        print(f"{name:20} {entry.digest[:12]}  {entry.about}")


if __name__ == "__main__":
    command(app)
