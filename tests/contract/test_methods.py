"""Every registered method keeps the contract, and the checks notice a method that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import registry
from harness.testing import searches
from harness.testing.method_claims import check
from harness.testing.searches import spawned

METHODS = registry.methods()


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "conas")) for name in METHODS])
def test_keeps_the_contract(name: str) -> None:
    broken = {claim: problem for claim, problem, _ in check(METHODS[name]) if problem}
    assert not broken


@pytest.mark.parametrize("name", METHODS)
def test_every_row_is_distinct_and_named_after_the_file(name: str) -> None:
    info = METHODS[name]
    assert info.file.stem == name
    assert len(set(info.rows)) == len(info.rows)
    assert all(row == name or row.startswith(f"{name}:") for row in info.rows)


BROKEN = {
    "global_rng": ("import random\n", "while True: view.query(view.space.sample(random))", "global generator"),
    "silent": ("", "pass", "made no query"),
    "swallows": (
        "",
        "while True:\n            try: view.query(view.space.sample(view.rng))\n            except BaseException: break",
        "",
    ),
    "nonsense": ("", "view.query(view.space.sample(view.rng)); return (9, 9)", "not an architecture"),
    "deaf": ("", "for _ in range(3): view.query((0, 0, 0, 0))", "another seed makes no difference"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_check_says_what_a_broken_method_breaks(name: str, tmp_path: Path) -> None:
    imports, body, expected = BROKEN[name]
    file = tmp_path / f"{name}.py"
    file.write_text(
        f"from dataclasses import dataclass\n{imports}\n@dataclass(frozen=True)\nclass M:\n    '''A method.'''\n"
        f"    reference = 'none'\n    def search(self, view):\n        {body}\n"
    )
    problems = [problem for _, problem, _ in check(registry.method(str(file))) if problem]
    if expected:
        assert any(expected in problem for problem in problems)
    else:
        assert not problems  # unusual, but within the contract


def test_an_undocumented_hyperparameter_breaks_it(tmp_path: Path) -> None:
    file = tmp_path / "bare.py"
    file.write_text(
        "from dataclasses import dataclass\n@dataclass\nclass M:\n    k: int = 3\n"
        "    def search(self, view):\n        while True: view.query(view.space.sample(view.rng))\n"
    )
    problems = " ".join(problem for _, problem, _ in check(registry.method(str(file))))
    assert "no `reference`" in problems
    assert "frozen" in problems


HEAD = (
    "from dataclasses import dataclass\n{imports}\n"
    "@dataclass(frozen=True)\nclass M:\n    '''A method.'''\n    reference = 'none'\n"
)

SHARING = {
    "sharing_undeclared": ("", "view.task", 'add kind = "one-shot" to its class'),
    "sharing_idle": ("    kind = 'one-shot'\n", "view.propose((0, 0, 0))", "it trained nothing"),
    "sharing_typo": ("    kind = 'one-shot'\n", "list(view.task.batches('training', 8, 0))", "KeyError: 'training'"),
    "sharing_global": (
        "    kind = 'one-shot'\n    proposes = 'self'\n",
        "import torch; view.task.supernet()(view.task.plain('train', 8, 0)[0]); view.propose((0, 0, 0)); "
        "view.log(draw=torch.rand(1).item())",
        "draws from a global generator",
    ),
    "sharing_dtype": (
        "    kind = 'one-shot'\n    proposes = 'self'\n",
        "import torch; view.task.supernet()(view.task.plain('train', 8, 0)[0]); view.propose((0, 0, 0)); "
        "torch.set_grad_enabled(False)",
        "it changed whether torch computes gradients",
    ),
    "sharing_swallows": (
        "    kind = 'one-shot'\n    proposes = 'self'\n",
        "s = view.task.supernet(); view.propose((0, 0, 0))\n        for _ in range(9):\n"
        "            try: s(view.task.plain('train', 24, 0)[0])\n            except BaseException: pass",
        "after BudgetExhausted",
    ),
}


@pytest.mark.parametrize("name", SHARING)
def test_the_check_says_what_a_broken_weight_sharing_method_breaks(name: str, tmp_path: Path) -> None:
    attributes, body, expected = SHARING[name]
    file = tmp_path / f"{name}.py"
    file.write_text(HEAD.format(imports="") + attributes + f"    def search(self, view):\n        {body}\n")
    problems = [problem for _, problem, _ in check(registry.method(str(file))) if problem]
    assert any(expected in problem for problem in problems), problems


def test_an_order_that_depends_on_the_process_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "of_a_set.py"
    body = "for word in {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}: view.query((ord(word) % 4, 0, 0, ord(word) % 3))"
    file.write_text(HEAD.format(imports="") + f"    def search(self, view):\n        {body}\n")
    problems = {claim.text: claim.problem for claim in check(registry.method(str(file)), again=spawned)}
    assert any("an order depends on the process" in problem for problem in problems.values())


def test_a_search_that_does_not_return_ends_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "LIMIT_S", 0.3)
    file = tmp_path / "never_ends.py"
    file.write_text(HEAD.format(imports="import time") + "    def search(self, view):\n        time.sleep(99)\n")
    *_, last = check(registry.method(str(file)))
    assert "was still busy after 0.3 s" in last.problem


@pytest.mark.parametrize(
    ("name", "reason"), [("pc_darts", "needs a choice of partial"), ("sweep", "for which there is no toy")]
)
def test_unchecked_claims_are_listed(name: str, reason: str) -> None:
    unchecked = [claim for claim in check(METHODS[name]) if not claim.checked]
    assert unchecked and all(reason in claim.text for claim in unchecked)
