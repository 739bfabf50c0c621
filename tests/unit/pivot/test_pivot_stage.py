"""The quantize and export stages on a very small timm network and drawn pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch
from small_runs import small_run

from edgetl.backbones.load import construct, rebuild
from edgetl.backbones.spec import read_spec, write_spec
from edgetl.errors import ParityError
from edgetl.fronts.batches import load_batch
from edgetl.fronts.image.normalize import normalize
from edgetl.pivot.export import export_pivot
from edgetl.pivot.facts import read_facts
from edgetl.pivot.pivot import read_pivot
from edgetl.pivot.preprocess import on_byte_lattice
from edgetl.quant.quantize import quantize_network
from edgetl.quant.record import read_quantize
from edgetl.recipes.gates import Gates
from edgetl.recipes.run import Run
from edgetl.recipes.targets import scheme_id
from edgetl.types import CalibrationProfile, ImagePreprocessing, NetworkSpec, Sample, Scheme, Split, as_image

pytestmark = pytest.mark.stage

SCHEME = Scheme("uint8", activation_symmetric=False)
PROFILE = CalibrationProfile("default", "", 8, "percentile", views=1)


@dataclass(frozen=True)
class Made:
    split: Split
    adapted: Path
    quantized: Path
    pivot: Path


def _samples(folder: Path, count: int) -> tuple[Sample, ...]:
    rng = np.random.default_rng(count)
    samples = []
    for index in range(count):
        pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8) // (1 + index % 2)
        path = folder / f"{count}-{index}.png"
        Image.fromarray(pixels).save(path)
        samples.append(Sample(str(path), index % 2, ""))
    return tuple(samples)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("stages")
    folders = {name: root / name for name in ("images", "adapted", "quantized", "pivot")}
    for folder in folders.values():
        folder.mkdir()
    preprocessing = ImagePreprocessing(32, 32, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    spec = NetworkSpec("timm", "test_resnet", {}, 2, "fc", preprocessing)
    network = construct(spec)
    save_torch(network.state_dict(), folders["adapted"] / "network.safetensors")
    write_spec(spec, folders["adapted"] / "network.json")
    images = folders["images"]
    split = Split(("dark", "light"), _samples(images, 8), _samples(images, 6), (), "squash", "", "")
    run = trained(split, root)
    quantize_network(run, folders["adapted"], SCHEME, Gates(), None, folders["quantized"])
    export_pivot(run, folders["adapted"], {scheme_id(SCHEME): folders["quantized"]}, folders["pivot"])
    return Made(split, folders["adapted"], folders["quantized"], folders["pivot"])


def trained(split: Split, base: Path) -> Run:
    """One epoch of training on the lightly augmented shots."""
    quantize = {"method": "qat", "epochs": 1, "batch_size": 4}
    return small_run(split, base, profile=PROFILE, quantize=quantize, data={"train": ".", "augment": "light"})


def test_the_pivot_holds_the_float_and_the_integer_model_with_what_was_proven(made: Made) -> None:
    pivot = read_pivot(made.pivot)
    assert [(m.precision, m.scheme_id) for m in pivot.models] == [("float32", None), ("int8", scheme_id(SCHEME))]
    assert [m.parity.images for m in pivot.models if m.parity] == [6, 8]
    assert pivot.labels == ("dark", "light")
    assert len(pivot.golden_files) == 4


def test_the_integer_model_has_q_dq_and_the_float_model_has_none(made: Made) -> None:
    facts = [read_facts(made.pivot / model.file) for model in read_pivot(made.pivot).models]
    assert [fact.quantize > 0 for fact in facts] == [False, True]
    assert facts[0].input_shape == (None, 32, 32, 3)


def test_the_reference_covers_all_validation_images_in_order(made: Made) -> None:
    reference = load_file(made.pivot / "reference.safetensors")
    assert reference["logits"].shape == (6, 2)
    assert reference["labels"].tolist() == [sample.label for sample in made.split.val]


def test_golden_logits_are_what_the_float_model_answers_to_the_golden_inputs(made: Made) -> None:
    golden = load_file(made.pivot / "golden" / "logits.safetensors")
    inputs = np.stack([np.load(made.pivot / "golden" / f"{i}.input.npy") for i in range(4)])
    session = onnxruntime.InferenceSession(made.pivot / "float32.onnx")
    found = session.run(["logits"], {"image": inputs})[0]
    np.testing.assert_allclose(found, golden["float32"], atol=1e-4)
    assert set(golden) == {"float32", f"int8-{scheme_id(SCHEME)}"}


def test_the_record_tells_the_history_and_never_ends_worse_than_it_started(made: Made) -> None:
    record = read_quantize(made.quantized)
    losses = [epoch.loss for epoch in record.history]
    assert len(losses) == 2
    assert record.history[record.chosen_epoch].loss == min(losses)
    assert record.operators["conv"] > 0
    assert record.batch_norms_folded > 0


def test_training_leaves_the_float_reference_alone(made: Made) -> None:
    spec = read_spec(made.adapted / "network.json")
    network = rebuild(spec, made.adapted / "network.safetensors")
    images = normalize(load_batch(made.split.shots, spec.image), as_image(on_byte_lattice(spec.image, symmetric=False)))
    expected = network(torch.from_numpy(images)).detach().numpy()
    found = load_file(made.quantized / "reference.safetensors")["float_logits"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_one_seed_gives_the_same_bytes_twice(made: Made, tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    quantize_network(trained(made.split, tmp_path), made.adapted, SCHEME, Gates(), None, out)
    for name in ("network.onnx", "reference.safetensors"):
        assert (out / name).read_bytes() == (made.quantized / name).read_bytes(), name


def test_a_model_that_is_not_the_network_it_claims_to_be_is_refused(made: Made, tmp_path: Path) -> None:
    (quantized := tmp_path / "quantized").mkdir()
    (pivot := tmp_path / "pivot").mkdir()
    (quantized / "network.onnx").write_bytes((made.quantized / "network.onnx").read_bytes())
    reference = load_file(made.quantized / "reference.safetensors")
    save_file({name: values + 5 for name, values in reference.items()}, quantized / "reference.safetensors")
    with pytest.raises(ParityError, match=rf"int8-{scheme_id(SCHEME)}\.onnx: .* 8 examples"):
        export_pivot(small_run(made.split, tmp_path), made.adapted, {scheme_id(SCHEME): quantized}, pivot)
