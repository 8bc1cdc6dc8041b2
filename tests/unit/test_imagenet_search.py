"""The images of a search on ImageNet: which ones, decoded once, cropped as from the files; and the settings of its rows."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from benchmarks.darts import image_folder, subsample, task
from benchmarks.darts.image_folder import Files, central, standardised
from benchmarks.darts.macro import Macro, places
from benchmarks.darts.search_network import EVERYTHING
from benchmarks.darts.size import network_size
from benchmarks.darts.subsample import SIDE, parts
from benchmarks.darts.subsampled_images import SubsampledImages, crops, cut
from benchmarks.darts.supernet import Supernet
from benchmarks.darts.task import MACROS, DartsTask
from harness import protocols, registry
from harness.budget import Ledger
from harness.errors import UserError
from harness.plan import preset, rows_of
from methods.one_shot.parts.search import Search
from tests import made_imagenet
from tests.made_darts import SPACE
from tests.recorded import RecordedView

SMALL = Macro(width=4, depth=3, classes=6, size=32, stem="imagenet_search", auxiliary=False)
PROTOCOL = "darts-imagenet-as-published"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("NAS_DATA", str(tmp_path))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    subsample._opened.cache_clear()
    yield made_imagenet.write(tmp_path)
    subsample._opened.cache_clear()


def again() -> subsample.Subsample:
    """Return the images as another process opens them."""
    subsample._opened.cache_clear()
    return subsample.subsample()


# -- which images ----------------------------------------------------------------------------------------------------------


def listed(counts: dict[str, int]) -> Files:
    files = [(Path(name) / f"{number}.JPEG", label) for label, name in enumerate(counts) for number in range(counts[name])]
    return Files(tuple(path for path, _ in files), tuple(label for _, label in files))


COUNTS = some.dictionaries(some.text("abcdn0123", min_size=1, max_size=6), some.integers(2, 90), min_size=1, max_size=5)


@given(COUNTS, some.text("xyz", min_size=7, max_size=7))
def test_of_every_class_a_tenth_and_a_fortieth_that_share_no_image(counts: dict[str, int], other: str) -> None:
    files = listed(counts)
    first, second = parts(list(counts), files)
    of_class = [Counter(files.labels[row] for row in rows) for rows in (first, second)]
    for label, count in enumerate(counts.values()):
        assert (of_class[0][label], of_class[1][label]) == (max(count // 10, 1), max(count // 40, 1))
    assert len({*first, *second}) == len(first) + len(second), "no image is in both, or twice in one"
    assert parts(list(counts), files) == (first, second)
    more = {**counts, other: 50}
    of_more = parts(list(more), listed(more))
    for rows, of_all in zip((first, second), of_more, strict=True):
        assert of_all[: len(rows)] == rows, "the choice in a class does not depend on other classes"


def test_the_images_of_imagenet_are_128_and_32_thousand() -> None:
    """A class has 1 300 training images at most, and most have as many."""
    files = listed({f"n{number:02}": 1300 for number in range(10)})
    first, second = parts([f"n{number:02}" for number in range(10)], files)
    assert (len(first), len(second)) == (1300, 320)
    assert first[:130] != sorted(first[:130]), "not the first files of a class"


def test_a_class_of_a_single_image_is_named() -> None:
    with pytest.raises(UserError, match="class n2 has 1 images; a search needs at least 2"):
        parts(["n1", "n2"], listed({"n1": 3, "n2": 1}))


# -- decoded once ----------------------------------------------------------------------------------------------------------


def test_images_are_decoded_once_and_found_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = subsample.subsample()
    assert "decoding 25 images of ImageNet into" in capsys.readouterr().err
    assert first.images.shape == (25, SIDE, SIDE, 3) and first.weights == 18 and first.classes == 6
    names, files = image_folder.class_files(folder / "train")
    rows = [row for part in parts(names, files) for row in part]
    assert first.labels.tolist() == [files.labels[row] for row in rows]
    with Image.open(files.paths[rows[3]]) as image:
        assert first.shapes[3] == pytest.approx(image.width / image.height)
        assert np.array_equal(first.images[3], np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)))

    def forbidden(path: Path) -> Image.Image:
        raise AssertionError(f"{path} is decoded a second time")

    monkeypatch.setattr(subsample, "decoded", forbidden)
    other = again()
    assert np.array_equal(other.images, first.images) and other.checksum == first.checksum
    assert capsys.readouterr().err == ""


def test_another_file_is_another_set_of_images(folder: Path) -> None:
    first = subsample.subsample()
    image = next((folder / "train" / "n01491361").iterdir())
    image.rename(image.with_name("renamed.JPEG"))
    second = again()
    assert second.checksum != first.checksum and registry.benchmark("darts/imagenet").open({}, {}).checksum == second.checksum


def test_a_broken_image_is_named_and_nothing_is_left_of_the_attempt(folder: Path, tmp_path: Path) -> None:
    names, files = image_folder.class_files(folder / "train")
    broken = files.paths[parts(names, files)[1][2]]
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=f"{broken.name} is damaged or not an image: ") as error:
        registry.benchmark("darts/imagenet").open({}, {})
    assert "\n" not in str(error.value)
    assert [path.name for path in (tmp_path / "cache" / "imagenet").iterdir()] == ["decoding.lock"]
    broken.write_bytes(content)
    assert len(again().labels) == 25


def test_without_imagenet_the_benchmark_says_where_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DATA", str(tmp_path))
    benchmark = registry.benchmark("darts/imagenet")
    assert not benchmark.availability().ready and not benchmark.embedded
    with pytest.raises(UserError, match="ImageNet is missing: put its folder imagenet"):
        benchmark.open({}, {})


def test_a_cache_that_cannot_be_written_is_one_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"^cannot write .*file"):
        again()


# -- crops -----------------------------------------------------------------------------------------------------------------


@given(some.lists(some.floats(0.2, 5.0), min_size=1, max_size=20), some.integers(0, 1000))
def test_a_crop_is_inside_the_image_and_has_a_share_of_it_and_a_shape(shapes: list[float], seed: int) -> None:
    shape = torch.tensor(shapes)
    left, top, wide, high = crops(shape, torch.Generator().manual_seed(seed)).double().unbind(1)
    assert (left >= 0).all() and (top >= 0).all() and (left + wide <= 1 + 1e-6).all() and (top + high <= 1 + 1e-6).all()
    area, ratio = wide * high, wide / high * shape
    assert (area <= 1 + 1e-6).all() and (ratio >= 3 / 4 - 1e-5).all() and (ratio <= 4 / 3 + 1e-5).all()
    square = (ratio - 1).abs() < 1e-5  # the central square of a long image may be less than 8 % of it
    assert ((area >= 0.08 - 1e-6) | square).all()


def test_crops_have_the_distribution_of_those_from_files() -> None:
    """Mean share, and mean place, against the rule of trainings from scratch in whole pixels."""
    boxes = crops(torch.full((4000,), 1.5), torch.Generator().manual_seed(0))
    rng = random.Random(0)
    image = Image.new("RGB", (1500, 1000))
    cropped: list[tuple[float, ...]] = []

    def resize(self: Image.Image, size: tuple[int, int], resample: int, box: tuple[int, ...]) -> Image.Image:
        cropped.append(box)
        return Image.new("RGB", (1, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image.Image, "resize", resize)
        for _ in range(4000):
            image_folder.augmented(image, 1, rng)
    left, top, right, bottom = np.array(cropped).T
    drawn = [left / 1500, top / 1000, (right - left) / 1500, (bottom - top) / 1000]
    for ours, theirs in zip(boxes.numpy().T, drawn, strict=True):
        assert ours.mean() == pytest.approx(theirs.mean(), abs=0.012) and ours.std() == pytest.approx(theirs.std(), abs=0.012)


def test_a_whole_image_of_its_size_is_itself_and_mirrored_from_right_to_left() -> None:
    images = torch.randint(256, (2, 16, 16, 3), generator=torch.Generator().manual_seed(0)).byte()
    everything = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(2, 4)
    plain, turned = cut(images, everything, torch.tensor([False, True]), 16)
    expected = standardised(images)
    torch.testing.assert_close(plain, expected[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(turned, expected[1].flip(-1), rtol=0, atol=1e-5)
    quarter = cut(images[:1], torch.tensor([[0.5, 0.0, 0.5, 0.5]]), torch.tensor([False]), 8)
    torch.testing.assert_close(quarter[0], expected[0, :, :8, 8:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256)])
def test_evaluation_sees_the_centre_that_trainings_from_scratch_are_evaluated_on(
    size: tuple[int, int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A smooth image, so that scaling it twice changes little."""
    wide, high = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    smooth = Image.fromarray(np.stack([wide, high, (wide + high) / 2], -1).astype(np.uint8))
    monkeypatch.setattr(subsample, "decoded", lambda path: smooth)
    images, _ = SubsampledImages(0, "cpu", 64).plain("valid", 4, 0)
    expected = standardised(torch.from_numpy(np.asarray(central(smooth, 64)).copy())[None])
    assert images.shape == (4, 3, 64, 64) and images.is_contiguous(memory_format=torch.channels_last)
    assert float((images - expected).abs().max()) < 0.06, "less than three of 255"


