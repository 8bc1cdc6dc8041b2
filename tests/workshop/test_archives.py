"""The archives contain the shards that the bundled tables are made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bundled.bundle import read
from benchmarks.digits_tables.assembly import check_complete, check_settings, records
from benchmarks.digits_tables.nb1shot1 import NB1Shot1Recipe
from benchmarks.digits_tables.nb201 import NB201Recipe
from benchmarks.digits_tables.recipe import TableRecipe
from benchmarks.digits_tables.shards import Archive, pack


@pytest.fixture(params=[NB201Recipe(), NB1Shot1Recipe()], ids=lambda recipe: recipe.bundle.name)
def recipe(request: pytest.FixtureRequest) -> TableRecipe:
    """Return the recipe of each bundled table."""
    recipe: TableRecipe = request.param
    return recipe


def test_the_bundled_table_has_the_records_of_its_archive(recipe: TableRecipe) -> None:
    archive, bundle = Archive(recipe.archive), recipe.bundle
    check_settings(recipe, archive)
    check_complete(archive, recipe.cells)
    manifest = json.loads((bundle.place / bundle.files.manifest).read_text())
    for file, columns in zip((bundle.files.final, bundle.files.curves), records(archive), strict=True):
        packed = read(bundle.place / file, manifest["files"][file])
        assert list(packed) == list(columns)
        for name, values in columns.items():
            np.testing.assert_array_equal(packed[name], values)


def test_the_cells_of_the_bundled_table_are_those_of_the_recipe(recipe: TableRecipe) -> None:
    bundle, clock = recipe.bundle, Archive(recipe.archive).clock(recipe.bundle.prices)
    assert clock is not None
    manifest = json.loads((bundle.place / bundle.files.manifest).read_text())
    packed = read(bundle.place / bundle.files.cells, manifest["files"][bundle.files.cells])
    for name, values in recipe.columns(clock).items():
        np.testing.assert_array_equal(packed[name], values)


def test_packing_the_archive_again_makes_the_same_bytes(recipe: TableRecipe, tmp_path: Path) -> None:
    pack(Archive(recipe.archive), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == recipe.archive.read_bytes()
