"""Untrusted array files: numpy's own format and safetensors, with one error for all damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from edgetl.files.digest import open_plain

_NUMPY_MAGIC = b"\x93NUMPY"


class UnreadableArray(Exception):
    """A file without readable arrays. The message says so in a few words without the file's name."""


def read_array(path: Path) -> NDArray[np.generic]:
    """The array of an .npy file. Allocates memory for the content of the file, not for the claims of its header.

    raises  UnreadableArray
    """
    try:
        with open_plain(path) as stream:
            # np.load would also accept zip archives and pickles
            if stream.read(len(_NUMPY_MAGIC)) != _NUMPY_MAGIC:
                raise UnreadableArray("not a readable array: not an .npy file")
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except UnreadableArray:
        raise
    except OSError as error:
        raise UnreadableArray(f"not a readable array: {error.strerror or 'a disk error'}") from error
    except Exception as error:  # the header reader raises anything that compiling Python text can raise
        raise UnreadableArray("not a readable array: damaged or truncated") from error


def read_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """The tensors of a safetensors file by name. Raises UnreadableArray, also for number formats unknown to numpy."""
    try:
        open_plain(path).close()
        return dict(load_file(path))
    except OSError as error:
        raise UnreadableArray(f"not a readable safetensors file: {error.strerror or 'a disk error'}") from error
    except Exception as error:  # its own SafetensorError, and numpy's errors for 4- and 8-bit floats
        raise UnreadableArray("not a readable safetensors file: damaged, or in an unknown number format") from error
