"""Find the image data sets in the data folders, and decode each of them once into a table of uint8 images."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from benchmarks.images.decode import is_jpeg_columns
from benchmarks.images.forms import FORMS, SPLIT_COLUMNS, SPLIT_TEXTS, Form
from benchmarks.images.reading import read
from benchmarks.sources.files import Stamp, find_file, stamp
from benchmarks.sources.importing import NOTHING, Opened, SourceLibrary
from harness.cache import Table, TableWriter, data_roots, printable, walk
from harness.errors import UserError
from harness.library import Progress, Source, State
from harness.look import head, is_file, is_folder, look

_ARCHIVES = (".tar.gz", ".tgz")
_SPLITS = "NAS-Bench-201's index splits"
_IMAGENET = "ImageNet"


class Present(NamedTuple):
    """A form of a data set with its source, its table, or both. The table is None if the source changed since its import."""

    form: Form
    source: Path | None
    table: Table | None


class ImageLibrary(SourceLibrary):
    """The image data sets. Each form has one table, which a changed source replaces."""

    name = "images"
    suffixes = (*_ARCHIVES, ".npz")
    forms: ClassVar[tuple[Form, ...]] = FORMS

    @property
    def kinds(self) -> Collection[str]:
        return self._by_label.keys()

    def sources(self) -> list[Source]:
        return [
            *map(self._source, self.forms),
            Source(
                ", ".join(SPLIT_TEXTS.values()),
                "2 MB",
                "the indices themselves are checked",
                "configs/nas-benchmark of github.com/D-X-Y/AutoDL-Projects",
                _SPLITS,
                f"or {SPLIT_COLUMNS}, the same indices in one file; weight sharing on NAS-Bench-201's data sets needs them",
            ),
            Source(
                "the folder imagenet",
                "about 150 GB",
                "no checksum is compared",
                "image-net.org (ILSVRC 2012)",
                _IMAGENET,
                "directly in a folder of NAS_DATA, with train/CLASS/*.JPEG and val/CLASS/*.JPEG",
            ),
        ]

    def state(self) -> list[State]:
        listed = []
        for form, source, table in self._present():
            text = f"{form.name}: {form.kind}, "
            if table is None:
                text += "found, imported on first use"
            else:
                text += f"{form.counts[0]:,} + {form.counts[1]:,} images, imported {table.meta['imported_at'][:10]}"
            listed.append(State(text, source, None if table is None else table.path, self.preferred(form.dataset).name))
        splits = [find_file(name) for name in (SPLIT_COLUMNS, *SPLIT_TEXTS.values())]
        listed += [State(path.name, path, None, _SPLITS) for path in splits if path is not None]
        folder = imagenet()
        return listed if folder is None else [*listed, State("class folders", folder, None, _IMAGENET)]

    def preferred(self, dataset: str) -> Form:
        """Return the preferred form of ``dataset`` (``cifar10``, ...)."""
        return next(form for form in self.forms if form.dataset == dataset)

    def find(self, dataset: str) -> Present | None:
        """Return the form of ``dataset`` to use, or None. Import nothing."""
        return next((present for present in self._present() if present.form.dataset == dataset), None)

    def sniff(self, path: Path) -> str | None:
        """Return the label of a form: a folder by its files, an archive by its name or first entry, an NPZ by its columns."""
        form = self._form(path)
        return None if form is None else form.label

    def foreign(self, path: Path) -> str:
        names = ", ".join(dict.fromkeys(form.name for form in self.forms))
        return f"is none of the image data sets ({names})"

    def parts(self, path: Path) -> list[Path]:
        kind = self.recognise(path) if path.is_dir() else None
        if kind is None:
            return [path]
        form = self._by_label[kind]
        return [path / member.name for member in (*form.train, *form.test) if (path / member.name).is_file()]

    def open(self, path: Path, kind: str, progress: Progress, force: bool) -> Opened:
        form = self._by_label[kind]
        try:
            train, test = read(form, path, progress)
        except UserError as error:
            remedy = f"get it again ({form.published})" if form.train else "get it again"
            raise UserError(f"{printable(path)} is damaged: {error}; {remedy}. {NOTHING}") from None
        checked = bool(form.md5) if path.is_file() else all(member.md5 for member in form.train)

        def write(writer: TableWriter) -> dict[str, Any]:
            for part, (images, labels) in (("train", train), ("test", test)):
                writer.add(f"{part}/images", images)
                writer.add(f"{part}/labels", labels)
            notes = [] if checked else ["no published checksum known for this form"]
            return {"n": sum(form.counts), "unit": "images", "notes": notes}

        return Opened(kind, write)

    @property
    def _by_label(self) -> dict[str, Form]:
        return {form.label: form for form in self.forms}

    def _source(self, form: Form) -> Source:
        checksum = f"MD5 {form.md5}" if form.md5 else "MD5 of each file known" if form.train else "no published checksum known"
        name = form.archive or (f"a folder such as {form.folder}" if form.folder else "an .npz, any name")
        return Source(name, form.size, checksum, form.published, self.preferred(form.dataset).name, form.remark)

    def _form(self, path: Path) -> Form | None:
        """Read a bounded amount and return the form of ``path``, or None. Any exception is possible."""
        name = path.name.lower()
        if is_folder(path):
            return next((f for f in self.forms if f.train and all(is_file(path / m.name) for m in (f.train[0], *f.test))), None)
        if name.endswith(".npz") and is_jpeg_columns(path):
            return next(form for form in self.forms if form.decode is None)
        if name.endswith(_ARCHIVES):
            named = next((form for form in self.forms if form.archive == path.name), None)
            if named is not None and is_file(path):
                return named
            folder = _first_folder(path)
            return next((form for form in self.forms if form.archive and form.folder == folder), None)
        return None

    def _present(self) -> Iterator[Present]:
        """Yield the forms that have a source in the data folders or a table, in order of preference."""
        sources: dict[str, Path] = {}
        for path in self._candidates():
            kind = self.recognise(path)
            if kind is not None:
                sources.setdefault(kind, path)
        for form in self.forms:
            source = sources.get(form.label)
            table = self._table(form, source)
            if source is not None or table is not None:
                yield Present(form, source, table)

    def _table(self, form: Form, source: Path | None) -> Table | None:
        """Return the table of a form, or None if there is none or it was made from another state of ``source``."""
        try:
            table = self._opened(self._home() / form.key)
            return table if source is None or table.meta["source"]["stamp"] == stamp(self.parts(source)) else None
        except (UserError, KeyError, OSError):
            return None

    def _candidates(self) -> Iterator[Path]:
        """Yield folders, and files with a known suffix, in the data folders."""
        return (path for path in walk() if is_folder(path) or path.name.lower().endswith(self.suffixes))

    def _unusable(self) -> dict[str, str]:
        looks = {str(path): look(path, self.sniff).why for path in self._candidates()}
        return {path: why for path, why in looks.items() if why}

    def _known(self, path: Path, kind: str, mark: Stamp) -> Path | None:
        table = self._table(self._by_label[kind], path)
        return None if table is None else table.path

    def _import(self, path: Path, kind: str, mark: Stamp, progress: Progress, force: bool) -> Table:
        return self._write(path, kind, {"stamp": mark}, progress, force)

    def _folder(self, kind: str, source: Mapping[str, Any]) -> Path:
        return self._home() / self._by_label[kind].key


def imagenet() -> Path | None:
    """Return the folder of ImageNet in the data folders, or None."""
    return next((root / "imagenet" for root in data_roots() if is_folder(root / "imagenet" / "train")), None)


def _first_folder(archive: Path) -> str:
    with tarfile.open(fileobj=io.BytesIO(head(archive)), mode="r:") as entries:
        first = entries.next()
    return "" if first is None else first.name.split("/")[0]


LIBRARY = ImageLibrary()
