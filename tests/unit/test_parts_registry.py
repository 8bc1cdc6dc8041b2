"""Parts are no methods."""

from __future__ import annotations

from harness import registry


def test_no_part_is_a_method() -> None:
    assert not [info.name for info in registry.methods().values() if info.file.parent.name == "parts"]
