"""Imports: one way between the packages, no circles of files, and nothing heavy for a list or a plan."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.nb201.library import LIBRARY
from harness import registry


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_listing_and_planning_import_nothing_heavy(made: Path) -> None:
    LIBRARY.find_table(print)  # a table that lies there but is not imported yet is looked into, once
    heavy = {"torch", "pandas", "pyarrow", "sklearn", "matplotlib", "scipy", "ray", "submitit", "nas_201_api", "nats_bench"}
    assert not heavy & loaded_by("from harness import show; show.everything()")
    assert not heavy & loaded_by("import harness.execute, harness.engine, harness.store, harness.sweep")
    rows = "methods=['random_search', 'bohb', 'reinforce', 'local_search', 'regularized_evolution']"
    plan = f"from harness.plan import make; from harness.protocols import protocol; make(protocol('nb201-2020'), {rows})"
    assert not {"pydantic", "torch", "pandas"} & loaded_by(plan), "pydantic is for settings that are not simple"


def test_numbers_are_apart_from_pages() -> None:
    root = Path(registry.__file__).parent
    analysis = [f"harness.analysis.{file.stem}" for file in (root / "analysis").glob("*.py")]
    loaded = loaded_by(f"import {', '.join(analysis)}")
    assert not {"matplotlib", "jinja2", "torch", "reports", "harness.store", "harness.errors"} & loaded
    assert "harness.analysis.claims" in loaded, "the modules are imported"
    assert "reports" not in loaded_by("import harness.frames, harness.results"), "evidence needs no page"


def test_a_benchmark_imports_its_own_space_alone() -> None:
    modules = loaded_by("from harness import registry; registry.benchmark('nb201/digits')")
    assert not [name for name in modules if name.startswith(("benchmarks.darts", "benchmarks.nb1shot1", "benchmarks.feature"))]


def test_imports_point_one_way() -> None:
    root = Path(registry.__file__).parents[1]
    contracts = {"harness.delivery", "harness.errors", "harness.problem", "harness.space", "harness.training", "harness.view"}
    allowed = {
        "methods": {*contracts, "harness.budget", "harness.schedule", "harness.weight_sharing", "methods"},
        "benchmarks": {
            *contracts,
            "harness.budget",
            "harness.cache",
            "harness.choice",
            "harness.command",
            "harness.device",
            "harness.library",
            "harness.graphs",
            "harness.look",
            "harness.machine",
            "harness.safe_file",
            "harness.seeds",
            "harness.tables",
            "harness.unpickle",
            "harness.weight_sharing",
            "benchmarks",
        },
        "harness/analysis": {"harness.analysis"},
        "reports": {"reports", "harness.analysis"},
        "harness": {"harness", "reports", "benchmarks", "methods"},
    }
    for package, permitted in allowed.items():
        for file in sorted((root / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                names = []
                if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                    names = [node.module]
                elif isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                for name in names:
                    if name.split(".")[0] in allowed:
                        assert any(name == module or name.startswith(f"{module}.") for module in permitted), (
                            f"{file}: imports {name}"
                        )
    statically = {
        name
        for file in (root / "harness").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        if name.split(".")[0] in ("methods", "benchmarks")
    }
    assert not statically, "the harness finds methods and benchmarks, it does not name them"


def imports_of(file: Path) -> list[str]:
    """Return the modules that a source file imports, those inside functions and under TYPE_CHECKING too."""
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            names += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return names


def test_nothing_outside_the_workshop_imports_it_and_spaces_do_not_import_each_other() -> None:
    root = Path(registry.__file__).parents[1]
    workshop = "benchmarks.digits_tables"
    spaces = {file.parent.name for file in (root / "benchmarks").glob("*/benchmark.py")}
    assert {"nb201", "nb1shot1", "darts", "feature_maps"} <= spaces
    for package in ("harness", "methods", "benchmarks", "reports"):
        for file in sorted((root / package).rglob("*.py")):
            folder = file.relative_to(root).parts[1]
            if f"{package}.{folder}" == workshop:
                continue
            other_spaces = {f"benchmarks.{space}" for space in spaces if package != "benchmarks" or space != folder}
            for name in imports_of(file):
                assert not f"{name}.".startswith(f"{workshop}."), f"{file}: imports {name}"
                if package == "benchmarks":
                    assert not any(f"{name}.".startswith(f"{space}.") for space in other_spaces), f"{file}: imports {name}"


def modules() -> dict[str, Path]:
    """Return the modules of the four packages, with their files."""
    root = Path(registry.__file__).parents[1]
    files = (file for package in ("harness", "methods", "benchmarks", "reports") for file in (root / package).rglob("*.py"))
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def executed(statements: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that Python executes when it imports a file: none of functions, none under TYPE_CHECKING."""
    for node in statements:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from executed(node.orelse)
        elif isinstance(node, (ast.If, ast.Try, ast.With, ast.ClassDef)):
            yield from executed(node.body)


def test_no_files_import_each_other_in_a_circle() -> None:
    known = modules()
    arrows: dict[str, set[str]] = {}
    for module, file in known.items():
        names = set()
        for node in executed(ast.parse(file.read_text()).body):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            else:
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
                names |= {node.module or ""} - {name.rpartition(".")[0] for name in names if name in known}
        arrows[module] = {name for name in names if name in known and name != module}
    assert arrows["harness.store.merging"] >= {"harness.store"}, "the imports are read"
    while leaves := {module for module, targets in arrows.items() if not targets & arrows.keys()}:
        arrows = {module: targets for module, targets in arrows.items() if module not in leaves}
    assert not arrows, f"circles among {sorted(arrows)}"
