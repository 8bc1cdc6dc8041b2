"""A batch augmented at once is what augmenting image by image makes of the same draws; epochs can be made again."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from benchmarks.images.augment import PLAIN, STANDARD, Augmentation, Draws, Resident, augment, draw
from benchmarks.images.batches import Batches, epoch, in_order, iterated, reshuffled, search_epoch
from benchmarks.images.dataset import STATISTICS, ImageSet, load
from benchmarks.nb201.digits_bundle import SETTINGS

N, HEIGHT, WIDTH = 23, 10, 12


def image_set(count: int = N, channels: int = 3, seed: int = 0) -> ImageSet:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, channels, HEIGHT, WIDTH), dtype=np.uint8)
    mean, std = (tuple(values[:channels]) for values in STATISTICS["cifar10"])
    return ImageSet("made", images, np.arange(count), count, mean, std, "made", "")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def one_by_one(part: ImageSet, rows: torch.Tensor, augmentation: Augmentation, draws: Draws) -> np.ndarray:
    """Pad, crop, mirror, standardise, cut out and add noise to each image separately, as the papers' code does."""
    images = []
    for position, row in enumerate(rows.tolist()):
        image = part.images[row]
        if draws.crop is not None:
            top, left = draws.crop[:, position].tolist()
            wide = [(0, 0), (augmentation.padding,) * 2, (augmentation.padding,) * 2]
            image = np.pad(image, wide)[:, top : top + HEIGHT, left : left + WIDTH]
        if draws.flip is not None and draws.flip[position]:
            image = image[:, :, ::-1]
        x = (image / 255 - np.array(part.mean)[:, None, None]) / np.array(part.std)[:, None, None]
        if draws.centre is not None:
            row_, column = draws.centre[:, position].tolist()
            reach = augmentation.cutout // 2
            x[:, max(0, row_ - reach) : row_ + reach, max(0, column - reach) : column + reach] = 0
        if draws.noise is not None:
            x = x + augmentation.noise * draws.noise[position].numpy().transpose(2, 0, 1)
        images.append(x)
    return np.stack(images)


augmentations = st.builds(
    Augmentation, padding=st.integers(0, 5), flip=st.booleans(), cutout=st.integers(0, 16), noise=st.sampled_from([0.0, 0.7])
)


@settings(max_examples=40)
@given(augmentations, st.integers(0, 2**32), st.sampled_from([1, 3]))
def test_a_whole_batch_equals_image_by_image(augmentation: Augmentation, seed: int, channels: int) -> None:
    part = image_set(channels=channels)
    data, rows = Resident.of(part), torch.tensor([3, 0, 22, 3, 7])
    draws = draw(augmentation, len(rows), data, generator(seed))
    images = augment(data, rows, augmentation, draws)
    assert images.shape == (5, channels, HEIGHT, WIDTH)
    assert images.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(images.numpy(), one_by_one(part, rows, augmentation, draws), atol=2e-6)


def test_every_offset_and_both_sides_come_equally_often() -> None:
    draws = draw(Augmentation(padding=2, flip=True, cutout=4), 20_000, Resident.of(image_set()), generator())
    assert draws.crop is not None and draws.flip is not None and draws.centre is not None
    for offsets in draws.crop:
        counts = torch.bincount(offsets)
        assert len(counts) == 5 and (counts - 4000).abs().max() < 250
    assert abs(draws.flip.float().mean() - 0.5) < 0.02
    assert [int(axis.max()) + 1 for axis in draws.centre] == [HEIGHT, WIDTH]


def test_dtype_is_of_the_result_only() -> None:
    data, rows = Resident.of(image_set()), torch.arange(N)
    augmentation = Augmentation(padding=4, flip=True, cutout=4)
    draws = draw(augmentation, N, data, generator())
    exact = augment(data, rows, augmentation, draws)
    assert torch.equal(augment(data, rows, augmentation, draws, torch.bfloat16), exact.to(torch.bfloat16))


def test_standard_augmentations_are_the_papers() -> None:
    assert STANDARD["cifar10"] == STANDARD["cifar100"] == Augmentation(padding=4, flip=True)
    assert STANDARD["imagenet16-120"] == Augmentation(padding=2, flip=True)
    assert STANDARD["digits"] == Augmentation(noise=SETTINGS.noise)


