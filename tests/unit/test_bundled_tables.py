"""Opening a bundled table needs its files only: no workshop, no torch, no process pool."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.test_imports import loaded_by

OPEN = "from harness import registry; registry.benchmark({!r}).open(*{!r})"
BENCHMARKS = {
    "nb201/digits": ({"recipe": 12}, {"recipe": 36, "records": {"digits": "x-test"}}),
    "nb1shot1/1-digits": ({"recipe": 12}, {"recipe": 36}),
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_bundled_table_opens_without_torch_and_process_pools(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    loaded_by(OPEN.format(name, BENCHMARKS[name]))  # converts it; pyarrow imports concurrent.futures
    modules = loaded_by(OPEN.format(name, BENCHMARKS[name]))
    assert not {"torch", "pyarrow", "multiprocessing", "concurrent.futures"} & modules
    assert not [module for module in modules if module.startswith("benchmarks.digits_tables")]
