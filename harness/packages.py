"""Import the project's own packages from the folder next to this one, not from the folder where a command is started."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[1]
"""The folder of ``harness``, ``methods``, ``benchmarks`` and ``reports``."""


def claim(*names: str) -> list[str]:
    """Import the project's packages from their folders. Return the places of packages that Python would import instead."""
    shadowing = []
    for name in names:
        folder = PROJECT / name
        default = importlib.util.find_spec(name)
        place = Path(default.origin) if default and default.origin else None
        if place and place.resolve() == folder / "__init__.py":
            continue
        if place:
            shadowing.append(str(place.parent if place.name == "__init__.py" else place))
        spec = importlib.util.spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return shadowing


SHADOWING: Final = claim("methods", "benchmarks", "reports")
"""Packages of the user that have the name of one of the project's packages. They are not used."""
