"""Errors that reach the user: one clear line each, with an exit code.

Exit codes of the command line: 0 done, 1 failed, 2 wrong usage, 3 gates not met.
"""


class EdgetlError(Exception):
    """The work could not be done. The message says what was expected, what was found, where, and what to do."""

    exit_code = 1


class UsageError(EdgetlError):
    """The request is wrong: a recipe, an option, a name."""

    exit_code = 2


class DataError(EdgetlError):
    """Images or lists that cannot be used."""


class WeightsError(EdgetlError):
    """Pretrained weights that are missing, unsafe to open, or of another architecture."""


class BundleError(EdgetlError):
    """A bundle that is truncated, tampered with, or of a schema this version does not read."""


class BackendError(EdgetlError):
    """A toolchain that is missing, or that refused the model."""


class ParityError(EdgetlError):
    """Two forms of the network should be the same function but are not."""


class StoreError(EdgetlError):
    """The output folder cannot be used: it belongs to something else, is in use, read-only or full."""
