"""Where the installed Python packages keep the engines' shared libraries; nothing is imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from edgetl.errors import EdgetlError

LIBRARIES = {
    "onnxruntime": ("onnxruntime", "capi/libonnxruntime.so.*"),
    "openvino": ("openvino", "libs/libopenvino_c.so*"),
}


def package_folder(name: str) -> Path:
    """The folder of an installed package. Raises EdgetlError when there is none."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise EdgetlError(f"the Python package {name} is not installed; its library is what is measured")
    return Path(spec.origin).parent


def engine_library(backend: str) -> Path:
    """The shared library that the C++ runtime opens for `backend`. Raises EdgetlError when there is none."""
    if backend not in LIBRARIES:
        raise EdgetlError(f"expected a bundle for {' or '.join(LIBRARIES)}; found one for {backend}")
    package, pattern = LIBRARIES[backend]
    found = sorted(package_folder(package).glob(pattern))
    if not found:
        raise EdgetlError(f"the Python package {package} holds no {pattern}; install one that does")
    return found[0]
