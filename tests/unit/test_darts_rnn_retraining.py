"""Trainings of recurrent cells from scratch: they learn, resume, average, choose by validation, and survive a loss of NaN."""

from __future__ import annotations

import dataclasses
import io
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from benchmarks.darts_rnn.blocks import Block, Lengths
from benchmarks.darts_rnn.published import published
from benchmarks.darts_rnn.recipe import Recipe, recipe, recipes
from benchmarks.darts_rnn.retrainer import Retrainer
from benchmarks.darts_rnn.retraining import HISTORY, Retraining
from benchmarks.darts_rnn.size import model_size
from harness.device import REDUCED
from harness.errors import UserError
from tests import made_ptb

ARCH = published()["DARTS_V1"]
TINY = Recipe(
    "tiny", "", 6, 8, 8, lr=5.0, length=12, dropoutx=0.1, dropout=0.1, dropouti=0.1, valid_streams=8, test_streams=8, patience=2
)


def training(how: Recipe = TINY, seed: int = 0) -> Retraining:
    return Retraining(ARCH, how, made_ptb.CORPUS, seed)


def outcome(run: Retraining) -> tuple[object, ...]:
    curve = [{key: value for key, value in line.items() if key != "seconds"} for line in run.lines]
    return curve, [value.tolist() for value in run.model.parameters()]


def test_a_resumed_training_equals_an_uninterrupted_one_also_in_averaged_sgd() -> None:
    first = training()
    states: list[bytes] = []
    first.optimizer = first._optimizer(True)
    first.run(states.append, until=3)
    again = training()
    again.load(states[1])
    again.run(until=3)
    assert outcome(again) == outcome(first) and again.averaged
    assert again.final("test") == first.final("test")
    with pytest.raises(UserError, match="of another cell, recipe, data set or seed"):
        training(seed=1).load(states[1])


def test_a_training_has_the_precision_of_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products are rounded to bfloat16 where the device says so; states, weights, the loss and evaluations are float32."""
    exact, rounded = training(), training()
    exact.run(until=2)
    monkeypatch.setitem(REDUCED, "cpu", torch.bfloat16)
    rounded.run(until=2)
    assert {value.dtype for value in rounded.model.parameters()} == {torch.float32}
    for name in ("train_loss", "valid_loss"):
        losses = [[line[name] for line in run.lines] for run in (rounded, exact)]
        assert losses[0] == pytest.approx(losses[1], rel=0.02) and losses[0] != losses[1]
    score = rounded.evaluate()
    monkeypatch.delitem(REDUCED, "cpu")
    assert rounded.evaluate() == score


def test_a_training_learns_the_text_and_reports_its_best_epoch() -> None:
    run = training()
    run.run(until=3)
    perplexities = [line["valid_perplexity"] for line in run.lines]
    assert min(perplexities) < 0.6 * made_ptb.WORDS
    assert set(run.lines[0]) == set(HISTORY)
    assert run.final("valid").loss == min(line["valid_loss"] for line in run.lines)
    assert math.exp(run.final("test").loss) == pytest.approx(min(perplexities), rel=0.2)


def test_weights_and_dropouts_depend_on_the_seed() -> None:
    a, b = training(seed=0), training(seed=1)
    assert not torch.equal(a.model.embedding, b.model.embedding)
    for run in (a, b):
        run.run(until=1)
    assert a.lines[0]["train_loss"] != b.lines[0]["train_loss"]


def test_averaged_sgd_evaluates_the_mean_of_its_iterates_and_trains_on_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    run = training()
    run.run(until=1)
    run.optimizer = run._optimizer(True)
    iterates = []
    step = torch.optim.ASGD.step

    def watched(self: torch.optim.ASGD) -> None:
        step(self)
        iterates.append(torch.cat([value.detach().flatten().clone() for value in run.model.parameters()]))

    monkeypatch.setattr(torch.optim.ASGD, "step", watched)
    run.train_epoch()
    means = torch.cat([value.flatten() for value in run._means()])
    assert len(iterates) > 20
    torch.testing.assert_close(means, torch.stack(iterates[1:]).mean(0), atol=1e-6, rtol=1e-4)
    present = torch.cat([value.detach().flatten() for value in run.model.parameters()])
    assert torch.equal(present, iterates[-1]) and not torch.allclose(present, means)


def test_sgd_becomes_averaged_once_validation_no_longer_improves(monkeypatch: pytest.MonkeyPatch) -> None:
    run, losses = training(), iter([3.0, 2.0, 2.1, 2.2, 2.05, 2.3])
    monkeypatch.setattr(run, "_pass", lambda watch: 1.0)
    score = run.evaluate()
    monkeypatch.setattr(run, "evaluate", lambda: score._replace(loss=next(losses)))
    changed = []
    for _ in range(6):
        run.train_epoch()
        changed.append(run.averaged)
    # before epoch 5, two losses (3.0, 2.0) are older than the last two, and 2.05 exceeds 2.0
    assert changed == [False, False, False, False, True, True]
    assert [line["averaged"] for line in run.lines] == [0, 0, 0, 0, 0, 1]


def test_a_loss_that_is_not_finite_returns_to_the_best_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    run = training()
    run.run(until=2)
    best = run.best
    assert best is not None
    with torch.no_grad():
        run.model.shift.fill_(math.nan)
    run.train_epoch()
    assert run.rolled_back == 1 and run.epoch == best["epoch"]
    assert all(torch.equal(run.model.state_dict()[name], value) for name, value in best["network"].items())
    run.run(until=3)
    assert run.epoch == 3 and math.isfinite(run.lines[-1]["valid_loss"])
    monkeypatch.setattr(run, "_pass", lambda watch: math.nan)
    with pytest.raises(FloatingPointError, match=r"not finite in epoch \d+, after 10 rollbacks"):
        for _ in range(20):
            run.train_epoch()


def test_a_snapshot_is_not_changed_by_later_steps() -> None:
    run = training()
    run.optimizer = run._optimizer(True)
    run.train_epoch()
    assert run.best is not None
    network = {name: value.clone() for name, value in run.best["network"].items()}
    state = torch.load(io.BytesIO(run.best["optimizer"]), weights_only=True)
    loss, run.best["loss"] = run.best["loss"], -1.0
    run.train_epoch()
    assert loss > 0 and all(torch.equal(network[name], value) for name, value in run.best["network"].items())
    again = torch.load(io.BytesIO(run.best["optimizer"]), weights_only=True)
    assert torch.equal(state["state"][0]["ax"], again["state"][0]["ax"])


def test_a_step_has_the_rate_of_the_length_of_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two blocks of 6 of 12 rows: half the rate, the gradient of cross entropy and slowness, clipped, plus weight decay."""
    how = dataclasses.replace(TINY, dropoutx=0.0, dropout=0.0, dropouti=0.0, dropouth=0.0, dropoute=0.0, weight_decay=0.01)
    run, other = training(how), training(how)
    monkeypatch.setattr(Lengths, "blocks", lambda *_: iter([Block(0, 6, 0.5), Block(6, 6, 0.5)]))
    run.train_epoch()
    hidden = torch.zeros(8, 8)
    for start in (0, 6):
        outputs = other.model.outputs(other.train_rows[start : start + 6], hidden, other.step)
        hidden = outputs[-1].detach()
        loss = F.cross_entropy(other.model.decode(outputs).flatten(0, 1), other.train_rows[start + 1 : start + 7].flatten())
        loss = loss + 1e-3 * (outputs[1:] - outputs[:-1]).pow(2).mean()
        values = list(other.model.parameters())
        gradients = torch.autograd.grad(loss, values)
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
        with torch.no_grad():
            for value, gradient in zip(values, gradients, strict=True):
                value.sub_(5.0 * 0.5 * (gradient * min(1.0, 0.25 / (norm + 1e-6)) + 0.01 * value))
    for value, expected in zip(run.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-5)


