"""Provenance of a number: code, versions, machine, command."""

from __future__ import annotations

import os
import platform
import shlex
import string
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "scipy", "pandas", "torch", "nas-bench-201", "nats-bench", "ray")


def gather() -> dict[str, Any]:
    """Return facts for the store and for captions. Versions come from package metadata: nothing heavy is imported."""
    return {
        "command": command(),
        "code": code(),
        "python": platform.python_version(),
        "packages": {name: release for name in PACKAGES if (release := _version(name))},
        "host": {
            "system": platform.platform(terse=True),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "processor": _processor(),
            **({"accelerator": accelerator} if (accelerator := _accelerator()) else {}),
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def command() -> str:
    """Return the command line, as one would type it again."""
    name = Path(sys.argv[0]).name
    module = {"run.py": "python -m harness.run", "data.py": "python -m harness.data"}.get(name, name)
    return " ".join([module, *map(_quoted, sys.argv[1:])])


def _quoted(word: str) -> str:
    """Quote a word for a shell. Spell the bytes of a name that is not valid UTF-8, so that any file can contain it."""
    data = os.fsencode(word)
    try:
        return shlex.quote(data.decode())
    except UnicodeDecodeError:
        plain = set(map(ord, string.ascii_letters + string.digits + "/._-+=:, "))
        return "$'" + "".join(chr(byte) if byte in plain else f"\\x{byte:02x}" for byte in data) + "'"


def code() -> str:
    """Return the version and the git state of this checkout: ``0.1.0 (3f2a91c, modified)``."""
    number = _version("nas-harness") or "unpackaged"
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return number
    try:
        commit = _git(root, "rev-parse", "--short=10", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError) as error:
        return f"{number} (commit unknown: {_refusal(error)})"
    return f"{number} ({commit}{', modified' if changed else ''})"


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _refusal(error: Exception) -> str:
    """Return why git failed, in a few words."""
    if isinstance(error, subprocess.TimeoutExpired):
        return "git does not respond"
    if not isinstance(error, subprocess.CalledProcessError):
        return "git cannot be run"
    if "dubious ownership" in error.stderr:
        return "git refuses (dubious ownership)"
    first = next(iter(error.stderr.splitlines()), f"exit code {error.returncode}")
    return f"git refuses ({first.removeprefix('fatal: ')[:80]})"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _accelerator() -> str:
    """Return the names of NVIDIA GPUs, from their driver."""
    names = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        try:
            lines = [line for line in file.read_text().splitlines() if line.startswith("Model:")]
        except OSError:
            continue
        names += [line.partition(":")[2].strip() for line in lines]
    return ", ".join(names)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
