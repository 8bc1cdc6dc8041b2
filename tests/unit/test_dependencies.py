"""What is imported is declared, what is declared is imported, and the files of exact versions agree with pyproject.toml."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = ("harness", "methods", "benchmarks", "reports")
SUITES = ROOT / "harness" / "testing" / "suites"
MODULES = {
    "nas-bench-201": "nas_201_api",
    "nats-bench": "nats_bench",
    "pillow": "PIL",
    "scikit-learn": "sklearn",
}
"""Module of a distribution, if it is not the distribution's name."""
TOOLS = {"mypy", "pandas-stubs", "pytest-benchmark", "pytest-xdist", "ruff", "tox"}
"""Development tools: commands, plugins and stubs, which nothing imports."""


def declared(requirements: list[str]) -> dict[str, str]:
    """Return the lowest version of each distribution."""
    lowest = {}
    for text in requirements:
        match = re.fullmatch(r"([\w-]+)>=([\d.]+)", text)
        assert match is not None, text
        lowest[match[1]] = match[2]
    return lowest


CORE = declared(PROJECT["dependencies"])
EXTRAS = {name: declared(texts) for name, texts in PROJECT["optional-dependencies"].items()}
CLUSTERS = EXTRAS["ray"] | EXTRAS["slurm"]


def modules(distributions: dict[str, str]) -> set[str]:
    return {MODULES.get(name, name) for name in distributions}


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imported(file: Path) -> set[str]:
    """Return the top-level modules from outside that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {*OURS, "tests"}


def texts(file: Path) -> set[str]:
    """Return the texts of a file that may be the name of a module: official packages are imported by name."""
    nodes = ast.walk(ast.parse(file.read_text()))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_import_is_declared() -> None:
    admitted = modules(CORE) | modules(CLUSTERS)
    for file in files(*OURS):
        more = modules(EXTRAS["testing"]) if file.is_relative_to(SUITES) else set()
        assert imported(file) <= admitted | more, file
    for file in files("tests"):
        assert imported(file) <= admitted | modules(EXTRAS["dev"]), file


def test_everything_declared_is_imported() -> None:
    sources, tests = list(files(*OURS)), list(files("tests"))
    used = {name for file in sources for name in imported(file) | texts(file)}
    assert modules(CORE) <= used
    assert modules(CLUSTERS) <= used
    assert modules(EXTRAS["testing"]) <= {name for file in files("harness/testing/suites") for name in imported(file)}
    in_tests = {name for file in tests for name in imported(file)}
    assert modules(EXTRAS["dev"]) - TOOLS <= in_tests
    assert EXTRAS["testing"].items() <= EXTRAS["dev"].items()


def pinned(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def test_exact_versions_are_of_declared_distributions() -> None:
    everything = CORE | CLUSTERS | EXTRAS["dev"]
    assert set(pinned("constraints.txt")) == set(everything)


def test_the_lowest_versions_are_those_that_are_declared() -> None:
    everything = CORE | EXTRAS["dev"]
    lowest = pinned("constraints-lowest.txt")
    assert set(lowest) == set(everything) - (TOOLS - {"pytest-benchmark", "pytest-xdist"})
    for name, version in lowest.items():
        bound = everything[name].split(".")
        assert version.split(".")[: len(bound)] == bound, name