# -- loaders ---------------------------------------------------------------------------------------------------------------


def labels_of(batches: Any) -> list[list[int]]:
    return [labels.tolist() for _, labels in batches]


def test_an_epoch_has_every_image_once_and_depends_on_world_and_number_alone(folder: Path) -> None:
    images, same, other = SubsampledImages(1, "cpu", 32), SubsampledImages(1, "cpu", 32), SubsampledImages(2, "cpu", 32)
    assert images.counts == {"train": 18, "valid": 7, "full": 187, "plain": 7}
    data = subsample.subsample()
    for part, rows in (("train", slice(0, 18)), ("valid", slice(18, 25))):
        epoch = labels_of(images.batches(part, 8, 3))
        assert sorted(itertools.chain(*epoch)) == sorted(data.labels[rows].tolist())
        assert {len(batch) for batch in epoch[:-1]} <= {8}
    (first, _), (again, _), (third, _), (moved, _) = (
        next(iter(loader.batches("train", 8, epoch))) for loader, epoch in ((images, 3), (same, 3), (other, 3), (images, 4))
    )
    assert torch.equal(first, again) and not torch.equal(first, third) and not torch.equal(first, moved)
    full = list(images.batches("full", 64, 0))
    assert Counter(label for _, batch in full for label in batch.tolist()) == dict(enumerate(made_imagenet.CLASSES.values()))
    with pytest.raises(ValueError, match="no cutout"):
        images.batches("train", 8, 0, cutout=16)


