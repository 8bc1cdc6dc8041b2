"""Find methods and benchmarks by name, lazily: by file in a checkout, by entry point in outside packages."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.util
import re
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from harness import hyperparameters
from harness.errors import UserError
from harness.method import Method, MethodInfo
from harness.packages import PROJECT
from harness.problem import Benchmark

METHOD_GROUP = "nas_harness.methods"
BENCHMARK_GROUP = "nas_harness.benchmarks"


@cache
def methods() -> dict[str, MethodInfo]:
    """Return every method of the checkout and of installed packages, by name. Skips broken ones. Imports no torch."""
    known: dict[str, MethodInfo] = {}
    for file in sorted((PROJECT / "methods").glob("*/*.py")):
        if not file.name.startswith("_"):
            with _skipped_if_broken(str(file)):
                module = importlib.import_module(f"methods.{file.parent.name}.{file.stem}")
                known[file.stem] = _info(module, file.stem, _kind(file.parent), file, file.stem)
    for point in entry_points(group=METHOD_GROUP):
        with _skipped_if_broken(f"method {point.name!r} of {_distribution(point)}"):
            if point.name in known:
                raise UserError(f"the name is taken by {known[point.name].file}")
            loaded = point.load()
            module = loaded if isinstance(loaded, types.ModuleType) else sys.modules[loaded.__module__]
            known[point.name] = _info(module, point.name, "multi-trial", Path(str(module.__file__)), point.name)
    return known


@contextmanager
def _skipped_if_broken(what: str) -> Iterator[None]:
    """Report an error of one file and skip the file, so that the remaining files stay usable."""
    try:
        yield
    except (Exception, SystemExit) as error:
        reason = f": {error}" if isinstance(error, UserError) else f" cannot be imported: {in_a_line(error)}"
        print(f"left out: {what}{reason}", file=sys.stderr)


def in_a_line(error: BaseException) -> str:
    """Return an exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _kind(folder: Path) -> str:
    return folder.name.replace("_", "-")


@cache
def kinds() -> list[str]:
    """Return the kinds of method that the project has: the folders of its methods."""
    return [_kind(folder) for folder in sorted((PROJECT / "methods").iterdir()) if (folder / "__init__.py").is_file()]


def method(reference: str) -> MethodInfo:
    """Return the method of that name, or in that file (``./my_method.py``). Raises :class:`UserError`."""
    known = methods()
    if reference.endswith(".py"):
        file = Path(reference).resolve()
        if file.stem in known and file != known[file.stem].file.resolve():
            raise UserError(f"{file} has the name of a registered method, {file.stem!r}; rename the file")
        return known[file.stem] if file.stem in known else _method_from_file(str(file))
    if reference not in known:
        path = reference + ".py"
        hint = f"; did you mean '{path if '/' in path else './' + path}'?" if Path(path).is_file() else ""
        hint = hint or suggest(reference, known)
        raise UserError(f"no method {reference!r}{hint}   (--list shows all)")
    return known[reference]


@cache
def _method_from_file(path: str) -> MethodInfo:
    file = Path(path)
    if not file.is_file():
        raise UserError(f"no method file {path}")
    if wrong := re.search(r"[^\w.-]", file.stem):
        raise UserError(f"{path}: a method has its file's name, which may not contain {wrong[0]!r}; rename the file")
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))  # a helper next to the file can be imported, and replaces nothing
    spec = importlib.util.spec_from_file_location(f"nas_harness_file_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(f"{path} cannot be imported: {in_a_line(error)}") from error
    return _info(module, file.stem, "multi-trial", file, path)


def _info(module: types.ModuleType, name: str, kind: str, file: Path, reference: str) -> MethodInfo:
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__ and callable(getattr(value, "search", None))
    ]
    if len(own) != 1:
        raise UserError(f"{file} must define one class with a search(view) function; it defines {len(own)}")
    if not dataclasses.is_dataclass(own[0]):
        raise UserError(f"{file}: {own[0].__name__} must be a (frozen) dataclass of its hyperparameters")
    info = MethodInfo.of(own[0], name, kind, file, reference)
    if info.kind not in kinds() and (close := suggest(str(info.kind), kinds())):
        raise UserError(f"{file}: {own[0].__name__} has kind = {info.kind!r}{close}")
    return info


