"""Finds methods and benchmarks by name, lazily: by file in a checkout, by entry point from outside packages."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from harness.problem import Benchmark, UserError

METHOD_GROUP = "nas_harness.methods"
BENCHMARK_GROUP = "nas_harness.benchmarks"


@dataclass(frozen=True)
class MethodInfo:
    """A method that was found: its class, its kind (the folder it lies in), and the file it was read from."""

    name: str
    kind: str
    cls: type
    file: Path
    reference: str
    """How a worker finds the method again: a name, or the path of a file."""

    @property
    def rows(self) -> list[str]:
        """The rows of tables this method fills: ``method``, or one ``method:variant`` for each variant.

        A variant without a name is the row ``method``.
        """
        return [self.row(variant) for variant in getattr(self.cls, "variants", {})] or [self.name]

    def row(self, variant: str) -> str:
        """The row of a variant."""
        return f"{self.name}:{variant}" if variant else self.name

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(self.cls) or "").split("\n")[0]

    @property
    def paper(self) -> str:
        return str(getattr(self.cls, "reference", ""))


@cache
def methods() -> dict[str, MethodInfo]:
    """Every method of the checkout and of installed packages, by name. Imports no torch."""
    found = {}
    folder = Path(_package_folder("methods"))
    for file in sorted(folder.glob("*/*.py")):
        if not file.name.startswith("_"):
            kind = file.parent.name.replace("_", "-")
            try:
                module = importlib.import_module(f"methods.{file.parent.name}.{file.stem}")
                found[file.stem] = _info(module, file.stem, kind, file, file.stem)
            except Exception as error:  # one broken file must not take the others along
                print(f"left out: {file} cannot be imported: {type(error).__name__}: {error}", file=sys.stderr)
    for point in entry_points(group=METHOD_GROUP):
        loaded = point.load()
        module = loaded if isinstance(loaded, types.ModuleType) else sys.modules[loaded.__module__]
        found[point.name] = _info(module, point.name, "multi-trial", Path(str(module.__file__)), point.name)
    return found


def method(reference: str) -> MethodInfo:
    """The method of that name, or in that file (``./my_method.py``). Raises :class:`UserError`."""
    known = methods()
    if reference.endswith(".py"):
        file = Path(reference).resolve()
        if file.stem in known and file != known[file.stem].file.resolve():
            raise UserError(f"{file} has the name of a registered method, {file.stem!r}; rename the file")
        return _method_from_file(str(file))
    if reference not in known:
        raise UserError(f"no method {reference!r}{suggest(reference, known)}   (--list shows all)")
    return known[reference]


@cache
def _method_from_file(path: str) -> MethodInfo:
    file = Path(path)
    if not file.is_file():
        raise UserError(f"no method file {path}")
    spec = importlib.util.spec_from_file_location(f"nas_harness_file_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
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
    return MethodInfo(name, getattr(own[0], "kind", kind), own[0], file, reference)


def select_rows(names: Iterable[str], belonging: Mapping[str, list[str]] | None = None) -> dict[str, MethodInfo]:
    """Rows for ``method``, ``method:variant`` or ``path/to/file.py`` names, in the order given.

    A method without a variant means all of its rows, or those that ``belonging`` lists for it. Raises :class:`UserError`.
    """
    selected: dict[str, MethodInfo] = {}
    for name in names:
        reference, _, variant = name.partition(":")
        info = method(reference)
        if variant and f"{info.name}:{variant}" not in info.rows:
            raise UserError(f"no row {name!r}{suggest(name, info.rows)}")
        named = [variant] if variant else (belonging or {}).get(info.name)
        for row in info.rows if named is None else [info.row(one) for one in named]:
            if selected.setdefault(row, info).file != info.file:
                raise UserError(f"{selected[row].file} and {info.file} have the same name; rename one of them")
    return selected


def altered(info: MethodInfo, row: str, given: Mapping[str, str]) -> str:
    """The name of ``row`` under ``--set`` values: ``reinforce[lr=0.1]``.

    The variant is dropped where everything it sets is given anew: what is left would be named after what it is not.
    """
    if not given:
        return row
    name, _, variant = row.partition(":")
    replaced = variant and set(getattr(info.cls, "variants", {})[variant]) <= set(given)
    return f"{name if replaced else row}[{', '.join(f'{field}={text}' for field, text in given.items())}]"


def settings(info: MethodInfo, row: str, space: str, preset: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Resolved hyperparameters: defaults, the paper's values on ``space``, the variant, the protocol's preset, ``--set``.

    ``given`` holds text from the command line. Raises :class:`UserError` for an unknown field or an impossible value.
    """
    hints = typing.get_type_hints(info.cls)
    fields = {field.name: field for field in dataclasses.fields(info.cls)}
    values = {name: field.default for name, field in fields.items()}
    variant = row.partition(":")[2]
    layers: list[Mapping[str, Any]] = [getattr(info.cls, "settings", {}).get(space, {})]
    layers += [getattr(info.cls, "variants", {}).get(variant, {}), preset]
    for layer in layers:
        for name, value in layer.items():
            if name not in fields:
                raise UserError(f"{row} has no setting {name!r}{suggest(name, fields)}")
            values[name] = value
    for name, text in given.items():
        if name not in fields:
            raise UserError(f"{row} has no setting {name!r}{suggest(name, fields)}")
        values[name] = parse(text, hints[name], f"{info.name}.{name}")
    build(info, values)
    return values