@given(st.integers(1, 40), st.booleans(), st.integers(0, 2**32))
def test_an_epoch_has_every_image_once(size: int, drop_last: bool, seed: int) -> None:
    batches = epoch(Resident.of(image_set()), size, generator(seed), PLAIN, drop_last)
    labels = [label for _, labels in batches for label in labels.tolist()]
    assert len(batches) == (N // size if drop_last else -(-N // size))
    assert len(set(labels)) == len(labels) == (N // size * size if drop_last else N)
    assert all(len(x) == len(y) for x, y in batches)


def test_augmented_images_keep_their_labels() -> None:
    part = image_set()
    part.images[:] = np.arange(N, dtype=np.uint8)[:, None, None, None] * 10
    black = (0 - part.mean[0]) / part.std[0]
    for images, labels in epoch(Resident.of(part), 5, generator(), Augmentation(padding=4, flip=True)):
        expected = (labels * 10 / 255 - part.mean[0]) / part.std[0]
        for image, value in zip(images[:, 0], expected, strict=True):
            assert all(min(abs(x - value), abs(x - black)) < 1e-5 for x in image.unique().tolist())


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_a_search_epoch_pairs_every_weight_image_with_some_architecture_image(seed: int) -> None:
    weights, architecture = Resident.of(image_set(N, seed=1)), Resident.of(image_set(4, seed=2))
    first, second = search_epoch(weights, architecture, 4, generator(seed), Augmentation(padding=1, flip=True))
    assert len(first) == len(second) == 6  # the rest of 3 is kept
    pairs = [
        (a, b) for (_, ys), (_, zs) in zip(first, second, strict=True) for a, b in zip(ys.tolist(), zs.tolist(), strict=True)
    ]
    assert sorted(a for a, _ in pairs) == list(range(N))
    assert {b for _, b in pairs} <= set(range(4))


def test_partners_are_uniform_and_drawn_with_replacement() -> None:
    weights, architecture = Resident.of(image_set(20_000)), Resident.of(image_set(10))
    _, second = search_epoch(weights, architecture, 64, generator(), PLAIN)
    assert (torch.bincount(second.rows) - 2000).abs().max() < 200
    assert any(len(set(second.rows[i : i + 5].tolist())) < 5 for i in range(0, 200, 5))


def test_reshuffled_batches_repeat_no_image_within_a_batch() -> None:
    batches = reshuffled(Resident.of(image_set()), 8, 50, generator(), PLAIN)
    assert len(batches) == 50
    labels = [labels.tolist() for _, labels in batches]
    assert all(len(set(batch)) == 8 for batch in labels)
    assert any(set(a) & set(b) for a, b in itertools.pairwise(labels))


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**32))
@settings(max_examples=30)
def test_iterated_batches_have_every_image_once_before_one_comes_twice(size: int, steps: int, seed: int) -> None:
    batches = [labels.tolist() for _, labels in iterated(Resident.of(image_set()), size, steps, generator(seed), PLAIN)]
    assert len(batches) == steps
    a_round = -(-N // size)
    for start in range(0, steps, a_round):
        seen = [label for batch in batches[start : start + a_round] for label in batch]
        assert len(set(seen)) == len(seen)
        if start + a_round <= steps:
            assert sorted(seen) == list(range(N))
    if size < N < steps:
        assert batches[:a_round] != batches[a_round : 2 * a_round]


def test_a_resumed_search_iterates_over_the_same_batches() -> None:
    data, augmentation = Resident.of(image_set()), Augmentation(padding=4, flip=True)
    first, again = (list(iterated(data, 5, 12, generator(3), augmentation)) for _ in range(2))
    assert all(torch.equal(x, y) for a, b in zip(first, again, strict=True) for x, y in zip(a, b, strict=True))


def same(first: Batches, second: Batches, start: int) -> bool:
    return len(first) == len(second) and all(
        torch.equal(x, y) for step in range(start, len(first)) for x, y in zip(first[step], second[step], strict=True)
    )


@pytest.mark.parametrize("augmentation", [Augmentation(padding=4, flip=True, cutout=6), Augmentation(noise=0.7)])
def test_a_resumed_search_sees_the_same_batches(augmentation: Augmentation) -> None:
    weights, architecture = Resident.of(image_set(seed=1)), Resident.of(image_set(seed=2))
    running = generator(7)
    for _ in range(2):
        search_epoch(weights, architecture, 4, running, augmentation)
    saved = running.get_state()
    uninterrupted = [search_epoch(weights, architecture, 4, running, augmentation) for _ in range(2)]
    resumed = torch.Generator()
    resumed.set_state(saved)
    again = [search_epoch(weights, architecture, 4, resumed, augmentation) for _ in range(2)]
    for epochs, start in ((0, 3), (1, 0)):  # the first epoch from its saved step, the next from its beginning
        assert all(same(a, b, start) for a, b in zip(uninterrupted[epochs], again[epochs], strict=True))
    assert not torch.equal(uninterrupted[0][0].rows, uninterrupted[1][0].rows)


def test_evaluation_is_in_order_and_draws_nothing() -> None:
    part = image_set()
    batches = in_order(Resident.of(part), 5)
    images = torch.cat([x for x, _ in batches])
    nothing = Draws(None, None, None, None)
    np.testing.assert_allclose(images.numpy(), one_by_one(part, torch.arange(N), PLAIN, nothing), atol=2e-6)
    with pytest.raises(IndexError):
        batches[5]


def test_nothing_in_an_epoch_waits_for_the_device() -> None:
    """Fake tensors have no values: code that needs a value on the host, or a shape that depends on values, raises."""
    part = image_set()
    with FakeTensorMode():
        data = Resident(
            torch.empty(N, HEIGHT, WIDTH, 3, dtype=torch.uint8),
            torch.empty(N, dtype=torch.int64),
            torch.empty(3),
            torch.empty(3),
        )
        augmentation = Augmentation(padding=4, flip=True, cutout=6, noise=0.1)
        for (x, y), (z, _) in zip(*search_epoch(data, data, 4, generator(), augmentation), strict=True):
            assert x.shape[1:] == z.shape[1:] == part.images.shape[1:] and len(x) == len(y)
        with pytest.raises(DataDependentOutputException):
            data.labels[0].item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_epoch_synchronises_nowhere() -> None:
    data = Resident.of(image_set(), "cuda")
    batches = epoch(data, 4, torch.Generator("cuda").manual_seed(0), Augmentation(padding=4, flip=True, cutout=6))
    torch.cuda.set_sync_debug_mode("error")
    try:
        received = list(batches)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert sum(len(y) for _, y in received) == N


def test_digits_are_batched_like_any_other_set() -> None:
    train, _ = load("digits")
    images, labels = epoch(Resident.of(train), 128, generator(), STANDARD["digits"])[0]
    assert images.shape == (128, 1, 8, 8) and labels.shape == (128,)
    assert abs(float(images.var()) - (1 + SETTINGS.noise**2)) < 0.15
