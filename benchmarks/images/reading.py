"""Read the training and test images of one form of a data set, and compare them with its published checksums."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.images.decode import Batch, jpeg_columns
from benchmarks.images.forms import Form
from harness.errors import UserError
from harness.library import Progress
from harness.look import is_file, opened

_MEMBER = 512 << 20
"""Largest size of a member in bytes; the largest published member has about 100 million."""


def read(form: Form, path: Path, progress: Progress) -> tuple[Batch, Batch]:
    """Return the training and the test part.

    Raises:
        UserError: a clause: a checksum is wrong, a file is missing, or the content is not that of the data set.
    """
    parts = jpeg_columns(path, progress) if form.decode is None else _members(form, path, progress)
    for (images, labels), count in zip(parts, form.counts, strict=True):
        if len(images) != count or len(labels) != count:
            raise UserError(f"it has {len(images):,} images where the published set has {count:,}")
        if not len(labels) or labels.min() < 0 or labels.max() >= form.classes:
            raise UserError(f"it has labels outside 0 to {form.classes - 1}")
    return parts


def _members(form: Form, path: Path, progress: Progress) -> tuple[Batch, Batch]:
    """Decode the members of a folder or an archive."""
    assert form.decode is not None
    if path.is_file():
        progress(0, 1, f"checksum of {path.name}")
        with opened(path) as file:
            _compare("its", hashlib.file_digest(file, "md5").hexdigest(), form.md5)
    wanted = {member.name: member for member in (*form.train, *form.test)}
    batches: dict[str, Batch] = {}
    for name, content in _contents(path, set(wanted)):
        progress(len(batches), len(wanted), "decoding images")
        _compare(f"{name}'s", hashlib.md5(content, usedforsecurity=False).hexdigest(), wanted[name].md5)
        try:
            batches[name] = form.decode(io.BytesIO(content))
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
    missing = [name for name in wanted if name not in batches]
    if missing:
        raise UserError(f"it lacks {', '.join(missing)}")
    progress(len(wanted), len(wanted), "decoding images")
    return _joined([batches[member.name] for member in form.train]), _joined([batches[member.name] for member in form.test])


def _joined(batches: list[Batch]) -> Batch:
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _contents(path: Path, names: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the named files: of a folder by name, of an archive in its own order."""
    if path.is_dir():
        for name in sorted(names):
            if is_file(path / name):
                with opened(path / name) as file:
                    content = file.read(_MEMBER + 1)
                if len(content) > _MEMBER:
                    raise UserError(f"{name} has more than {_MEMBER:,} bytes")
                yield name, content
        return
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            name = member.name.rsplit("/", 1)[-1]
            wanted = name in names and member.isfile() and member.size <= _MEMBER
            packed = archive.extractfile(member) if wanted else None
            if packed is not None:
                yield name, packed.read()


def _compare(owner: str, actual: str, published: str) -> None:
    if published and actual != published:
        raise UserError(f"{owner} MD5 is {actual}, that of the published file is {published}")
