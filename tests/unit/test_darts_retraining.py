"""Training a DARTS cell from scratch: recipes, data, resuming, data-parallel training."""

from __future__ import annotations

import dataclasses
import errno
import math
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from PIL import Image
from torch.multiprocessing.spawn import spawn

from benchmarks.darts.data import ResidentData, open_data
from benchmarks.darts.image_folder import FolderData, augmented, central, decoders
from benchmarks.darts.published import published
from benchmarks.darts.recipe import Recipe, recipe, recipes
from benchmarks.darts.retraining import Curve, Retraining
from benchmarks.images.augment import Augmentation, Resident
from benchmarks.images.dataset import STATISTICS, ImageSet
from benchmarks.trainings import checkpoint_file, last_state
from harness.device import REDUCED, keep_compiled, precision
from harness.errors import UserError

CELL = published()["DARTS_V1"]
TINY = Recipe("tiny", epochs=3, batch=16, width=2, depth=2, auxiliary=0.0, cutout=2, drop_path=0.3)


def resident_data(train: int = 40, held_out: int = 20, classes: int = 3, device: str = "cpu") -> ResidentData:
    rng = np.random.default_rng(0)

    def part(count: int) -> Resident:
        labels = np.arange(count) % classes
        pixels = rng.integers(0, 100, (count, 1, 8, 8)) + 50 * labels[:, None, None, None]
        return Resident.of(ImageSet("made", pixels.astype(np.uint8), labels, classes, (0.3,), (0.2,), "", "sum"), device)

    return ResidentData("made", "test", "sum", classes, part(train), part(held_out), Augmentation(padding=1, flip=True), None)


def weights(training: Retraining) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in training.network.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_stopped_training_goes_on_bit_for_bit() -> None:
    uninterrupted = Retraining(CELL, TINY, resident_data(), 5)
    uninterrupted.run()
    first = Retraining(CELL, TINY, resident_data(), 5)
    states: list[bytes] = []
    first.run(states.append, until=1)
    second = Retraining(CELL, TINY, resident_data(), 5)
    second.load(states[-1])
    assert second.epoch == 1 and not second.done
    second.run()
    assert second.done and same(weights(second), weights(uninterrupted))
    assert [line["accuracy"] for line in second.curve.lines] == [line["accuracy"] for line in uninterrupted.curve.lines]
    optimizers = (second.optimizer, uninterrupted.optimizer)
    momenta = [[state["momentum_buffer"] for state in optimizer.state.values()] for optimizer in optimizers]
    assert all(torch.equal(a, b) for a, b in zip(*momenta, strict=True))


