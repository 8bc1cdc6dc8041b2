"""Hostile content of data files, and the check of a refusal: one line, no code executed, no file written."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cache import cache_root
from harness.errors import UserError

CANARY = "canary"


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class Builds:
    """Pickles as a plain object with attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def touch(folder: Path) -> str:
    """Return a command that creates a file in ``folder``."""
    return f"touch {folder / CANARY}"


def pickles(folder: Path) -> dict[str, bytes]:
    """Return pickles that execute a command, or that a reader of plain data must refuse."""
    command = touch(folder)
    text = f"V{command}\n".encode()
    content = pickle.dumps({"a": list(range(1000))}, 4)
    return {
        "os.system": pickle.dumps(Calls(os.system, command)),
        "os.system, protocol 0": pickle.dumps(Calls(os.system, command), 0),
        "eval": pickle.dumps(Calls(eval, f"__import__('os').system({command!r})"), 2),
        "INST": b"(" + text + b"iposix\nsystem\n.",
        "OBJ": b"(cposix\nsystem\n" + text + b"o.",
        "a call within a key": pickle.dumps({("x", Calls(os.system, command)): 1}),
        "NEWOBJ": b"\x80\x02cbuiltins\nobject\n)\x81.",
        "a class of this project": pickle.dumps(Builds(x=1)),
        "extension registry": b"\x80\x02\x82\x01.",
        "persistent id": b"Pweights\n.",
        "persistent id, protocol 1": b"\x80\x02X\x01\x00\x00\x00wQ.",
        "cut short": content[: len(content) // 2],
        "no pickle": b"hello, world",
        "garbled length": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
        "unknown protocol": b"\x80\x63N.",
        "stack underflow": b"\x80\x04R.",
        "no STOP": b"\x80\x04N",
        "empty": b"",
    }


def encrypted(path: Path) -> None:
    """Mark the members of a zip archive as encrypted."""
    raw = bytearray(path.read_bytes())
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = raw.find(magic)
        while start >= 0:
            raw[start + at] |= 1
            start = raw.find(magic, start + 4)
    path.write_bytes(raw)


def unknown_method(path: Path) -> None:
    """Mark the members of a zip archive as packed by an unknown method."""
    raw = bytearray(path.read_bytes())
    for magic, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = raw.find(magic)
        while start >= 0:
            raw[start + at : start + at + 2] = b"\x63\x00"
            start = raw.find(magic, start + 4)
    path.write_bytes(raw)


def zipped(path: Path, members: dict[str, bytes], packed: bool = False) -> Path:
    """Write a zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(header: str, data: bytes) -> bytes:
    """Return a column of an NPZ archive with this header."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def refused(action: Callable[[], object], folder: Path, words: str = "", named: Path | None = None) -> str:
    """Return the error message of ``action``.

    Check that it is one printable line with the name of the file, that no code ran (``folder`` has no canary), and that the
    cache is unchanged.
    """
    before = contents()
    with pytest.raises(UserError, match=words) as caught:
        action()
    line = str(caught.value)
    assert line.isprintable(), line
    assert len(line) < 1000, line
    assert named is None or named.name in line, line
    assert not (folder / CANARY).exists()
    assert contents() == before
    return line


def contents() -> list[str]:
    """Return the files in the cache, except ``sources.json``."""
    root = cache_root()
    return sorted(str(path) for path in root.rglob("*") if path.name != "sources.json" and path.suffix)
