"""Pretrain the small backbone inside the package on printed characters.

    python benchmarks/pretrain/pretrain.py --out edgetl/_data/backbones/printed_characters

Writes a folder timm loads by itself: `timm.create_model("local-dir:<folder>", pretrained=True)`.
The last step of the schedule is what is saved: nothing is selected on any other data.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import time
from pathlib import Path
from typing import Any

import PIL
import timm
import torch
import torch.nn.functional as F
from glyphs import CLASSES, Bank, Font, build_bank, distort, read_fonts, undistorted
from safetensors.torch import save_file
from torch import Tensor, nn

ARCHITECTURE = "resnet10t"
# Wide early stages give integer arithmetic something to win; the plain strided shortcut keeps the
# network to convolution, ReLU, addition and pooling, which every target runs in INT8.
MODEL_ARGS: dict[str, Any] = {"channels": [64, 96, 128, 128], "avg_down": False}
SIZE = 64
CARD = "card.json"
TRAINING_DATA = "printed digits and letters rendered from free fonts, distorted; no photograph, no scan"


def make_model() -> nn.Module:
    model: nn.Module = timm.create_model(ARCHITECTURE, num_classes=len(CLASSES), **MODEL_ARGS)
    return model


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices only: it has no meaning for biases and batch-norm scales."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def train(model: nn.Module, bank: Bank, args: argparse.Namespace) -> None:
    rng = torch.Generator().manual_seed(args.seed)
    optimizer = torch.optim.AdamW(parameter_groups(model, args.weight_decay), lr=args.lr)
    cycle: dict[str, Any] = {"pct_start": 0.05, "cycle_momentum": False, "final_div_factor": 1000}
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=args.steps, **cycle)
    model.train().to(memory_format=torch.channels_last)
    start, loss_sum, hits = time.perf_counter(), 0.0, 0.0
    for step in range(1, args.steps + 1):
        index = torch.multinomial(bank.weights, args.batch, replacement=True, generator=rng)
        pictures = distort(bank.glyphs[index], SIZE, rng).contiguous(memory_format=torch.channels_last)
        labels = bank.labels[index]
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            logits = model(pictures).float()
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        loss_sum += loss.item()
        hits += (logits.argmax(1) == labels).float().mean().item()
        if step % args.log == 0:
            took = time.perf_counter() - start
            mean_loss, mean_hits = loss_sum / args.log, hits / args.log
            print(f"step {step} loss {mean_loss:.3f} top1 {mean_hits:.3f} {took:.0f} s", flush=True)
            loss_sum = hits = 0.0
        if step % args.snapshot == 0:
            save(model, args.out)


@torch.inference_mode()
def accuracy(model: nn.Module, bank: Bank, pictures: Tensor) -> dict[str, float]:
    """Top-1 weighted so that every class and family counts alike; `digits` among the ten digits only."""
    logits = torch.cat([model(part) for part in torch.split(pictures, 256)])
    hit = (logits.argmax(1) == bank.labels).double()
    digit = bank.labels < 10
    digit_hit = (logits[digit, :10].argmax(1) == bank.labels[digit]).double()
    digit_weight = bank.weights[digit]
    return {
        "all_classes": float((hit * bank.weights).sum() / bank.weights.sum()),
        "digits": float((digit_hit * digit_weight).sum() / digit_weight.sum()),
    }


def evaluate(model: nn.Module) -> dict[str, dict[str, float]]:
    """Printed-character accuracy on font families never trained on."""
    model.eval()
    bank = build_bank("test", hand_weight=1.0, digit_share=10 / len(CLASSES))
    rng = torch.Generator().manual_seed(0)
    return {
        "clean_32x32": accuracy(model, bank, undistorted(bank.glyphs, SIZE, 32)),
        "clean_8x8": accuracy(model, bank, undistorted(bank.glyphs, SIZE, 8)),
        "distorted": accuracy(model, bank, distort(bank.glyphs, SIZE, rng)),
    }


def half_matrices(model: nn.Module) -> dict[str, Tensor]:
    """float16 for matrices, float32 for what batch norms need exactly."""
    state = model.state_dict()
    return {k: (v.half() if v.ndim > 1 else v).contiguous().clone() for k, v in state.items()}


def timm_config() -> dict[str, Any]:
    """config.json as timm's own loader reads it."""
    return {
        "architecture": ARCHITECTURE,
        "num_classes": len(CLASSES),
        "num_features": MODEL_ARGS["channels"][-1],
        "global_pool": "avg",
        "model_args": MODEL_ARGS,
        "pretrained_cfg": {
            "tag": "printed_characters",
            "custom_load": False,
            "input_size": [3, SIZE, SIZE],
            "fixed_input_size": False,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "num_classes": len(CLASSES),
            "pool_size": [2, 2],
            "first_conv": "conv1.0",
            "classifier": "fc",
            "license": "apache-2.0",
            "label_names": CLASSES,
        },
    }


def describe(font: Font) -> str:
    return f"{font.package} ({font.licence}{', held out' if font.split == 'test' else ''})"


def versions() -> dict[str, str]:
    tools = {"torch": torch.__version__, "timm": timm.__version__, "pillow": PIL.__version__}
    return {"python": platform.python_version(), **tools}


def card(
    args: argparse.Namespace, weights: Path, results: dict[str, Any], seconds: float, faces: int
) -> dict[str, Any]:
    model = make_model()
    return {
        "name": "printed_characters",
        "licence": "Apache-2.0",
        "architecture": ARCHITECTURE,
        "model_args": MODEL_ARGS,
        "input": f"{SIZE}x{SIZE} RGB, bilinear, mean 0.5, std 0.5",
        "parameters": sum(p.numel() for p in model.parameters()),
        "classes": "".join(CLASSES),
        "classes_note": "letters whose capital has the same shape share one class",
        "training_data": TRAINING_DATA,
        "fonts": [describe(font) for font in read_fonts()],
        "font_faces_trained": faces,
        "script": "benchmarks/pretrain/pretrain.py",
        "settings": {k: v for k, v in vars(args).items() if k not in ("out", "log", "threads", "snapshot")},
        "seed": args.seed,
        "training_seconds": round(seconds),
        "versions": versions(),
        "accuracy_held_out_fonts": results,
        "transfer": "benchmarks/pretrain/transfer.json",
        "sha256": {weights.name: hashlib.sha256(weights.read_bytes()).hexdigest()},
    }


def save(model: nn.Module, out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    weights = out / "model.safetensors"
    save_file(half_matrices(model), weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # a wheel carries the mode along
    (out / "config.json").write_text(json.dumps(timm_config(), indent=2) + "\n", encoding="utf-8")
    return weights


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--hand-weight", type=float, default=3.0, help="weight of handwriting-like faces")
    parser.add_argument("--digit-share", type=float, default=0.4, help="share of digits in a batch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--log", type=int, default=200, help="steps between two lines of output")
    parser.add_argument("--snapshot", type=int, default=1000, help="steps between two writes of the folder")
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    bank = build_bank("train", args.hand_weight, args.digit_share)
    print(f"{len(bank.labels)} glyphs from {bank.faces} faces, {len(CLASSES)} classes", flush=True)
    model = make_model()
    start = time.perf_counter()
    train(model, bank, args)
    seconds = time.perf_counter() - start
    weights = save(model, args.out)
    # Measured on the file as timm reads it back, not on the network in memory.
    results = evaluate(timm.create_model(f"local-dir:{args.out}", pretrained=True))
    text = json.dumps(card(args, weights, results, seconds, bank.faces), indent=2, ensure_ascii=False)
    (args.out / CARD).write_text(text + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2), weights.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