def test_a_compiled_training_has_a_static_graph_for_each_size_of_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dynamic graph for the smaller last batch would serve all later batches. Drop-path has probability zero at first."""
    shapes: list[list[torch.Size]] = []

    def counting(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        assert not any(isinstance(value, torch.SymInt) for value in inputs)
        shapes.append([value.shape for value in inputs if value.dim() == 4])
        return graph.forward

    plain = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model, mode=None, **how: plain(model, backend=counting, **how))
    torch._dynamo.reset()
    data = resident_data()
    training, eager = (Retraining(CELL, TINY, data, 5, compile_mode=mode) for mode in ("default", ""))
    assert training.recipe.drop_probability(0) == 0 < training.recipe.drop_probability(1)
    training.run()
    eager.run()
    assert same(weights(training), weights(eager))
    assert [sizes.count(torch.Size((batch, 1, 8, 8))) for sizes, batch in zip(shapes, (16, 8), strict=True)] == [1, 1]


def test_compiled_code_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "users"))
    keep_compiled(tmp_path / "ours")
    assert cache_dir() == str(tmp_path / "users")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    keep_compiled(tmp_path / "ours")
    assert cache_dir() == str(tmp_path / "ours")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")


def test_a_reduced_precision_is_that_of_every_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """bfloat16 on a CPU, as a GPU has it: no value between two layers is a float32 image, and the loss is nearly the same."""
    exact = Retraining(CELL, TINY, resident_data(), 5)
    exact.run()
    monkeypatch.setitem(REDUCED, "cpu", torch.bfloat16)
    data = dataclasses.replace(resident_data(), dtype=precision("cpu"))
    training = Retraining(CELL, TINY, data, 5)
    kinds: set[torch.dtype] = set()

    def note(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        kinds.add(output.dtype)

    for module in training.network.cells.modules():
        if not isinstance(module, torch.nn.ModuleList):
            module.register_forward_hook(note)
    training.run()
    assert kinds == {torch.bfloat16}
    assert all(value.dtype == torch.float32 for value in training.network.parameters())
    assert training.curve.lines[-1]["train_loss"] == pytest.approx(exact.curve.lines[-1]["train_loss"], rel=0.05)


def test_a_training_says_after_each_batch_how_far_it_is() -> None:
    shares: list[float] = []
    how = dataclasses.replace(TINY, epochs=2)
    data = resident_data()
    Retraining(CELL, how, data, 5).run(watch=shares.append)
    assert len(shares) == 2 * math.ceil(data.train_images / how.batch)
    assert shares == sorted(shares)
    assert (shares[0] < 0.5, shares[-1]) == (True, 1.0)


def test_a_light_checkpoint_leaves_the_momentum_out_and_says_so() -> None:
    first = Retraining(CELL, TINY, resident_data(), 5, light=True)
    states: list[bytes] = []
    first.run(states.append, until=1)
    assert len(states[0]) < 0.75 * len(_heavy(first))
    second = Retraining(CELL, TINY, resident_data(), 5, light=True)
    second.load(states[0])
    assert same(weights(first), weights(second)) and not second.optimizer.state
    assert (first.restarts, second.restarts) == (0, 1)


def _heavy(training: Retraining) -> bytes:
    training.light = False
    return training.state()


def test_the_seed_decides_the_weights_and_everything_after() -> None:
    first, again, other = (Retraining(CELL, TINY, resident_data(), seed) for seed in (1, 1, 2))
    assert same(weights(first), weights(again)) and not same(weights(first), weights(other))
    torch.rand(7)  # the global generator has no say
    assert first.train_epoch()["train_loss"] == again.train_epoch()["train_loss"] != other.train_epoch()["train_loss"]


def test_a_checkpoint_of_another_training_is_refused() -> None:
    state = Retraining(CELL, TINY, resident_data(), 5).state()
    for other in (
        Retraining(published()["DARTS_V2"], TINY, resident_data(), 5),
        Retraining(CELL, dataclasses.replace(TINY, lr=0.1), resident_data(), 5),
        Retraining(CELL, TINY, resident_data(), 6),
    ):
        with pytest.raises(UserError, match="of another cell, recipe"):
            other.load(state)


def test_training_learns_and_both_accuracies_are_kept_apart() -> None:
    training = Retraining(CELL, dataclasses.replace(TINY, epochs=6, lr=0.1, drop_path=0.0, cutout=0), resident_data(), 0)
    curve = training.run()
    assert curve.lines[-1]["train_loss"] < curve.lines[0]["train_loss"]
    assert curve.final == curve.lines[-1]["accuracy"] <= curve.best
    curve = Curve([{"accuracy": accuracy} for accuracy in (80.0, math.nan, 90.0, 85.0)])
    assert (curve.final, curve.best) == (85.0, 90.0), "some scripts print the best epoch (D-59)"


def test_the_held_out_loss_is_recorded_in_every_evaluated_epoch() -> None:
    """The mean cross entropy over all held-out images, without the label smoothing of the training (D-65)."""
    data = resident_data()
    training = Retraining(CELL, dataclasses.replace(TINY, evaluate_every=2, label_smoothing=0.3), data, 0)
    curve = training.run()
    assert [math.isfinite(line["loss"]) for line in curve.lines] == [False, True, True]
    assert all(math.isnan(line["loss"]) == math.isnan(line["accuracy"]) for line in curve.lines)
    training.network.eval()
    with torch.inference_mode():
        losses = [
            float(torch.nn.functional.cross_entropy(training.network(image)[0], label)) for image, label in data.evaluated(1)
        ]
    assert len(losses) == 20
    assert curve.loss == pytest.approx(sum(losses) / 20, rel=1e-5)
    assert curve.loss == curve.lines[-1]["loss"] != pytest.approx(curve.lines[1]["loss"])


def test_top_five_counts_the_images_whose_class_is_among_the_five_likeliest() -> None:
    data = resident_data()
    training = Retraining(CELL, TINY, data, 0)
    curve = training.run()
    training.network.eval()
    with torch.inference_mode():
        pairs = [(training.network(images)[0][0], int(labels[0])) for images, labels in data.evaluated(1)]
    ranks = [int((logits > logits[label]).sum()) for logits, label in pairs]
    assert curve.final < curve.top5 == pytest.approx(100 * sum(rank < 5 for rank in ranks) / len(ranks))
    assert curve.final == pytest.approx(100 * sum(rank < 1 for rank in ranks) / len(ranks))


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    with pytest.raises(FloatingPointError, match="epoch 1"):
        Retraining(CELL, dataclasses.replace(TINY, lr=1e30, clip=0.0), resident_data(), 0).run()


def test_the_auxiliary_loss_is_weighed_in_training() -> None:
    data = dataclasses.replace(resident_data(), train=_wide(), held_out=_wide())
    losses = []
    for weight in (0.4, 0.0):
        training = Retraining(CELL, dataclasses.replace(TINY, auxiliary=weight, width=2, depth=2, epochs=1), data, 0)
        training.run()
        losses.append(training.curve.lines[0])
        assert (training.network.auxiliary is not None) == (weight > 0)
    assert losses[0]["train_loss"] != losses[1]["train_loss"]


def _wide() -> Resident:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 255, (8, 1, 32, 32)).astype(np.uint8)
    return Resident.of(ImageSet("wide", pixels, np.arange(8) % 3, 3, (0.5,), (0.2,), "", "sum"))


def test_the_learning_rate_of_darts_is_a_cosine_to_nearly_zero() -> None:
    darts = recipe("darts")
    assert darts.learning_rate(0) == 0.025 and darts.learning_rate(300) == pytest.approx(0.0125)
    assert 0 < darts.learning_rate(599) < 1e-6
    assert [darts.drop_probability(epoch) for epoch in (0, 300)] == [0.0, 0.1]


def test_the_learning_rate_of_pc_darts_on_imagenet_warms_up_falls_and_flattens() -> None:
    """As its script: times (epoch + 1) / 5 at first, a line that would be zero 5 epochs early, then a fifth of the slope."""
    mobile = recipe("imagenet_pc_darts")
    assert mobile.learning_rate(0) == pytest.approx(0.5 / 5)
    assert mobile.learning_rate(4) == pytest.approx(0.5 * 241 / 245)
    assert mobile.learning_rate(100) == pytest.approx(0.5 * 145 / 245)
    assert [mobile.learning_rate(250 - left) for left in (6, 5, 1)] == pytest.approx([0.5 / 245, 0.5 / 245, 0.1 / 245])
    assert recipe("imagenet_darts").learning_rate(2) == pytest.approx(0.1 * 0.97**2)
    assert recipe("imagenet_sparse_nas").learning_rate(125) == pytest.approx(0.2)


def test_recipes_differ_from_one_another() -> None:
    assert len({variant.digest for variant in recipes().values()}) == len(recipes())


def test_a_recipe_changes_by_text_and_its_digest_with_it() -> None:
    changed = recipe("darts").changed(["epochs=10", "lr=0.1", "nesterov=true", "schedule=linear"])
    assert (changed.epochs, changed.lr, changed.nesterov, changed.schedule) == (10, 0.1, True, "linear")
    assert changed.digest != recipe("darts").digest == dataclasses.replace(recipe("darts"), about="other words").digest
    for texts, reason in (
        (["epoch=1"], "did you mean 'epochs'"),
        (["lr=fast"], "'fast' is no float"),
        (["lr=-1"], "above zero"),
        (["schedule=flat"], "schedule 'flat' is not one of cosine, linear, exponential"),
        (["extra_norm=true"], "extra_norm 'true' is not one of none, pooling, all"),
        (["cifar100_statistics=imagenet"], "is not one of cifar10, own"),
    ):
        with pytest.raises(UserError, match=reason):
            recipe("darts").changed(texts)
    with pytest.raises(UserError, match="did you mean 'pc_darts'"):
        recipe("pcdarts")


def test_a_choice_on_validation_sees_no_test_image(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 32, 32), np.uint8)
    train = ImageSet("CIFAR-10", pixels, np.arange(100) % 10, 10, (0.5,) * 3, (0.2,) * 3, "", "sum")
    test = dataclasses.replace(train, images=pixels + 100)
    monkeypatch.setattr("benchmarks.darts.parts.load", lambda dataset: (train, test))
    open_data.cache_clear()
    full, choice = open_data("cifar10", "test", "cpu"), open_data("cifar10", "valid", "cpu")
    open_data.cache_clear()
    assert (len(full.train), len(full.held_out)) == (100, 100)
    assert (len(choice.train), len(choice.held_out)) == (90, 10)
    seen = {int(part.images.max()) for part in (choice.train, choice.held_out)}
    assert seen == {89, 99}
    assert set(choice.train.images.unique().tolist()).isdisjoint(choice.held_out.images.unique().tolist())


def test_cifar100_is_standardised_by_the_numbers_of_cifar10_or_by_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-61: PC-DARTS' script has one pair of constants for both data sets."""
    pixels = np.full((20, 3, 32, 32), 128, np.uint8)
    mean, std = STATISTICS["cifar100"]
    train = ImageSet("CIFAR-100", pixels, np.arange(20) % 10, 100, mean, std, "", "sum")
    monkeypatch.setattr("benchmarks.darts.parts.load", lambda dataset: (train, train))
    open_data.cache_clear()
    for how, name in (
        (recipe("darts"), "cifar10"),
        (recipe("darts").changed(["cifar100_statistics=own"]), "cifar100"),
    ):
        data = open_data("cifar100", "test", "cpu", how.statistics("cifar100"))
        for images in (next(iter(data.evaluated(4)))[0], next(iter(data.epoch(0, 4, 0)))[0][:, :, 16:17, 16:17]):
            expected = [(128 / 255 - m) / s for m, s in zip(*STATISTICS[name], strict=True)]
            assert images[:, :, 0, 0].tolist()[0] == pytest.approx(expected, abs=1e-6)
        assert how.statistics("cifar10") == how.statistics("digits") == "own"
    open_data.cache_clear()
    assert recipe("darts").digest != recipe("darts").changed(["cifar100_statistics=own"]).digest