def build(info: MethodInfo, values: Mapping[str, Any]) -> Any:
    """The method object. Raises :class:`UserError` where its constructor refuses the values."""
    try:
        return info.cls(**values)
    except (ValueError, TypeError) as error:
        raise UserError(f"{info.name}: {error}") from error


def parse(text: str, hint: Any, name: str) -> Any:
    """``text`` as the type of a field. Raises :class:`UserError` that says what was expected."""
    if typing.get_origin(hint) is typing.Literal:
        options = {str(option): option for option in typing.get_args(hint)}
        if text not in options:
            raise UserError(f"{name} is one of {', '.join(options)}, not {text!r}")
        return options[text]
    if hint is str:
        return text
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text.lower(), text))
    except (ValueError, SyntaxError):
        raise UserError(f"{name} expects {getattr(hint, '__name__', hint)}, not {text!r}") from None
    if hint is float and type(value) is int:
        value = float(value)
    if isinstance(value, list):
        value = tuple(value)
    accepted = tuple(typing.get_origin(h) or h for h in (typing.get_args(hint) if _is_union(hint) else (hint,)))
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        raise UserError(f"{name} expects {getattr(hint, '__name__', hint)}, not {text!r}")
    return value


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


@cache
def benchmarks() -> dict[str, Benchmark]:
    """Every benchmark, by id: from ``benchmarks/*/benchmark.py`` and from installed packages. Opens no data."""
    modules = [
        importlib.import_module(f"benchmarks.{file.parent.name}.benchmark")
        for file in sorted(Path(_package_folder("benchmarks")).glob("*/benchmark.py"))
    ]
    found = [one for module in modules for one in module.benchmarks()]
    found += [one for point in entry_points(group=BENCHMARK_GROUP) for one in point.load()()]
    return {one.id: one for one in found}


def benchmark(name: str) -> Benchmark:
    """The benchmark with that id. Raises :class:`UserError`."""
    known = benchmarks()
    if name not in known:
        raise UserError(f"no benchmark {name!r}{suggest(name, known)}   (--list shows all)")
    return known[name]


def suggest(name: str, known: Iterable[str]) -> str:
    """``; did you mean ...?``, or nothing where no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _package_folder(name: str) -> str:
    return str(importlib.import_module(name).__path__[0])
