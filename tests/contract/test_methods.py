"""Every registered method keeps the contract, and the checks notice one that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import registry
from harness.conformance import check

METHODS = registry.methods()


@pytest.mark.parametrize("name", METHODS)
def test_keeps_the_contract(name: str) -> None:
    broken = {claim: problem for claim, problem in check(METHODS[name]) if problem}
    assert not broken


@pytest.mark.parametrize("name", METHODS)
def test_every_row_is_distinct_and_named_after_the_file(name: str) -> None:
    info = METHODS[name]
    assert info.file.stem == name
    assert len(set(info.rows)) == len(info.rows)
    assert all(row == name or row.startswith(f"{name}:") for row in info.rows)


BROKEN = {
    "global_rng": ("import random\n", "while True: view.query(view.space.sample(random))", "global generator"),
    "silent": ("", "pass", "asked nothing"),
    "swallows": (
        "",
        "while True:\n            try: view.query(view.space.sample(view.rng))\n            except BaseException: break",
        "",
    ),
    "nonsense": ("", "view.query(view.space.sample(view.rng)); return (9, 9)", "not an architecture"),
    "deaf": ("", "for _ in range(3): view.query((0, 0, 0, 0))", "another seed makes no difference"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_method_is_told_what_it_breaks(name: str, tmp_path: Path) -> None:
    imports, body, expected = BROKEN[name]
    file = tmp_path / f"{name}.py"
    file.write_text(
        f"from dataclasses import dataclass\n{imports}\n@dataclass(frozen=True)\nclass M:\n    '''A method.'''\n"
        f"    reference = 'none'\n    def search(self, view):\n        {body}\n"
    )
    problems = [problem for _, problem in check(registry.method(str(file))) if problem]
    if expected:
        assert any(expected in problem for problem in problems)
    else:
        assert not problems  # odd, but within the contract


def test_an_undocumented_hyperparameter_breaks_it(tmp_path: Path) -> None:
    file = tmp_path / "bare.py"
    file.write_text(
        "from dataclasses import dataclass\n@dataclass\nclass M:\n    k: int = 3\n"
        "    def search(self, view):\n        while True: view.query(view.space.sample(view.rng))\n"
    )
    problems = " ".join(problem for _, problem in check(registry.method(str(file))))
    assert "no `reference`" in problems
    assert "frozen" in problems