def test_digits_are_evaluated_under_the_same_noise_every_time() -> None:
    data = open_data("digits", "test", "cpu")
    (images, labels), (again, _) = next(iter(data.evaluated(64))), next(iter(data.evaluated(64)))
    assert torch.equal(images, again) and len(labels) == 64
    assert sum(len(labels) for _, labels in data.evaluated(512)) == 8 * 389
    with pytest.raises(UserError, match="no data 'mnist'"):
        open_data("mnist", "test", "cpu")


def test_a_full_disk_leaves_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = checkpoint_file(tmp_path / "out")
    assert checkpoint.load() is None
    checkpoint.save(b"good")

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        checkpoint.save(b"newer")
        checkpoint.save(b"newest")
    assert checkpoint.load() == b"good"
    assert os.listdir(tmp_path / "out") == ["checkpoint.pt"]
    warning = capsys.readouterr().err
    assert warning.count("No space left on device") == 1 and "goes on" in warning


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    checkpoint = checkpoint_file(tmp_path)
    checkpoint.save(b"state")
    data = bytearray(checkpoint.path.read_bytes())
    data[-1] ^= 1
    checkpoint.path.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"checkpoint\.pt is damaged; delete it"):
        last_state(checkpoint)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    for part, count in (("train", 5), ("val", 2)):
        for name in ("n01", "n02"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 255, (80, 100, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.JPEG")
    return tmp_path


def test_a_folder_of_class_folders_trains_in_the_mobile_setting(folder: Path) -> None:
    data = FolderData(folder, "test", "cpu", size=64, workers=0)
    assert (data.classes, data.train_images) == (2, 10)
    how = recipe("imagenet_pc_darts").changed(["epochs=1", "tail=0", "batch=4", "width=2", "depth=2", "auxiliary=0"])
    training = Retraining(CELL, how, data, 0)
    line = training.train_epoch()
    assert training.done and math.isfinite(line["train_loss"]) and line["accuracy"] in (0, 25, 50, 75, 100)
    images, again, other = (next(iter(data.epoch(seed, 4, 0)))[0] for seed in (3, 3, 4))
    assert images.shape == (4, 3, 64, 64) and torch.equal(images, again) and not torch.equal(images, other)


def test_processes_share_a_batch_of_a_folder(folder: Path) -> None:
    data = FolderData(folder, "test", "cpu", size=64, workers=0)
    batches = [labels.tolist() for _, labels in data.epoch(1, 4, 0)]
    halves = [[labels.tolist() for _, labels in data.epoch(1, 4, 0, (rank, 2))] for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == batches


def test_decoders_share_the_cores(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.darts.image_folder.cores", lambda: 12)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert decoders() == FolderData(folder, "test", "cpu")._workers == 12
    for processes, cores in ((4, 3), (16, 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        assert decoders() == cores


def test_what_is_wrong_with_a_folder_is_said(folder: Path) -> None:
    with pytest.raises(UserError, match="is no folder; put images into DIR/train/CLASS"):
        FolderData(folder / "nowhere", "test", "cpu")
    with pytest.raises(UserError, match="no images to evaluate on"):
        FolderData(folder, "valid", "cpu")
    (folder / "val" / "n03").mkdir()
    with pytest.raises(UserError, match="different classes, such as n03"):
        FolderData(folder, "test", "cpu")
    (folder / "val" / "n03").rmdir()
    (folder / "val" / "n01" / "0.JPEG").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"0\.JPEG is damaged"):
        list(FolderData(folder, "test", "cpu", size=64, workers=0).evaluated(4))


def test_images_of_a_folder_are_cut_to_size() -> None:
    image = Image.fromarray(np.full((300, 200, 3), 128, np.uint8))
    assert central(image, 64).size == augmented(image, 64, random.Random(0)).size == (64, 64)
    assert set(np.asarray(central(image, 64)).ravel().tolist()) == {128}


def _parallel(rank: int, store: str, results: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    training = Retraining(CELL, dataclasses.replace(TINY, epochs=1), resident_data(train=41), 5, processes=True)
    line = training.train_epoch()
    parameters = dict(training.network.named_parameters())
    torch.save({"line": line, "parameters": parameters, "identity": training.identity}, f"{results}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """Equal weights everywhere after an epoch; the totals are of all images (the one that does not divide is left out)."""
    spawn(_parallel, (str(tmp_path / "store"), str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(value, second["parameters"][name]) for name, value in first["parameters"].items())
    assert first["line"]["train_loss"] == second["line"]["train_loss"]
    assert math.isfinite(first["line"]["accuracy"]) and math.isnan(second["line"]["accuracy"])
    alone = Retraining(CELL, dataclasses.replace(TINY, epochs=1), resident_data(train=41), 5)
    assert alone.identity == first["identity"]  # a checkpoint moves between numbers of processes
    assert not any(
        torch.equal(value, first["parameters"][name]) for name, value in weights(alone).items() if name == "stem.0.weight"
    )
    assert alone.train_epoch()["train_loss"] == pytest.approx(first["line"]["train_loss"], rel=0.2)