def select_rows(names: Iterable[str], belonging: Mapping[str, list[str]] | None = None) -> dict[str, MethodInfo]:
    """Return the rows for ``method``, ``method:variant`` or ``path/to/file.py`` names, in the order of the names.

    Args:
        belonging: by method, the variants that a name without a variant means; for other methods it means all rows.

    Raises:
        UserError: an unknown name, or two files of the same name.
    """
    selected: dict[str, MethodInfo] = {}
    for name in names:
        reference, variant = _parted(name)
        info = method(reference)
        if variant and f"{info.name}:{variant}" not in info.rows:
            raise UserError(f"no row {name!r}{suggest(name, info.rows)}")
        named = [variant] if variant else (belonging or {}).get(info.name)
        rows = info.rows if named is None else [info.row(variant) for variant in named]
        for row in rows:
            if selected.setdefault(row, info).file != info.file:
                raise UserError(f"{selected[row].file} and {info.file} have the same name; rename one of them")
    return selected


def split(values: Iterable[str]) -> list[str]:
    """Return the names in comma-separated lists. The path of a file may contain commas."""
    names = []
    for value in values:
        parts = value.split(",")
        while parts:
            joined = {n: ",".join(parts[:n]).strip() for n in range(len(parts), 0, -1)}
            n = next((n for n, name in joined.items() if Path(_parted(name)[0]).is_file()), 1)
            names.append(joined[n])
            del parts[:n]
    return [name for name in names if name]


def _parted(name: str) -> tuple[str, str]:
    """Split a name into method and variant: ``reinforce:lr_0.5``, ``./mine.py``, ``./a:b/mine.py:variant``."""
    if name.endswith(".py"):
        return name, ""
    path, is_path, variant = name.rpartition(".py:")
    if is_path:
        return f"{path}.py", variant
    method_name, _, variant = name.partition(":")
    return method_name, variant


def texts_for(info: MethodInfo, row: str, changes: Mapping[str, Mapping[str, str]]) -> tuple[dict[str, str], set[str]]:
    """Return the ``--set`` values for a row, and the names in ``changes`` that mean it: its method, its file, or the row."""
    texts: dict[str, str] = {}
    names = set()
    for name, fields in sorted(changes.items(), key=lambda item: bool(_parted(item[0])[1])):  # names of rows come last
        reference, variant = _parted(name)
        is_file = reference.endswith(".py") and Path(reference).resolve() == info.file.resolve()
        if (reference == info.name or is_file) and variant in ("", row.partition(":")[2]):
            texts |= fields
            names.add(name)
    return texts, names


def altered(info: MethodInfo, row: str, texts: Mapping[str, str]) -> str:
    """Return the name of ``row`` under ``--set`` values: ``reinforce[lr=0.1]``.

    If ``--set`` overrides every field of the variant, the name omits the variant.
    """
    if not texts:
        return row
    name, _, variant = row.partition(":")
    replaced = variant and set(info.variants[variant]) <= set(texts)
    return f"{name if replaced else row}[{', '.join(f'{field}={text}' for field, text in texts.items())}]"


