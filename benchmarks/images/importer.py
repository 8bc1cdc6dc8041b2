"""Finds the image data sets in the data folders and decodes them, once, into compact tables of uint8 images."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.images.decode import Batch, Progress, is_jpeg_columns, jpeg_columns
from benchmarks.images.search import find_file
from benchmarks.images.sources import FORMS, SPLIT_COLUMNS, SPLIT_TEXTS, SPLITS_TITLE, Form, Source, sources, title
from harness.cache import Table, TableWriter, cache_root, explain, imported, printable, walk
from harness.errors import UserError
from harness.look import head, is_file, is_folder, look, odd, opened

__all__ = ["NAME", "Source", "State", "find", "import_path", "recognise", "sources", "state", "unrecognised", "verify"]

NAME = "images"
_ARCHIVES = (".tar.gz", ".tgz")
_MEMBER = 512 << 20
"""Bytes that one file of a data set may have; the largest published one has about 100 million."""


class State(NamedTuple):
    """A data set that is there: a source in the data folders, an imported table, or both."""

    text: str
    source: Path | None
    table: Path | None
    needed_by: str


class Found(NamedTuple):
    """A form of a data set, where it lies, and its table where it is imported and its source has not changed since."""

    form: Form
    source: Path | None
    table: Table | None


def recognise(path: Path) -> str | None:
    """Return what ``path`` is, by its content or its official name, or None. Opens no pickle, raises nothing."""
    return look(path, _kind).kind


def unrecognised(path: Path) -> str:
    """Return why ``path`` is nothing here."""
    names = ", ".join(dict.fromkeys(form.name for form in FORMS))
    why = look(path, _kind).why
    return odd(path) or f"is none of the image data sets ({names})" + (f": {why}" if why else "")


def passed_over() -> dict[str, str]:
    """Return what cannot be used, by path, and why: files that could not be looked at, and damaged tables."""
    failed = {}
    for path in walk():
        if is_folder(path) or path.name.lower().endswith((*_ARCHIVES, ".npz")):
            why = look(path, _kind).why
            if why:
                failed[str(path)] = why
    for form in FORMS:
        if is_folder(_home(form)):
            try:
                imported(_home(form))
            except UserError as error:
                failed[str(_home(form))] = str(error)
    return failed


def state() -> list[State]:
    """What lies in the data folders and what is imported, of each data set the preferred form first. Imports nothing."""
    listed = []
    for found in _available():
        form, table = found.form, found.table
        if table is None:
            text = f"{form.name}: {form.kind}, found, imported on first use"
        else:
            train, test = form.counts
            text = f"{form.name}: {form.kind}, {train:,} + {test:,} images, imported {table.meta['imported_at'][:10]}"
        listed.append(State(text, found.source, None if table is None else table.path, title(form.dataset)))
    splits = [find_file(name) for name in (SPLIT_COLUMNS, *SPLIT_TEXTS.values())]
    return [*listed, *(State(path.name, path, None, SPLITS_TITLE) for path in splits if path is not None)]


def find(dataset: str) -> Found | None:
    """The form of ``dataset`` (``cifar10``, ...) that would be used, or None. Cheap: imports nothing."""
    return next((found for found in _available() if found.form.dataset == dataset), None)


def import_path(path: Path, progress: Progress = lambda done, total, text: None, force: bool = False) -> Table:
    """Decodes an archive, a folder or an NPZ, and returns the table. What is imported and intact is left as it is.

    Raises :class:`UserError`: not recognised, or damaged; then nothing was imported.
    """
    path = Path(os.path.abspath(path.expanduser()))
    form = _form(path) if recognise(path) else None
    if form is None:
        raise UserError(f"{printable(path)} {unrecognised(path)}. Nothing was imported.")
    try:
        known = _table(form, path)
        if known is not None and not force:
            progress(1, 1, "already imported, nothing to do")
            return known
        return _import(form, path, progress)
    except OSError as error:
        raise explain(error, f"import {path}") from None


def verify() -> list[str]:
    """Compares every imported column with its checksum; one line per table, that of a damaged one begins with ``damaged``."""
    lines = []
    for folder in sorted({_home(form) for form in FORMS}):
        if folder.is_dir():
            try:
                imported(folder).verify()
                lines.append(f"intact: {folder}")
            except UserError as error:
                lines.append(f"damaged: {error}")
    return lines


def _import(form: Form, path: Path, progress: Progress) -> Table:
    started = time.perf_counter()
    try:
        train, test = _parts(form, path, progress)
        for (images, labels), count in zip((train, test), form.counts, strict=True):
            if len(images) != count or len(labels) != count:
                raise UserError(f"it holds {len(images):,} images where the published set has {count:,}")
            if not len(labels) or labels.min() < 0 or labels.max() >= form.classes:
                raise UserError(f"it has labels outside 0 to {form.classes - 1}")
    except UserError as error:
        remedy = f"get it again ({form.published})" if form.train else "get it again"
        raise UserError(f"{printable(path)} is damaged: {error}; {remedy}. Nothing was imported.") from None
    with TableWriter(_home(form)) as writer:
        for part, (images, labels) in (("train", train), ("test", test)):
            writer.add(f"{part}/images", images)
            writer.add(f"{part}/labels", labels)
        meta = {
            "benchmark": NAME,
            "kind": f"{form.name}, {form.kind}",
            "source": {"file": printable(path.name), "path": printable(path), "stamp": _stamp(form, path)},
            "n": sum(form.counts),
            "unit": "images",
            "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "import_seconds": round(time.perf_counter() - started, 2),
            "notes": [] if _checked(form, path) else ["no published checksum known for this form"],
        }
        try:
            return writer.commit(meta)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return imported(_home(form))  # another process imported the same source meanwhile


def _parts(form: Form, path: Path, progress: Progress) -> tuple[Batch, Batch]:
    """The training and the test part. Raises :class:`UserError`, a clause, where a checksum or the content is wrong."""
    if form.decode is None:
        return jpeg_columns(path, progress)
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
    """Name and bytes of each of these files, in a folder or, in the order in which they lie there, in an archive."""
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


def _compare(whose: str, found: str, published: str) -> None:
    if published and found != published:
        raise UserError(f"{whose} MD5 is {found}, that of the published file is {published}")


def _kind(path: Path) -> str | None:
    form = _form(path)
    return None if form is None else f"{form.name}, {form.kind}"


def _form(path: Path) -> Form | None:
    """Return the form of a folder, by its files, of an archive, by its first entry or its name, or of an NPZ, by its columns.

    Reads a bounded amount, and may raise anything.
    """
    name = path.name.lower()
    if is_folder(path):
        return next((f for f in FORMS if f.train and all(is_file(path / m.name) for m in (f.train[0], *f.test))), None)
    if name.endswith(".npz") and is_jpeg_columns(path):
        return next(form for form in FORMS if form.decode is None)
    if name.endswith(_ARCHIVES):
        named = next((form for form in FORMS if form.archive == path.name), None)
        if named is not None and is_file(path):
            return named
        folder = _first_folder(path)
        return next((form for form in FORMS if form.archive and form.folder == folder), None)
    return None


def _first_folder(archive: Path) -> str:
    with tarfile.open(fileobj=io.BytesIO(head(archive)), mode="r:") as entries:
        first = entries.next()
    return "" if first is None else first.name.split("/")[0]


def _available() -> Iterator[Found]:
    """In order of preference: forms whose source is in the data folders, or whose table is still there."""
    sources_of: dict[str, Path] = {}
    for path in walk():
        form = _form(path) if recognise(path) else None
        if form is not None:
            sources_of.setdefault(form.key, path)
    for form in FORMS:
        source = sources_of.get(form.key)
        table = _table(form, source)
        if source is not None or table is not None:
            yield Found(form, source, table)


def _table(form: Form, source: Path | None) -> Table | None:
    """The imported table, unless ``source`` is another than it was made of."""
    try:
        table = imported(_home(form))
        return table if source is None or table.meta["source"]["stamp"] == _stamp(form, source) else None
    except (UserError, KeyError, OSError):
        return None


def _stamp(form: Form, source: Path) -> list[list[Any]]:
    """Name, size and time of change of the files in use: the same stamp, the same content."""
    members = (*form.train, *form.test)
    files = [source / member.name for member in members if (source / member.name).is_file()] if source.is_dir() else [source]
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def _checked(form: Form, path: Path) -> bool:
    return bool(form.md5) if path.is_file() else all(member.md5 for member in form.train)


def _home(form: Form) -> Path:
    return cache_root() / NAME / form.key
