"""Asking a hub: the cache first, then once, in bounded time and in silence."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import timm
from huggingface_hub import constants
from huggingface_hub.utils.tqdm import are_progress_bars_disabled

from edgetl.backbones import hub
from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.load import build
from edgetl.errors import WeightsError
from edgetl.recipes.recipe import Backbone
from edgetl.types import WeightSource

NAME = "test_resnet.r160_in1k"


class Hub(BaseHTTPRequestHandler):
    """The part of a Hugging Face server that downloads use. `content` is what every file holds."""

    content = b""
    status = 200
    asked: list[str]

    def do_HEAD(self) -> None:
        self.asked.append(f"HEAD {self.path}")
        self.send_response(self.status)
        self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A hub on this machine with an empty cache in front of it."""

    class Own(Hub):
        asked: list[str] = []  # noqa: RUF012  # of this test

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as serving:
        Thread(target=serving.serve_forever, daemon=True).start()
        point_at(monkeypatch, serving.server_address[1])
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield Own
        serving.shutdown()


def point_at(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")


def load() -> None:
    build(Backbone(name=NAME, input_size=32), WeightSource("hub"), 5, "squash")


def refused_for(reason: str) -> float:
    """Seconds until the refusal, which names the reason and what to do, on one line."""
    start = time.monotonic()
    with pytest.raises(WeightsError, match=reason) as caught:
        load()
    assert "--weights-dir" in str(caught.value)
    assert "\n" not in str(caught.value)
    return time.monotonic() - start


def test_what_was_downloaded_once_is_opened_without_asking_again(
    server: type[Hub], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(timm.create_model("test_resnet").state_dict(), tmp_path / "w")
    server.content = (tmp_path / "w").read_bytes()
    load()
    assert server.asked
    server.asked.clear()
    load()
    assert server.asked == []
    assert capfd.readouterr() == ("", "")


def test_a_hub_that_cannot_be_reached_is_asked_once_and_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    point_at(monkeypatch, 9)  # nobody listens there
    assert refused_for("Connection refused") < hub.PATIENCE_S
    assert capfd.readouterr() == ("", "")


def test_a_hub_that_fails_is_not_asked_for_a_minute(server: type[Hub]) -> None:
    server.status = 503
    refused_for("status 503")
    assert len(server.asked) == 1


def test_a_hub_that_never_answers_costs_a_bounded_time(server: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PATIENCE_S", 0.2)
    monkeypatch.setattr(server, "do_HEAD", lambda self: time.sleep(2))
    assert refused_for(r"no response within 0 s|timed out") < 10


def test_a_file_that_the_hub_does_not_have_is_one_line(server: type[Hub]) -> None:
    server.status = 404
    refused_for("test_resnet")


def test_offline_mode_is_refused_at_once(server: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    refused_for("HF_HUB_OFFLINE is set")
    assert server.asked == []


def test_loggers_and_bars_are_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    point_at(monkeypatch, 9)
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    refused_for("Connection refused")
    assert logger.level == before
    assert not are_progress_bars_disabled()
