"""Parts are no methods, and a method's version follows the parts it imports where it uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import registry


def test_no_part_is_a_method() -> None:
    assert not [info.name for info in registry.methods().values() if info.file.parent.name == "parts"]


@pytest.mark.parametrize(
    "statement", ["from methods.one_shot.parts.first import x", "from methods.one_shot.parts import first"]
)
def test_the_version_follows_parts_imported_within_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """Parts import torch, so a method imports them within ``search``; and parts import parts."""
    parts = tmp_path / "methods" / "one_shot" / "parts"
    parts.mkdir(parents=True)
    monkeypatch.setattr(registry, "_package_folder", lambda name: str(tmp_path / name))
    method = parts.parent / "m.py"
    method.write_text(f"def search(view):\n    {statement}\n")
    (parts / "first.py").write_text("from methods.one_shot.parts.second import x\n")
    (parts / "second.py").write_text("x = 1\n")
    before = registry._source_version(method)
    (parts / "second.py").write_text("x = 2\n")
    assert registry._source_version(method) != before