def test_the_recipes_are_those_of_the_papers() -> None:
    assert recipe("rnn_darts") == Recipe("rnn_darts", recipe("rnn_darts").about)
    assert (recipe("rnn_darts").epochs, recipe("rnn_sparse_nas").epochs, recipe("rnn_short").epochs) == (8000, 4000, 300)
    assert len({how.digest for how in recipes().values()}) == len(recipes())
    with pytest.raises(UserError, match="did you mean 'rnn_small'"):
        recipe("rnn_smal")
    with pytest.raises(UserError, match="dropout = 1 must be in"):
        Recipe(dropout=1)
    with pytest.raises(UserError, match="lr = 0 must be above zero"):
        Recipe(lr=0)


def test_the_retrainer_resumes_and_reports_loss_and_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_ptb.show(tmp_path, monkeypatch)
    retrainer = Retrainer("ptb")
    monkeypatch.setattr("benchmarks.darts_rnn.retrainer.recipe", lambda name: dataclasses.replace(TINY, epochs=2))
    settings = retrainer.describe("tiny", "test")
    assert settings["images"].startswith("Penn Treebank, ") and f"of {made_ptb.WORDS} types" in settings["images"]
    states: list[bytes] = []
    trained = retrainer.train(ARCH, settings, 3, "cpu", None, states.append, lambda share: None)
    again = retrainer.train(ARCH, settings, 3, "cpu", states[0], lambda state: None, lambda share: None)
    assert (again.loss, again.accuracy) == (trained.loss, trained.accuracy)
    assert trained.parameters == model_size(ARCH, 8, made_ptb.WORDS).parameters
    assert trained.spent["epochs"] == 2 and len(trained.curve["valid_perplexity"]) == 2
    valid = retrainer.train(ARCH, {**settings, "split": "valid"}, 3, "cpu", states[1], states.append, lambda share: None)
    assert valid.loss == min(trained.curve["valid_loss"]) and valid.best == max(trained.curve["valid_accuracy"])
    with pytest.raises(UserError, match="split 'both' is not test or valid"):
        retrainer.describe("tiny", "both")
    with pytest.raises(UserError, match="no text 'wikitext'"):
        retrainer.describe("tiny", "test", "wikitext")
    made_ptb.forget()


def test_a_text_that_is_too_short_is_refused() -> None:
    with pytest.raises(UserError, match=r"recipe tiny on invented text, train: \d+ tokens are too few for 5000 streams"):
        training(dataclasses.replace(TINY, streams=5000))
