"""Feature maps and solvers against scikit-learn, and against the formulas for single points."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC
from sklearn.utils import murmurhash3_32

from benchmarks.feature_maps import fourier, ngrams, ridge, svm
from benchmarks.feature_maps.fourier import BLOCK, FourierMap, Images
from benchmarks.feature_maps.models import FourierRidge, NgramSvm, Part
from benchmarks.feature_maps.murmur import murmur3
from benchmarks.feature_maps.tokens import RELEASED, TOKENISERS, encode, lowered, stop_words

RNG = np.random.default_rng(0)


def images(n: int, side: int = 6, seed: int = 1) -> Images:
    return Images(np.random.default_rng(seed).integers(0, 256, (n, 3, side, side), dtype=np.uint8), 255)


def blocks_of(matrix: np.ndarray, width: int = BLOCK) -> ridge.Blocks:
    def blocks() -> Iterator[tuple[int, np.ndarray]]:
        for first in range(0, matrix.shape[1], width):
            yield first, matrix[:, first : first + width].copy()

    return blocks


def fourier_features(n: int, d: int) -> np.ndarray:
    """Return features under shared weights: every image has a separate configuration."""
    pool = fourier.draw_pool(16, 3)
    feature_map = FourierMap(pool, d, 5, fourier.draw)
    return np.concatenate([block for _, block in feature_map.blocks(images(n), np.arange(n) % 16)], axis=1)


# Hashing


@pytest.mark.parametrize("seed", [0, 1, 123_456_789, 2**32 - 1])
@pytest.mark.parametrize("words", [1, 2, 3])
def test_murmur3_is_scikit_learns(words: int, seed: int) -> None:
    keys = RNG.integers(0, 2**32, (200, words), dtype=np.uint32)
    hashes = murmur3(list(keys.T), seed)
    assert hashes.tolist() == [murmurhash3_32(key.astype("<u4").tobytes(), seed, positive=True) for key in keys]


# Random Fourier features


@pytest.mark.parametrize("kernel", fourier.KERNELS)
def test_products_of_features_approximate_the_kernel(kernel: str) -> None:
    gamma = 0.02
    points = images(8)
    feature_map = FourierMap([fourier.Configuration("none", kernel, gamma)], 40_000, 7, fourier.draw)
    features = np.concatenate([block for _, block in feature_map.blocks(points, np.zeros(8, np.int64))], axis=1)
    pixels = points.pixels(np.arange(8), "none")
    apart = pixels[:, None] - pixels[None]
    exact = (
        np.exp(-gamma * (apart**2).sum(-1)) if kernel == "gaussian" else np.exp(-gamma * np.abs(apart).sum(-1))
    )  # Cauchy directions: the l1 norm
    assert features @ features.T == pytest.approx(exact, abs=0.03)


def test_every_image_is_featurised_by_its_own_configuration_with_random_numbers_that_all_share() -> None:
    pool, points = fourier.draw_pool(16, 3), images(16)
    mixed = FourierMap(pool, 300, 5, fourier.draw)
    ((_, together),) = mixed.blocks(points, np.arange(16))
    for index, config in enumerate(pool):
        ((_, alone),) = mixed.blocks(points, np.full(16, index))
        assert together[index] == pytest.approx(alone[index], abs=1e-4)
        directions, shift = fourier.draw(config.kernel, 108, 0, 5)
        scale = math.sqrt(2 * config.gamma) if config.kernel == "gaussian" else config.gamma
        phase = scale * points.pixels(np.array([index]), config.preprocess).astype(float) @ directions[:, :300] + shift[:300]
        assert alone[index] == pytest.approx(math.sqrt(2 / 300) * np.cos(phase[0]), abs=2e-3)


def test_fewer_features_are_the_first_of_more() -> None:
    pool, points = fourier.draw_pool(4, 3), images(5)
    few, many = (
        np.concatenate([b for _, b in FourierMap(pool, d, 5, fourier.draw).blocks(points, np.arange(5) % 4)], axis=1)
        for d in (700, 2500)
    )
    assert few * math.sqrt(700) == pytest.approx(many[:, :700] * math.sqrt(2500), rel=1e-3, abs=1e-3)


def test_preprocessing_uses_the_training_parts_statistics() -> None:
    train, white = images(50), np.full((3, 3, 6, 6), 255, np.uint8)
    rest, rows = train.alike(white), np.arange(50)
    scaled, standard = train.pixels(rows, "minmax"), train.pixels(rows, "standardise")
    assert (scaled.min(0), scaled.max(0)) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))
    assert (standard.mean(0), standard.std(0)) == (pytest.approx(0, abs=1e-4), pytest.approx(1, abs=1e-4))
    assert np.linalg.norm(train.pixels(rows, "unit norm"), axis=1) == pytest.approx(1, abs=1e-5)
    raw = train.pixels(rows, "none")
    assert rest.pixels(np.array([0]), "minmax")[0] == pytest.approx((1 - raw.min(0)) / (raw.max(0) - raw.min(0)), rel=1e-4)
    assert rest.pixels(np.array([0]), "standardise")[0] == pytest.approx((1 - raw.mean(0)) / raw.std(0), rel=1e-3)


def test_black_images_and_constant_pixels_divide_by_nothing() -> None:
    black = Images(np.zeros((2, 1, 2, 2), np.uint8), 16)
    for name in fourier.PREPROCESS:
        assert np.isfinite(black.pixels(np.arange(2), name)).all()


def test_pools_are_drawn_from_the_whole_space_and_from_the_world_alone() -> None:
    pool = fourier.draw_pool(2000, 9)
    assert pool == fourier.draw_pool(2000, 9) != fourier.draw_pool(2000, 10)
    counts = Counter((config.preprocess, config.kernel) for config in pool)
    assert len(counts) == 8 and min(counts.values()) > 180
    logs = np.log10([config.gamma for config in pool])
    assert (logs.min(), logs.max()) == (pytest.approx(-5, abs=0.1), pytest.approx(1, abs=0.1))
    assert np.median(logs) == pytest.approx(-2, abs=0.3)


# Ridge regression


@pytest.mark.parametrize("solver", ridge.SOLVERS)
def test_ridge_of_held_features_is_scikit_learns(solver: str) -> None:
    features, targets = fourier_features(200, 2500), np.sign(RNG.standard_normal((200, 4))).astype(np.float32)
    line = ridge.fit(blocks_of(features), 2500, targets, solver)
    model = Ridge(alpha=0.5, solver=solver).fit(features.astype(np.float64), targets.astype(np.float64))
    assert features @ line.weights + line.intercept == pytest.approx(model.predict(features), abs=5e-3)


@pytest.mark.parametrize(("n", "d"), [(300, 4000), (300, 1500), (500, 400)])
def test_ridge_of_blocks_is_scikit_learns_lsqr_run_to_the_end(n: int, d: int) -> None:
    features, targets = fourier_features(n, d), np.sign(RNG.standard_normal((n, 3))).astype(np.float32)
    line = ridge.fit(blocks_of(features), d, targets, dense_bytes=0)
    exact = features.astype(np.float64)
    model = Ridge(alpha=0.5, solver="lsqr", tol=1e-10).fit(exact, targets.astype(np.float64))
    weights = line.weights.T
    assert weights == pytest.approx(model.coef_, abs=2e-4)
    assert line.intercept == pytest.approx(model.intercept_, abs=2e-3)
    rest = exact @ model.coef_.T + model.intercept_ - targets
    assert line.objective == pytest.approx((rest**2).sum() + 0.5 * (model.coef_**2).sum(), rel=1e-4)


def test_both_ways_minimise_the_same_objective() -> None:
    features, targets = fourier_features(150, 2100), np.sign(RNG.standard_normal((150, 2))).astype(np.float32)
    dense = ridge.fit(blocks_of(features), 2100, targets, "cholesky")
    blocked = ridge.fit(blocks_of(features), 2100, targets, dense_bytes=0)
    assert dense.objective == pytest.approx(blocked.objective, rel=1e-5)
    assert dense.weights == pytest.approx(blocked.weights, abs=1e-4)


def test_memory_of_blocks_stays_below_the_stated_bound_for_any_number_of_features() -> None:
    n, pool, points = 1200, fourier.draw_pool(16, 3), images(1200, side=8)
    targets = np.sign(RNG.standard_normal((n, 10))).astype(np.float32)
    peaks = []
    for d in (8 * BLOCK, 24 * BLOCK):
        feature_map = FourierMap(pool, d, 5, fourier.draw)
        tracemalloc.start()
        ridge.fit(partial(feature_map.blocks, points, np.arange(n) % 16), d, targets, dense_bytes=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        columns, outputs = points.columns, targets.shape[1]
        bound = 4 * n * n + 4 * n * (4 * BLOCK + 2 * columns) + 4 * 3 * BLOCK * columns + 4 * d * (outputs + 2)
        assert peaks[-1] < 1.1 * bound
        assert peaks[-1] < 4 * n * d  # the features that were never in memory at once
    assert peaks[1] - peaks[0] < 1.1 * 4 * 16 * BLOCK * (outputs + 2)  # the weights alone grow


# Hashed n-grams

TEXTS = [
    "It's a good, GOOD film; not a bad film!",
    "bad bad bad. The film was not good",
    "The plot: thin. The cast... good enough, good",
    "a film about nothing, and a bad one",
    "good cast",
]
POSITIVE = np.array([True, False, True, False, True])


def corpus(*tokenisers: str) -> ngrams.Reviews:
    tokens = {}
    for name in tokenisers or tuple(TOKENISERS):
        ids, ends, vocabulary = encode(TEXTS, name)
        tokens[name] = ngrams.Tokens(ids, ends, lowered(vocabulary))
    return ngrams.Reviews(tokens)


def configuration(**changes: object) -> ngrams.Configuration:
    plain = {
        "tokeniser": "strip", "stop_words": False, "lower": False, "order": 1, "binary": False,
        "weighting": "naive Bayes", "smoothing": 0.3, "final": "none", "seed": 11,
    }  # fmt: skip
    return ngrams.Configuration(**{**plain, **changes})  # type: ignore[arg-type]


def by_hand(config: ngrams.Configuration, text: str, numbers: dict[str, int], features: int) -> dict[int, float]:
    """Count the buckets of one review, n-gram by n-gram."""
    tokens = TOKENISERS[config.tokeniser]()(text)
    if config.stop_words:
        tokens = [token for token in tokens if token.lower() not in stop_words()]
    if config.lower:
        tokens = [token.lower() for token in tokens]
    buckets: Counter[int] = Counter()
    for n in range(1, config.order + 1):
        for first in range(len(tokens) - n + 1):
            key = np.array([numbers[token] for token in tokens[first : first + n]], "<u4").tobytes()
            buckets[murmurhash3_32(key, config.seed, positive=True) % features] += 1
    return {bucket: 1.0 if config.binary else float(times) for bucket, times in buckets.items()}


@pytest.mark.parametrize("tokeniser", TOKENISERS)
@pytest.mark.parametrize("order", ngrams.ORDERS)
@pytest.mark.parametrize("choices", [(False, False, False), (True, False, True), (False, True, True), (True, True, False)])
def test_counts_are_those_made_word_by_word(tokeniser: str, order: int, choices: tuple[bool, bool, bool]) -> None:
    stop, lower, binary = choices
    config = configuration(tokeniser=tokeniser, order=order, stop_words=stop, lower=lower, binary=binary)
    _, _, vocabulary = encode(TEXTS, tokeniser)
    numbers: dict[str, int] = {}
    for number, token in enumerate(vocabulary):
        numbers.setdefault(token.lower() if lower else token, number)
    counts = ngrams.count([config], corpus(tokeniser), np.zeros(len(TEXTS), np.int64), 97)
    for row, text in enumerate(TEXTS):
        of_row = counts.row == row
        assert dict(zip(counts.bucket[of_row].tolist(), counts.times[of_row].tolist(), strict=True)) == by_hand(
            config, text, numbers, 97
        )


def test_a_review_is_counted_by_its_own_configuration_as_it_is_alone() -> None:
    pool = ngrams.draw_pool(5, 4, RELEASED)
    mixed = ngrams.count(pool, corpus(), np.arange(5), 512)
    for index in range(5):
        alone = ngrams.count(pool, corpus(), np.full(5, index), 512)
        for name in ("bucket", "times"):
            assert getattr(mixed, name)[mixed.row == index].tolist() == getattr(alone, name)[alone.row == index].tolist()


@pytest.mark.parametrize("weighting", ngrams.WEIGHTINGS)
@pytest.mark.parametrize("final", ngrams.FINALS)
def test_weights_follow_the_formulas(weighting: str, final: str) -> None:
    """Naive Bayes log2(p/q), SIF t a / (t a + count); then no norm, the l2 norm, or the number of n-grams."""
    features, config = 61, configuration(weighting=weighting, final=final, order=2)
    assigned = np.zeros(len(TEXTS), np.int64)
    counts = ngrams.count([config], corpus(), assigned, features)
    feature_map = ngrams.NgramMap([config], counts, POSITIVE, features)
    dense = np.zeros((len(TEXTS), features))
    dense[counts.row, counts.bucket] = counts.times
    if weighting == "naive Bayes":
        p, q = dense[POSITIVE].sum(0) + 0.3, dense[~POSITIVE].sum(0) + 0.3
        weights = np.log2((p / p.sum()) / (q / q.sum()))
    else:
        total = dense.sum() * 0.3
        weights = total / (total + dense.sum(0))
    expected = dense * weights
    if final == "normalise":
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    if final == "average":
        expected /= dense.sum(axis=1, keepdims=True)
    assert feature_map.matrix(counts, assigned).toarray() == pytest.approx(expected[:, feature_map.columns])


def test_buckets_that_training_never_saw_change_no_score_but_count_in_the_norm() -> None:
    config, features = configuration(final="normalise", weighting="SIF"), 2**20
    reviews = corpus("strip")
    train = ngrams.Reviews({"strip": reviews.tokens["strip"].rows(np.array([0, 1]))})
    feature_map = ngrams.NgramMap(
        [config], ngrams.count([config], train, np.zeros(2, np.int64), features), POSITIVE[:2], features
    )
    counts = ngrams.count([config], reviews, np.zeros(5, np.int64), features)
    norms = np.linalg.norm(feature_map.matrix(counts, np.zeros(5, np.int64)).toarray(), axis=1)
    assert norms[:2] == pytest.approx(1)
    assert (norms[2:4] < 0.999).all()


def test_a_review_of_stop_words_has_no_features_and_still_gets_a_prediction() -> None:
    ids, ends, vocabulary = encode(["the and of", "good film", "bad film"], "strip")
    reviews = ngrams.Reviews({"strip": ngrams.Tokens(ids, ends, lowered(vocabulary))})
    model = NgramSvm([configuration(stop_words=True, final="normalise")])
    part = Part(reviews, np.array([0, 1, 0]))
    predictions = model.fit(part, np.zeros(3, np.int64), 256, 1, "hinge").predict(part, np.zeros(3, np.int64))
    assert np.isfinite(predictions.loss).all()
    assert predictions.correct[1]


def test_rows_and_joins_of_tokens_have_exactly_their_reviews() -> None:
    tokens = corpus("split").tokens["split"]
    pair, single = tokens.rows(np.array([3, 0])), tokens.rows(np.array([4]))
    joined = pair.joined(single)
    for position, review in enumerate([3, 0, 4]):
        actual, _ = joined.of(np.array([position]), lower=True, stop_words=False)
        expected, _ = tokens.of(np.array([review]), lower=True, stop_words=False)
        assert actual.tolist() == expected.tolist()
    assert len(pair._ids) < len(tokens._ids)


# The support vector machine


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_the_machine_is_scikit_learns_linear_svc(loss: str) -> None:
    from scipy.sparse import csr_array

    features = csr_array(np.abs(RNG.standard_normal((60, 40))) * (RNG.random((60, 40)) < 0.3))
    signs = np.sign(RNG.standard_normal(60))
    plane = svm.fit(features, signs, loss, seed=2**40 + 5)
    model = LinearSVC(loss=loss, dual=True, C=1.0, tol=1e-5, random_state=5).fit(features, signs)
    assert plane.weights == pytest.approx(model.coef_[0], abs=1e-12)
    assert plane.intercept == pytest.approx(model.intercept_[0], abs=1e-12)
    below = np.maximum(0, 1 - signs * model.decision_function(features))
    assert plane.objective == pytest.approx(
        (plane.weights @ plane.weights + plane.intercept**2) / 2 + (below if loss == "hinge" else below**2).sum()
    )
    for _ in range(20):  # nothing nearby is better
        moved = plane.weights + 0.01 * RNG.standard_normal(40)
        worse = (moved @ moved + plane.intercept**2) / 2 + svm.losses(features @ moved + plane.intercept, signs, loss).sum()
        assert worse > plane.objective


def test_ridge_on_fourier_features_learns_what_a_kernel_can() -> None:
    labels = (RNG.random(300) < 0.5).astype(np.int64)
    pixels = np.where(labels[:, None], 170, 80) + RNG.integers(-60, 60, (300, 12))
    points = Images(pixels.astype(np.uint8).reshape(300, 3, 2, 2), 255)
    maps = FourierRidge([fourier.Configuration("standardise", "gaussian", 0.05)], 2)
    model = maps.fit(Part(points, labels), np.zeros(300, np.int64), 200, 1, "hinge")
    predictions = model.predict(Part(points, labels), np.zeros(300, np.int64))
    assert predictions.correct.mean() > 0.95
    assert predictions.loss.shape == (300,)