def test_validation_images_come_in_turn_as_in_the_script(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new shuffle when one ends; the last batch of a shuffle may be smaller. Other pairings are those of the contract."""
    images = SubsampledImages(0, "cpu", 32)
    rows: list[list[int]] = []
    monkeypatch.setattr(images, "_read", lambda numbers, *_: rows.append(numbers.tolist()))
    pairs = len(list(images.pairs(5, 0)))
    train, valid = rows[::2], rows[1::2]
    assert pairs == 4 and sorted(itertools.chain(*train)) == list(range(18))
    assert [len(batch) for batch in valid] == [5, 2, 5, 2]
    assert sorted(valid[0] + valid[1]) == sorted(valid[2] + valid[3]) == list(range(18, 25)) and valid[0] != valid[2]
    first = list(rows)
    rows.clear()
    list(images.pairs(5, 0, "iterate"))
    assert rows == first, "it is the rule of the space"
    for pairing, sizes in (("redraw", [5, 5, 5, 5]), ("partner", [5, 5, 5, 3])):
        rows.clear()
        list(images.pairs(5, 0, pairing))  # type: ignore[arg-type]
        assert [len(batch) for batch in rows[1::2]] == sizes


def test_plain_batches_wrap_around_in_one_order(folder: Path) -> None:
    images = SubsampledImages(0, "cpu", 32)
    batches = [images.plain("valid", 3, number) for number in range(7)]
    assert torch.equal(batches[0][0], SubsampledImages(0, "cpu", 32).plain("valid", 3, 7)[0])
    counts = Counter(label for _, labels in batches for label in labels.tolist())
    assert counts == {label: 3 * count for label, count in Counter(subsample.subsample().labels[18:].tolist()).items()}


# -- the supernet and its rows ---------------------------------------------------------------------------------------------


def test_the_supernet_of_a_search_is_that_of_the_released_script() -> None:
    """Three convolutions to 48 channels and to 28 pixels, 8 cells of 16 channels, half of which the operations work on."""
    net = Supernet(MACROS["imagenet"], none=True, edges=True, partial=2)
    assert sum(value.numel() for value in net.module.parameters()) == RELEASED_PARAMETERS
    first, second, *_ = built = list(places(EVERYTHING, MACROS["imagenet"]))
    assert (first.older, first.newer, first.width, first.size, first.older_larger) == (48, 48, 16, 28, True)
    assert [place.reduces for place in built] == [number in (2, 5) for number in range(8)] and not second.older_larger


def test_a_network_to_deploy_has_the_stem_of_trainings_from_scratch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(task.MACROS, "imagenet", SMALL)
    opened = DartsTask("imagenet", 0, "cpu", Ledger().charge)
    assert opened.classes == 6
    deployed, plain = (opened.supernet(none=False, affine=True, cells=cells) for cells in (4, 0))
    stems = [net.absorb(SPACE.from_str(CELL)).settings["stem"] for net in (deployed, plain)]
    assert stems == ["imagenet", "imagenet_search"]
    arch = SPACE.from_str(CELL)
    network, settings = deployed.absorb(arch), dict(deployed.absorb(arch).settings)
    deployed.module.eval()
    images, _ = opened.plain("valid", 4, 0)
    with torch.no_grad():
        torch.testing.assert_close(network(images), deployed(images, None, deployed.active_for(arch)), rtol=1e-4, atol=1e-4)
    parameters = network_size(arch, Macro(**settings)).parameters  # type: ignore[arg-type]
    assert parameters == deployed.parameter_count(arch)


CELL = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ('max_pool_3x3', 0), ('dil_conv_5x5', 1), ('avg_pool_3x3', 2), "
    "('sep_conv_5x5', 0), ('dil_conv_3x3', 3), ('skip_connect', 0)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), "
    "('skip_connect', 1), ('sep_conv_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('skip_connect', 2), "
    "('dil_conv_3x3', 1), ('avg_pool_3x3', 0)], reduce_concat=range(2, 6))"
)
RELEASED_PARAMETERS = 956_512
"""Counted in the network of PC-DARTS' script, without its architecture parameters."""


def method(row: str, **changes: Any) -> Any:
    """Return the method of a row as the protocol of ImageNet sets it."""
    (part,) = protocols.protocol(PROTOCOL).parts
    info = registry.method(row.partition(":")[0])
    return registry.build(info, registry.settings(info, row, SPACE.name, {**preset(part, row), **changes}, {}))


def test_the_rows_are_set_as_in_the_scripts() -> None:
    """One search of each row, as the papers print one number (D-144)."""
    assert protocols.protocol(PROTOCOL).seeds == 1
    (part,) = protocols.protocol(PROTOCOL).parts
    assert list(rows_of(part)) == ["pc_darts", "gaea_pc_darts", "ista_nas:one_stage"] and part.benchmarks == ("darts/imagenet",)
    pc_darts, gaea, ista = map(method, rows_of(part))
    for shared in (pc_darts, gaea):
        assert (shared.epochs, shared.batch, shared.lr, shared.lr_end, shared.lr_warmup) == (50, 1024, 0.5, 0.0, 5)
        assert (shared.weight_decay, shared.momentum, shared.nesterov, shared.clip) == (3e-4, 0.9, False, 5.0)
        assert (shared.partial, shared.arch_clip, shared.warmup * shared.epochs) == (2, 5.0, 35)
    assert (pc_darts.arch_lr, pc_darts.arch_decay, pc_darts.order) == (6e-3, 1e-3, "architecture_first")
    assert (gaea.arch_lr, gaea.edge_floor, gaea.order) == (0.1, 0.0, "weights_first")
    assert (ista.target_channels, ista.target_cells, ista.batch, ista.auxiliary, ista.cutout) == (48, 14, 1024, 0.4, 0)


@pytest.fixture
def begun(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RecordedView]:
    monkeypatch.setitem(task.MACROS, "imagenet", SMALL)

    def view() -> RecordedView:
        ledger = Ledger()
        return RecordedView(SPACE, ledger, None, 0, "self", task=lambda charge: DartsTask("imagenet", 7, "cpu", charge))

    return view


def test_the_rate_rises_for_five_epochs_and_then_follows_the_cosine(begun: Callable[..., RecordedView]) -> None:
    """D-143."""
    search = Search(begun(), method("pc_darts"), edges=True, partial=2)
    rates = [search.rate(float(epoch)) for epoch in range(50)]
    assert rates[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert rates[5:] == pytest.approx([0.25 * (1 + math.cos(math.pi * epoch / 50)) for epoch in range(5, 50)])
    assert search.rate(0.9) == rates[0], "a budget may divide an epoch of the schedule"


@pytest.mark.parametrize("row", ["pc_darts", "gaea_pc_darts"])
def test_the_architecture_begins_in_epoch_35_and_its_steps_are_ordered_and_clipped(
    row: str, begun: Callable[..., RecordedView], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-140. The order of the steps is seen in the passes: the architecture's are of validation images."""
    from methods.one_shot.parts import architecture, differentiable

    monkeypatch.setattr(architecture.SoftmaxAdam, "step", lambda self, gradients, numbers: steps.append(norm(gradients)))
    monkeypatch.setattr(architecture.SimplexEG, "step", lambda self, gradients, numbers: steps.append(norm(gradients)))

    def descend(self: Search, loss: torch.Tensor, *_: object) -> torch.Tensor:
        steps.append(0.0)
        return loss.detach()

    monkeypatch.setattr(Search, "descend", descend)
    monkeypatch.setattr(differentiable, "batches", lambda search, *_: list(search.task.pairs(9, 0))[:1])
    steps: list[float] = []
    begins: list[int] = []
    for arch_clip, expected in ((5.0, False), (1e-3, True)):
        steps.clear()
        moved = method(row, arch_clip=arch_clip)
        moved.search(begun())
        kinds = [bool(step) for step in steps]
        assert len(kinds) == 35 + 2 * 15 and not any(kinds[:35])
        first = kinds[35:37]
        assert first == ([True, False] if moved.order == "architecture_first" else [False, True])
        assert (max(steps) == pytest.approx(1e-3, rel=1e-2)) == expected
        begins.append(kinds.index(True))


def norm(gradients: Any) -> float:
    return math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
