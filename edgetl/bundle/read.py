"""Opens a bundle: every file is checked against the manifest before use."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgetl.backends.base import about
from edgetl.bundle.manifest import FILE_NAME, LABELS_NAME, FileEntry, Manifest, labels_text, read_manifest
from edgetl.errors import BundleError
from edgetl.files.digest import file_digest
from edgetl.files.file_kind import describe
from edgetl.pivot.outside_data import NotOnnx, has_outside_data

MAX_LEVELS = 3


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are complete and match its manifest."""

    folder: Path
    manifest: Manifest

    def size_bytes(self) -> int:
        """Size of the compiled model's files, without golden vectors and texts."""
        return sum(self.manifest.files[name].size_bytes for name in self.manifest.compiled.files)


def read_bundle(folder: Path, sha256: str | None = None) -> Bundle:
    """Read the manifest and check size and SHA-256 of every file, and that labels.txt has the manifest's labels.

    sha256  that of manifest.json, 64 lower-case hexadecimal digits: `bundle_sha256` in report.json. Nothing inside a
            bundle authenticates its manifest, so without it a change is found only if it contradicts a file.
    raises  BundleError naming the first file that is missing, unlisted, not a plain file, of another size, or changed,
            or an ONNX model that takes weights from other files, which no digest covers.
    """
    try:
        return _read_bundle(folder, sha256)
    except OSError as error:
        raise BundleError(f"{error.filename or folder}: cannot be read: {error.strerror or error}") from error


def _read_bundle(folder: Path, sha256: str | None) -> Bundle:
    if not folder.is_dir():
        found = f"found {describe(folder).name}" if folder.exists() else "found nothing"
        raise BundleError(f"{folder}: no such bundle; expected a folder with {FILE_NAME}; {found}")
    manifest = read_manifest(folder)
    if sha256 is not None:
        check_manifest(folder / FILE_NAME, sha256)
    check_listed(folder, manifest.files)
    _check_names(folder, manifest)
    check_digests(folder, manifest.files)
    _check_labels(folder / LABELS_NAME, manifest)
    _check_models(folder, manifest)
    return Bundle(folder, manifest)


def check_digests(folder: Path, files: Mapping[str, FileEntry]) -> None:
    """Raise BundleError naming the first file of another size or content."""
    for name, entry in files.items():
        path = folder / name
        size = path.stat().st_size
        if size != entry.size_bytes:
            instead = describe(path)  # a Git LFS pointer is also small
            remedy = instead.sentence if instead.advice else "truncated or changed: copy it again"
            raise BundleError(f"{path}: {size} bytes, the manifest says {entry.size_bytes}; {remedy}")
        if file_digest(path) != entry.sha256:
            raise BundleError(f"{path}: SHA-256 differs from the manifest; changed after it was built: do not use it")


def check_manifest(path: Path, sha256: str) -> None:
    """Raise BundleError if it is another one."""
    found = file_digest(path)
    if found != sha256:
        raise BundleError(f"{path}: SHA-256 is {found}, expected {sha256}; another bundle, or changed: do not use it")


def _check_labels(path: Path, manifest: Manifest) -> None:
    if path.read_bytes() != labels_text(manifest.labels).encode():
        raise BundleError(f"{path}: not the labels of {FILE_NAME}; one was changed after it was built: do not use it")


def _check_models(folder: Path, manifest: Manifest) -> None:
    compiled, backend = manifest.compiled, about(manifest.compiled.backend)
    models = {name for name in compiled.files if name.endswith(".onnx")} if backend.parses_onnx else set()
    models |= {compiled.model} if backend.runs_onnx else set()
    for path in sorted(folder / name for name in models):
        check_model(path)


def check_model(path: Path) -> None:
    """Raise BundleError if it is no ONNX model, or takes weights from other files."""
    try:
        outside = has_outside_data(path)
    except NotOnnx as error:
        instead = describe(path)
        found = "damaged, or not one" if instead.kind in ("onnx", "unknown") else instead.sentence
        raise BundleError(f"{path}: expected an ONNX model; {found}: build the bundle again") from error
    if outside:
        raise BundleError(f"{path}: takes weights from another file, which no digest covers; build it again")


def check_listed(folder: Path, files: Collection[str]) -> None:
    """Raise BundleError if a file is missing, or one is there that the manifest does not list."""
    present = set(_plain_files(folder, ""))
    missing = sorted(set(files) - present)
    if missing:
        raise BundleError(f"{folder / missing[0]}: listed in the manifest but missing; copy the bundle again")
    foreign = sorted(present - set(files) - {FILE_NAME})
    if foreign:
        raise BundleError(f"{folder / foreign[0]}: not listed in the manifest; added after it was built")


def _check_names(folder: Path, manifest: Manifest) -> None:
    if any(name not in manifest.files for name in (*manifest.compiled.files, manifest.compiled.model)):
        raise BundleError(f"{folder / FILE_NAME}: the model's files are not among `files`")
    if LABELS_NAME not in manifest.files:
        raise BundleError(f"{folder / FILE_NAME}: {LABELS_NAME} is not among `files`")
    if any(name not in manifest.files for name in manifest.golden_files()):
        raise BundleError(f"{folder / FILE_NAME}: not all golden files and arrays are among `files`")


def _plain_files(folder: Path, prefix: str) -> Iterator[str]:
    """Their names below `folder`, in the form of the manifest."""
    if prefix.count("/") > MAX_LEVELS:
        raise BundleError(f"{folder}: folders nested deeper than a bundle's ({MAX_LEVELS})")
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                raise BundleError(f"{entry.path}: a symbolic link; a bundle has only plain files")
            if entry.is_dir(follow_symlinks=False):
                yield from _plain_files(folder / entry.name, f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield prefix + entry.name
            else:
                raise BundleError(f"{entry.path}: not a regular file; a bundle has only plain files")


def is_folder_of_bundles(path: Path) -> bool:
    """Whether it is not a bundle itself but directly contains some."""
    return path.is_dir() and not (path / FILE_NAME).exists() and bool(_inside(path))


def bundle_folders(path: Path) -> tuple[Path, ...]:
    """The bundles in a folder of bundles, by name; else the path itself, whose reader reports what it is."""
    return _inside(path) if is_folder_of_bundles(path) else (path,)


def _inside(path: Path) -> tuple[Path, ...]:
    return tuple(sorted(child for child in path.iterdir() if (child / FILE_NAME).is_file()))
