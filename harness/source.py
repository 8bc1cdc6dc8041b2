"""Compute the digest of the source that a run executes: the files that are reached by following imports.

Imports are read from the source files; nothing is imported. Followed are:

* the project's own packages ``methods``, ``benchmarks`` and ``harness``;
* modules next to a user's file, the modules of its package, and modules outside the folders of installed distributions.

Installed libraries do not count. An import whose name is computed is not seen.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from harness.packages import PROJECT
from harness.problem import Problem
from harness.training import Retrainer

OURS: Final = ("methods", "benchmarks", "harness")
EXECUTE: Final = Path(__file__).with_name("execute.py")
RETRAIN: Final = Path(__file__).with_name("retrain.py")

NOT_IN_A_RUN: Final = (
    # plan, start, keep and show runs
    *("harness.plan", "harness.protocol", "harness.protocols", "harness.registry", "harness.engine", "harness.command"),
    "harness.store*",
    *("harness.packages", "harness.opening", "harness.hyperparameters", "harness.spec"),
    # find and import official files: the checksum of the imported table or images is part of a run's identity
    *("harness.cache", "harness.library", "harness.unpickle"),
    *("benchmarks.sources.*", "benchmarks.*.library", "benchmarks.images.forms"),
    # open the bundled tables: likewise
    *("benchmarks.bundled.*", "benchmarks.*.digits_bundle"),
)
"""Modules that the executed source imports and that do not change the result of a run."""


class Module(NamedTuple):
    """A source file, and the name by which it is imported."""

    name: str
    file: Path
    root: Path
    """The folder that the name starts from."""


def of_search(method: Path, problem: Problem, kind: str) -> str:
    """Return the digest of the source that a search executes, see :func:`of_files`."""
    return of_files(by_search(method, problem, kind))


def of_training(retrainer: Retrainer) -> str:
    """Return the digest of the source that a training from scratch executes, see :func:`of_files`."""
    return of_files(by_training(retrainer))


def by_search(method: Path, problem: Problem, kind: str) -> dict[str, Path]:
    """Return the source files that a search executes, by module name.

    A benchmark's training side counts for the kinds of method that train. Its trainings from scratch are runs of their own.
    """
    training, retraining = files_of(problem.training), files_of(problem.retraining)
    starts = [*files_of(problem, problem.space, problem.judge), *(() if kind == "multi-trial" else training)]
    return executed(EXECUTE, method, *starts, without={*training, *retraining} - set(starts))


def by_training(retrainer: Retrainer) -> dict[str, Path]:
    """Return the source files that a training from scratch executes, by module name."""
    return executed(RETRAIN, *files_of(retrainer))


def digest(*starts: Path, without: Iterable[Path] = (), project: Path = PROJECT) -> str:
    """Return the digest of the source that the files ``starts`` execute; the arguments are those of :func:`executed`."""
    return of_files(executed(*starts, without=without, project=project))


def of_files(files: Mapping[str, Path]) -> str:
    """Return the SHA-256 of source files by module name. Folders do not count: a copy of the same files has the same digest."""
    total = hashlib.sha256()
    for name, file in sorted(files.items()):
        total.update(name.encode() + b"\0" + _hash(file))
    return total.hexdigest()


def executed(*starts: Path, without: Iterable[Path] = (), project: Path = PROJECT) -> dict[str, Path]:
    """Return the source files that the files ``starts`` execute, by module name.

    Args:
        without: files that are not followed, because this run does not enter them.
        project: the folder of the project's packages.
    """
    closed = {file.resolve() for file in without}
    todo = [_start(start.resolve(), project) for start in starts]
    reached: dict[str, Path] = {}
    while todo:
        module = todo.pop()
        if module.name not in reached and module.file not in closed:
            reached[module.name] = module.file
            todo += _imported(module, project)
    return reached


def files_of(*objects: Any) -> list[Path]:
    """Return the source files that define the given objects, functions or classes; built-in ones have none."""
    files = []
    for value in objects:
        while isinstance(value, functools.partial):
            value = value.func
        file = getattr(sys.modules.get(getattr(value, "__module__", None) or ""), "__file__", None)
        if file and file.endswith(".py"):
            files.append(Path(file).resolve())
    return list(dict.fromkeys(files))


def _start(file: Path, project: Path) -> Module:
    """Return the module of a file where a digest starts. Its package begins at the topmost folder with an ``__init__.py``."""
    root = file.parent
    if any(file.is_relative_to(project / package) for package in OURS):
        root = project
    else:
        while (root / "__init__.py").is_file():
            root = root.parent
    words = file.relative_to(root).with_suffix("").parts
    return Module(".".join(words[:-1] if words[-1] == "__init__" else words), file, root)


@cache
def _hash(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


@cache
def _imported(module: Module, project: Path) -> list[Module]:
    """Return the modules that a module imports, and their packages."""
    names = {name for imported in _imports(module) for name in _with_parents(imported)}
    modules = [_locate(name, module.root, module.name.partition(".")[0], project) for name in sorted(names)]
    return [imported for imported in modules if imported and not _left_out(imported.name)]


@cache
def _left_out(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in NOT_IN_A_RUN)


def _with_parents(name: str) -> list[str]:
    words = name.split(".")
    return [".".join(words[: n + 1]) for n in range(len(words))]


def _imports(module: Module) -> Iterator[str]:
    """Yield the absolute names that a module imports. Some are names of attributes, which have no file."""
    text = module.file.read_bytes()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return  # the import of this file will raise the same error
    package = module.name.split(".")
    if module.file.name != "__init__.py":
        package.pop()
    for node in _statements(tree.body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *(node.module or "").split(".")] if node.module else above
            yield from (".".join([*base, alias.name]) for alias in node.names)
    yield from re.findall(r"import_module\(\s*[\"']([\w.]+)[\"']", text.decode(errors="replace"))


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield all statements, nested ones too, except those that only a type checker reads. Expressions contain no import."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _statements(node.orelse)
            continue
        for name in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, name, ()))
        for inner in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _statements(inner.body)


@cache
def _locate(name: str, root: Path, importer: str, project: Path) -> Module | None:
    """Return the source file of a module; None for an attribute, a module without source, and an installed library."""
    top = name.partition(".")[0]
    if top in OURS:
        return _file(name, project)
    if top in sys.stdlib_module_names:
        return None
    if top == importer or not _installed(root):
        local = _file(name, root)
        if local:
            return local
    elsewhere = _search_path_entry(top)
    return _file(name, elsewhere) if elsewhere and not _installed(elsewhere) else None


@cache
def _search_path_entry(top: str) -> Path | None:
    """Return the folder from which a top-level module would be imported."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin or not spec.has_location:
        return None
    return Path(spec.origin).resolve().parents[1 if spec.submodule_search_locations else 0]


@cache
def _installed(folder: Path) -> bool:
    """Return whether distributions are installed into a folder."""
    return folder.name in ("site-packages", "dist-packages") or any(folder.glob("*.dist-info"))


def _file(name: str, root: Path) -> Module | None:
    place = root.joinpath(*name.split("."))
    for file in (place / "__init__.py", place.parent / f"{place.name}.py"):
        if file.is_file():
            return Module(name, file, root)
    return None
