"""A compiled library is loaded only if it is certainly ours and intact; else it is compiled again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from benchmarks.digits_tables import native

DTYPE = torch.float32
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cheap compiler's work: the flags of the real one take seconds."""
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(native, "FLAGS", ("-O0", "-march=native", "-std=gnu11", "-fPIC", "-shared"))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path / "cache"


def compiled() -> tuple[Path, float]:
    path = native._library(DTYPE)
    return path, path.stat().st_mtime_ns


def test_a_library_is_compiled_once_and_only_its_owner_can_write_it() -> None:
    path, when = compiled()
    assert compiled() == (path, when)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o022 == 0


@pytest.mark.parametrize(
    "damage", ["cut short", "empty", "changed", "no checksum", "another checksum", "writable by all", "a link"]
)
def test_a_library_in_doubt_is_compiled_again(damage: str, tmp_path: Path) -> None:
    path, when = compiled()
    good = path.read_bytes()
    checksum = path.with_name(f"{path.name}.sha256")
    if damage == "cut short":
        path.write_bytes(good[: len(good) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "changed":
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    elif damage == "no checksum":
        checksum.unlink()
    elif damage == "another checksum":
        checksum.write_text("0" * 64)
    elif damage == "writable by all":
        path.chmod(0o666)
    else:
        (tmp_path / "elsewhere.so").write_bytes(good)
        path.unlink()
        path.symlink_to(tmp_path / "elsewhere.so")
    again, later = compiled()
    assert again == path and later != when and not again.is_symlink()
    assert again.stat().st_size == len(good) and again.stat().st_mode & 0o022 == 0
    assert native.kernels.__wrapped__(DTYPE) is not None


def test_a_library_of_another_owner_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = compiled()
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    monkeypatch.setattr(native, "_ours", lambda path: path.lstat().st_uid == 12_345)
    private = native._own_folder(path.parent)
    assert private != path.parent and private.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_could_write_becomes_ours_alone(cache: Path) -> None:
    folder = cache / "kernels"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    path, _ = compiled()
    assert path.parent == folder and folder.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_cannot_be_made_costs_a_compilation_only(cache: Path) -> None:
    cache.write_text("")
    path, _ = compiled()
    assert path.exists() and cache not in path.parents


def test_the_compiler_may_have_options(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, _ = compiled()
    monkeypatch.setenv("CC", "cc -DUNUSED='a b'")
    library, _ = compiled()
    assert library.exists() and library != plain


@pytest.mark.parametrize("compiler", ["no-such-compiler", "cc '", "false"])
def test_without_a_working_compiler_there_are_no_kernels(compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler)
    assert native.kernels.__wrapped__(DTYPE) is None
