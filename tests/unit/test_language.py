"""The words that the language rules of CONTRIBUTING.md rule out, in code and documents."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = (
    "told",
    "anew",
    "beside",
    "hence",
    "so many",
    "where none",
    "of its own",
    "what is left",
    "vouches",
    "thereof",
    "lest",
    "whatever",
    "mended",
)
NAMES = {"one", "found", "kept", "these", "those", "told", "given", "whole", "thing"}
QUOTED = {
    "CONTRIBUTING.md",  # lists the words
    "tests/unit/test_language.py",
    "reports/published.csv",  # the papers' words
    "reports/references.bib",
}
PATTERN = re.compile(r"\b(?:" + "|".join(word.replace(" ", r"\s+") for word in WORDS) + r")\b", re.IGNORECASE)


def tracked(*suffixes: str) -> Iterator[Path]:
    """Yield the files of the project that people write."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    for name in listing.stdout.splitlines():
        excluded = name in QUOTED or name.startswith("docs/results/")
        if name.endswith(suffixes) and not excluded and (ROOT / name).exists():
            yield ROOT / name


def stored(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of every variable, argument and attribute that a file defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def test_no_archaic_word_is_in_code_or_documents() -> None:
    places = []
    for file in tracked(".py", ".md", ".toml", ".ini", ".yml", ".yaml", ".c"):
        text = file.read_text()
        for match in PATTERN.finditer(text):
            places.append(f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}")
    assert not places, f"{len(places)} places\n" + "\n".join(places)


def test_variables_name_their_content() -> None:
    places = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in tracked(".py")
        for line, name in stored(ast.parse(file.read_text()))
        if name in NAMES
    ]
    assert not places, f"{len(places)} places\n" + "\n".join(places)


def test_the_words_are_looked_for() -> None:
    assert [match[0] for match in PATTERN.finditer("It is told; so\nmany. A sorted list of its own; besides, hold on.")] == [
        "told",
        "so\nmany",
        "of its own",
    ]
    code = "def f(one): found = [kept for kept in one]; self.these = found; return those"
    assert {name for _, name in stored(ast.parse(code))} & NAMES == {"one", "found", "kept", "these"}


def entries() -> list[str]:
    return re.findall(r"^\* \*\*(.+?)\*\*: ", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)


def test_the_glossary_is_short_and_sorted() -> None:
    assert 0 < len(entries()) <= 40
    assert entries() == sorted(entries(), key=str.lower)
    lines = [line for line in (ROOT / "docs" / "glossary.md").read_text().splitlines() if line.startswith("* ")]
    assert len(lines) == len(entries()) and all(line.endswith(".") for line in lines)
