"""The stage: two files in, the same two files out, ready to be quantized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gated_networks import EFFICIENT, images, pictures, settled
from small_runs import small_run

from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.load import construct, rebuild
from edgetl.backbones.spec import read_spec, write_spec
from edgetl.errors import UsageError
from edgetl.fronts.batches import load_batch
from edgetl.fronts.image.normalize import normalize
from edgetl.quant.quantize import quantize_network
from edgetl.quant.record import read_quantize
from edgetl.quant.shots import Shots
from edgetl.quant.simplify import simplify
from edgetl.quant.simplify.record import SurgeryRecord, read_surgery
from edgetl.quant.simplify.simplify import simplify_network
from edgetl.recipes.gates import Gates
from edgetl.recipes.recipe import Surgery
from edgetl.recipes.run import Run
from edgetl.types import CalibrationProfile, ImagePreprocessing, NetworkSpec, Scheme, Split
from edgetl.types.findings import Replaceable

pytestmark = pytest.mark.stage

SHORT = Surgery(epochs=2, batch_size=8, learning_rate=1e-3)


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Split]:
    root = tmp_path_factory.mktemp("adapted")
    write_checkpoint(settled(EFFICIENT).state_dict(), root / "network.safetensors")
    write_spec(EFFICIENT, root / "network.json")
    samples = pictures(root / "pictures", 18)
    return root, Split(("a", "b", "c"), samples[:12], samples[12:], (), "squash", "", "")


def _run(split: Split, base: Path, config: Surgery = SHORT) -> Run:
    return small_run(split, base, surgery=config, data={"train": ".", "augment": "light"})


def _operate(adapted: tuple[Path, Split], out: Path, config: Surgery = SHORT) -> SurgeryRecord:
    out.mkdir()
    simplify_network(_run(adapted[1], out.parent, config), adapted[0], out)
    return read_surgery(out)


@pytest.fixture(scope="module")
def done(adapted: tuple[Path, Split], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("done") / "out"
    _operate(adapted, out)
    return out


def test_what_was_written_is_rebuilt_without_smooth_parts(adapted: tuple[Path, Split], done: Path) -> None:
    spec = read_spec(done / "network.json")
    assert spec == replace(EFFICIENT, surgery=("relu", "no-gates"))
    network = rebuild(spec, done / "network.safetensors")
    assert {"SiLU", "SqueezeExcite"}.isdisjoint(type(module).__name__ for module in network.modules())
    before = rebuild(EFFICIENT, adapted[0] / "network.safetensors")
    assert network(images(2)).shape == before(images(2)).shape


def test_the_record_says_what_was_replaced_and_how_training_went(adapted: tuple[Path, Split], done: Path) -> None:
    record = read_surgery(done)
    assert record.surgery == ("relu", "no-gates")
    assert record.replaced == Replaceable(activations=9, gates=2)
    assert record.gates_folded_into == {"convolution": 2}
    assert record.batch_norms_matched == 13
    assert len(record.history) == 3
    chosen = record.history[record.chosen_epoch]
    assert chosen.loss == min(epoch.loss for epoch in record.history)
    assert record.agreement == chosen.agreement


def test_plain_views_are_of_as_many_classes_as_go_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simplify, "_MOST_VIEWS", 16)
    shown: list[int] = []

    class Watched(Shots):
        def plain(self, indices: Sequence[int]) -> torch.Tensor:
            shown.extend(indices)
            return super().plain(indices)

    samples = pictures(tmp_path, 24)
    simplify._views(Watched(samples, EFFICIENT.preprocessing, "light", 0, torch.device("cpu")), 32 * 32)
    assert shown == list(range(8))


def test_rebuilt_logits_agree_with_the_recorded_agreement(adapted: tuple[Path, Split], done: Path) -> None:
    x = torch.from_numpy(normalize(load_batch(adapted[1].shots, EFFICIENT.image), EFFICIENT.image))
    before = rebuild(EFFICIENT, adapted[0] / "network.safetensors")(x).argmax(1)
    after = rebuild(read_spec(done / "network.json"), done / "network.safetensors")(x).argmax(1)
    record = read_surgery(done)
    assert float((before == after).float().mean()) == pytest.approx(record.agreement)


def test_the_same_job_gives_the_same_bytes(adapted: tuple[Path, Split], done: Path, tmp_path: Path) -> None:
    _operate(adapted, tmp_path / "out")
    for name in ("network.safetensors", "network.json"):
        assert (tmp_path / "out" / name).read_bytes() == (done / name).read_bytes()


def test_the_quantize_stage_takes_it_for_an_adapted_network(
    adapted: tuple[Path, Split], done: Path, tmp_path: Path
) -> None:
    profile = CalibrationProfile("default", "", 12, "min-max")
    run = small_run(adapted[1], tmp_path, profile=profile, quantize={"method": "ptq"})
    (out := tmp_path / "out").mkdir()
    quantize_network(run, done, Scheme("uint8", activation_symmetric=False), Gates(), None, out)
    assert read_quantize(out).operators.get("mul", 0) == 0  # neither gates nor smooth activations


def test_only_gates_can_go(adapted: tuple[Path, Split], tmp_path: Path) -> None:
    record = _operate(adapted, tmp_path / "out", SHORT.model_copy(update={"epochs": 0, "activations": "keep"}))
    assert record.surgery == ("no-gates",)
    assert record.replaced == Replaceable(activations=0, gates=2)


def test_an_operated_network_is_not_operated_on_again(adapted: tuple[Path, Split], done: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="surgery was done already"):
        simplify_network(_run(adapted[1], tmp_path), done, tmp_path)


def test_a_network_with_nothing_to_replace_is_refused(adapted: tuple[Path, Split], tmp_path: Path) -> None:
    spec = NetworkSpec("timm", "test_resnet", {}, 3, "fc", ImagePreprocessing(32, 32, "squash", (0.5,) * 3, (0.5,) * 3))
    (plain := tmp_path / "plain").mkdir()
    write_checkpoint(construct(spec).state_dict(), plain / "network.safetensors")
    write_spec(spec, plain / "network.json")
    with pytest.raises(UsageError, match="quantize it as it is"):
        simplify_network(_run(adapted[1], tmp_path), plain, tmp_path)
