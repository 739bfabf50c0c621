"""Model hubs: their caches on this machine are used without asking; a download is tried once, in bounded time.

The download libraries retry for a minute and print every attempt. So one request first checks whether the hub can be
reached, and their output is suppressed.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from edgetl.errors import WeightsError

PATIENCE_S = 15.0
"""Longest wait for the first response of a hub, looking up its address included."""

_FILES = ("model.safetensors", "pytorch_model.bin")  # in timm's order


class _Unreachable(Exception):
    """The hub cannot be reached; the message says why, in a few words."""


def cached_file(repository: str, filename: str | None) -> Path | None:
    """The weights of a Hugging Face repository (`owner/name` or `owner/name@revision`) in the cache on this machine."""
    from huggingface_hub import try_to_load_from_cache

    name, _, revision = repository.partition("@")
    for each in (filename,) if filename else _FILES:
        found = try_to_load_from_cache(name, each, revision=revision or None)
        if isinstance(found, str) and Path(found).is_file():
            return Path(found)
    return None


def hub_url(repository: str, filename: str | None) -> str:
    """Address of the weights of a Hugging Face repository."""
    from huggingface_hub import hf_hub_url

    name, _, revision = repository.partition("@")
    return hf_hub_url(name, filename or _FILES[0], revision=revision or None)


def require_reachable(url: str) -> None:
    """Ask the server of `url` once. Raises an error that `download` explains if there is no answer in time.

    Any response except a server failure is enough; the download reports what it means.
    """
    if _offline():
        raise _Unreachable("HF_HUB_OFFLINE is set")
    outcome: list[str] = []
    # in a thread of its own: looking up an address has no time limit
    asking = threading.Thread(target=lambda: outcome.append(_ask(url)), daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    reason = outcome[0] if outcome else f"no response within {PATIENCE_S:.0f} s"
    if reason:
        raise _Unreachable(reason)


@contextmanager
def download(what: str, held: str = "") -> Iterator[None]:
    """Wraps a download: its output is suppressed, and its failure becomes one WeightsError.

    what  "timm `resnet18`";  held  a sentence about what the folders of weights contain instead, or ""
    """
    try:
        with _silence():
            yield
    except WeightsError:
        raise
    except Exception as error:  # each download library raises its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise WeightsError(
            f"{what}: its weights are not on this machine and cannot be downloaded ({reason}){held and f'; {held}'}; "
            "name a folder of weights with --weights-dir or `backbone.weights_dir`, a checkpoint with "
            "`backbone.weights`, or a timm folder with `backbone.name: local-dir:PATH`"
        ) from error


class _NoRedirect(HTTPRedirectHandler):
    """A redirect is a response: the server is there."""

    def redirect_request(self, *_: object) -> None:
        return None


def _ask(url: str) -> str:
    """Why the server cannot be used, in a few words; empty if it can."""
    try:
        build_opener(_NoRedirect).open(Request(url, method="HEAD"), timeout=PATIENCE_S).close()
    except HTTPError as error:
        return f"the hub failed with status {error.code}" if error.code >= 500 else ""
    except OSError as error:  # URLError is one
        reason = getattr(error, "reason", error)
        # certificates and the like: the library may be set up for them, so it is asked all the same
        plain = isinstance(reason, OSError) and type(reason).__name__ != "SSLCertVerificationError"
        return f"no connection to the hub: {_few_words(reason)}" if plain else ""
    except Exception:  # not an address of HTTP: for the library
        return ""
    return ""


def _few_words(reason: object) -> str:
    return str(getattr(reason, "strerror", None) or reason)


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE) or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")


@contextmanager
def _silence() -> Iterator[None]:
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "timm")]
    levels = [each.level for each in loggers]
    shown = not are_progress_bars_disabled()
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    disable_progress_bars()
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
        if shown:
            with suppress(Exception):  # the user's own environment may forbid it
                enable_progress_bars()