def settings(info: MethodInfo, row: str, space: str, preset: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Return a row's hyperparameters as plain values: defaults, the paper's on ``space``, variant, preset, ``--set``.

    Args:
        preset: values that the protocol sets.
        texts: values from the command line, by field.

    Raises:
        UserError: an unknown field or an impossible value.
    """
    types = hyperparameters.types_of(info.cls)
    values = hyperparameters.defaults(info.cls)
    layers = [info.settings.get(space, {}), info.variant(row), preset, texts]
    for name in (name for layer in layers for name in layer if name not in types):
        raise UserError(f"{row} has no setting {name!r}{suggest(name, types)}")
    values |= {**layers[0], **layers[1]}
    values |= {name: hyperparameters.from_plain(value, types[name], f"{info.name}.{name}") for name, value in preset.items()}
    plain = {name: hyperparameters.to_plain(value, types[name], f"{info.name}.{name}") for name, value in values.items()}
    plain |= {name: hyperparameters.from_text(text, types[name], f"{info.name}.{name}") for name, text in texts.items()}
    for name in types:
        if name not in plain:
            raise UserError(f"{info.name}.{name} has no default: give it one, or pass --set {info.name}.{name}=VALUE")
    build(info, plain)
    return {name: plain[name] for name in types}


def build(info: MethodInfo, values: Mapping[str, Any]) -> Method:
    """Return the method object with plain values. Raises :class:`UserError` if its constructor refuses them."""
    types = hyperparameters.types_of(info.cls)
    arguments = {name: hyperparameters.from_plain(value, types[name], f"{info.name}.{name}") for name, value in values.items()}
    try:
        return info.construct(arguments)
    except Exception as error:
        problem = str(error) if isinstance(error, (ValueError, TypeError)) else f"{type(error).__name__}: {error}"
        raise UserError(f"{info.name}: {problem}") from error


@cache
def benchmarks() -> dict[str, Benchmark]:
    """Return every benchmark by id: of ``benchmarks/*/benchmark.py`` and of installed packages. Opens no data."""
    known: dict[str, Benchmark] = {}
    for file in sorted((PROJECT / "benchmarks").glob("*/benchmark.py")):
        known |= _space(file.parent.name)
    return {**_outside_benchmarks(), **known}


@cache
def _space(folder: str) -> dict[str, Benchmark]:
    """Return the benchmarks of one folder."""
    file = PROJECT / "benchmarks" / folder / "benchmark.py"
    with _skipped_if_broken(str(file)):
        return {each.id: each for each in importlib.import_module(f"benchmarks.{folder}.benchmark").benchmarks()}
    return {}


@cache
def _outside_benchmarks() -> dict[str, Benchmark]:
    """Return the benchmarks of installed packages. Ids that begin like a folder of the project belong to the project."""
    known: dict[str, Benchmark] = {}
    for point in entry_points(group=BENCHMARK_GROUP):
        with _skipped_if_broken(f"benchmarks {point.name!r} of {_distribution(point)}"):
            for each in point.load()():
                space = each.id.partition("/")[0]
                if each.id in known or (PROJECT / "benchmarks" / space / "benchmark.py").is_file():
                    raise UserError(f"the name {each.id!r} is taken; another one must come before the '/'")
                known[each.id] = each
    return known


def benchmark(name: str) -> Benchmark:
    """Return the benchmark with that id. Imports only its search space. Raises :class:`UserError`."""
    space = name.partition("/")[0]
    if (PROJECT / "benchmarks" / space / "benchmark.py").is_file() and name in _space(space):
        return _space(space)[name]
    known = benchmarks()
    if name not in known:
        raise UserError(f"no benchmark {name!r}{suggest(name, known)}   (--list shows all)")
    return known[name]


def spelled(name: str) -> str:
    """Return the known benchmark or space with this name in upper or lower case: ``nb201/ImageNet16-120``; else the name."""
    if name == name.lower():
        return name
    known = {part: None for id in benchmarks() for part in (id, id.partition("/")[0])}
    return name if name in known else next((each for each in known if each.lower() == name.lower()), name)


def matching(name: str) -> list[str]:
    """Return the id of the benchmark, or the ids of a search space (``nb201``). Raises :class:`UserError`."""
    return [id for id in benchmarks() if id.startswith(f"{name}/")] or [benchmark(name).id]


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?``, or an empty string if no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
