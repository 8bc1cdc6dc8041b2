"""Methods of users under a budget that schedules fit: what each ends as, and with which reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness import protocols
from harness.execute import execute
from harness.outcome import Result
from harness.plan import make

pytestmark = [pytest.mark.usefixtures("made"), pytest.mark.slow]

METHOD = """
from dataclasses import dataclass

import torch.nn.functional as F

from harness.budget import BudgetExhausted


@dataclass(frozen=True)
class M:
    '''Trains the whole supernet, and proposes a random cell.'''

    kind = "one-shot"
    proposes = "self"
    reference = ""

    def search(self, view):
        net = view.task.supernet()

        def train(epoch=0):
            for images, labels in view.task.batches("train", 256, epoch):
                F.cross_entropy(net(images), labels).backward()

        def propose():
            view.propose(view.space.sample(view.rng))

"""


def searched(tmp_path: Path, body: str, budget: str = "epochs=2.5", policy: str = "fit") -> Result:
    """Return the result of a search with this body."""
    file = tmp_path / "mine.py"
    file.write_text(METHOD + "".join(f"        {line}\n" for line in body.splitlines()))
    rules = protocols.protocol("digits").with_budget(budget)
    (row,) = make(rules, methods=[str(file)], benchmarks=["nb201/digits"], seeds=1).rows
    spec = dataclasses.replace(row.spec, budget={**row.spec.budget, "policy": policy})
    return execute(spec, spec.run(0))


CATCHES = "    except BudgetExhausted:\n        pass"
FITTED = "for epoch in view.epochs(9):\n    train(epoch)\n    propose()\n"


@pytest.mark.parametrize(
    ("body", "epochs"),
    [
        (FITTED, 2),
        (FITTED + "train()\npropose()", 2.5),
        ("for epoch in range(9):\n    train(epoch)\n    propose()", 2.5),
        ("propose()\ntrain()", 1),
        ("for epoch in view.epochs(9):\n    propose()\n    try:\n        [train() for _ in range(epoch + 1)]\n" + CATCHES, 2.5),
    ],
    ids=["fits", "trains after its end", "ignores the budget", "ends early", "catches the end"],
)
def test_a_search_that_proposed_is_done_and_never_above_the_limit(tmp_path: Path, body: str, epochs: float) -> None:
    result = searched(tmp_path, body)
    assert (result.status, result.error) == ("done", "")
    assert epochs - 0.26 <= result.spent["epochs"] <= epochs


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("for epoch in view.epochs(0):\n    train()\n    propose()", "a schedule of 0 epochs; it has at least 1"),
        ("for epoch in view.epochs(-3):\n    train()\n    propose()", "a schedule of -3 epochs; it has at least 1"),
        ("for epoch in view.epochs(9):\n    propose()", "an epoch of this search is charged no epochs"),
        ("for epoch in view.epochs(9):\n    epoch or train()\n    propose()", "an epoch of this search is charged no epochs"),
        ("for epoch in view.epochs(9):\n    train()", "ended without proposing"),
    ],
    ids=["no epochs", "negative epochs", "pays nothing", "stops paying", "never proposes"],
)
def test_a_broken_search_fails_with_a_reason(tmp_path: Path, body: str, reason: str) -> None:
    result = searched(tmp_path, body)
    assert result.status == "failed" and reason in result.error


@pytest.mark.parametrize("policy", ["fit", "refuse"])
def test_a_budget_that_ends_before_the_first_proposal_is_too_small(tmp_path: Path, policy: str) -> None:
    result = searched(tmp_path, "train()\ntrain()\ntrain()\npropose()", policy=policy)
    assert (result.status, result.arch, result.scores) == ("too_small", "", {})
    assert result.error == "needs more than 2.75 epochs until its first proposal"


def test_a_budget_below_the_first_charge_says_what_that_is(tmp_path: Path) -> None:
    assert searched(tmp_path, FITTED, "epochs=1e-9").error == "needs more than 0.25 epochs until its first proposal"
    assert searched(tmp_path, FITTED, "seconds=1e-9").status == "too_small"
