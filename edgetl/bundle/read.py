"""Open a bundle: every file is checked against the manifest before anything uses it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetl.bundle.manifest import FILE_NAME, LABELS_NAME, Manifest, labels_text, read_manifest
from edgetl.digest import file_digest
from edgetl.errors import BundleError


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files were found complete and as its manifest lists them."""

    folder: Path
    manifest: Manifest

    def size_bytes(self) -> int:
        """Size of the compiled model's files, without golden vectors and texts."""
        return sum(self.manifest.files[name].size_bytes for name in self.manifest.compiled.files)


def read_bundle(folder: Path, sha256: str | None = None) -> Bundle:
    """Read the manifest and check size and SHA-256 of every file, and that labels.txt holds the manifest's labels.

    sha256  that of manifest.json, 64 lower-case hexadecimal digits: `bundle_sha256` in report.json. Nothing inside a
            bundle vouches for its manifest, so without it a changed one is found only where it contradicts a file.
    raises  BundleError naming the first file that is missing, foreign, a link, of another size, or changed.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such bundle; expected a folder with {FILE_NAME}")
    manifest = read_manifest(folder)
    if sha256 is not None:
        _check_manifest(folder / FILE_NAME, sha256)
    _check_names(folder, manifest)
    for name, entry in manifest.files.items():
        path = folder / name
        size = path.stat().st_size
        if size != entry.size_bytes:
            raise BundleError(
                f"{path}: {size} bytes, the manifest says {entry.size_bytes}; truncated or changed: copy it again"
            )
        if file_digest(path) != entry.sha256:
            raise BundleError(f"{path}: SHA-256 differs from the manifest; changed after it was built: do not use it")
    _check_labels(folder / LABELS_NAME, manifest)
    return Bundle(folder, manifest)


def _check_manifest(path: Path, sha256: str) -> None:
    found = file_digest(path)
    if found != sha256:
        raise BundleError(f"{path}: SHA-256 is {found}, expected {sha256}; another bundle, or changed: do not use it")


def _check_labels(path: Path, manifest: Manifest) -> None:
    if path.read_bytes() != labels_text(manifest.labels).encode():
        raise BundleError(f"{path}: not the labels of {FILE_NAME}; one was changed after it was built: do not use it")


def _check_names(folder: Path, manifest: Manifest) -> None:
    present: set[str] = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise BundleError(f"{path}: a symbolic link; a bundle holds plain files only")
        if path.is_file():
            present.add(name)
    missing = sorted(set(manifest.files) - present)
    if missing:
        raise BundleError(f"{folder / missing[0]}: listed in the manifest and not there; copy the bundle again")
    foreign = sorted(present - set(manifest.files) - {FILE_NAME})
    if foreign:
        raise BundleError(f"{folder / foreign[0]}: not listed in the manifest; added after it was built")
    if any(name not in manifest.files for name in (*manifest.compiled.files, manifest.compiled.model)):
        raise BundleError(f"{folder / FILE_NAME}: the model's files are not among `files`")
    if LABELS_NAME not in manifest.files:
        raise BundleError(f"{folder / FILE_NAME}: {LABELS_NAME} is not among `files`")
    if manifest.golden and any(name not in manifest.files for name in manifest.golden.files):
        raise BundleError(f"{folder / FILE_NAME}: the golden pictures are not among `files`")
