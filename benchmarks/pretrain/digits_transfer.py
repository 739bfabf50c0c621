"""Ten handwritten digits a class: what the pretrained backbone is worth.

    python benchmarks/pretrain/digits_transfer.py edgetl/_data/backbones/printed_characters --draws 20

The handwritten digits are the 1,797 scans of 8x8 cells that come with scikit-learn. In every draw
ten a class are for training, and all others are the test. Compared are logistic regression on the
raw pixels, logistic regression on the frozen features, fine-tuning the whole network, and the
pretrained network as it is.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

CLASSES = 10


@dataclass(frozen=True)
class Settings:
    """Fine-tuning: every field can be given as a `--set name=value`."""

    lr: float = 3e-4
    head_lr: float = 3e-3
    weight_decay: float = 0.05
    epochs: int = 20
    batch: int = 32
    label_smoothing: float = 0.1
    rotate: float = 10.0  # degrees
    shift: float = 0.06  # of the side
    scale: float = 0.1
    probe: bool = True  # start the classifier from the logistic regression
    train_norms: bool = False  # batch-norm statistics stay frozen unless set


def load_scans(size: int) -> tuple[Tensor, Tensor]:
    """The scans as the tool sees them: gray 0..255 at 8x8, resized bilinearly, three equal channels."""
    digits = load_digits()
    gray = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    resized = [np.asarray(Image.fromarray(g).resize((size, size), Image.Resampling.BILINEAR)) for g in gray]
    pictures = torch.from_numpy(np.stack(resized)).float().div(127.5).sub(1).unsqueeze(1)
    return pictures.expand(-1, 3, -1, -1), torch.from_numpy(digits.target).long()


def draw(labels: Tensor, shots: int, seed: int) -> tuple[Tensor, Tensor]:
    """Stratified: indices of `shots` training images a class, and of all the others."""
    order = np.random.default_rng(seed).permutation(len(labels))
    train = np.concatenate([order[labels[order].numpy() == c][:shots] for c in range(CLASSES)])
    rest = np.setdiff1d(order, train)
    return torch.from_numpy(train), torch.from_numpy(rest)


def load_backbone(folder: Path) -> nn.Module:
    model: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=CLASSES)
    return model


@torch.inference_mode()
def features(folder: Path, pictures: Tensor) -> Tensor:
    model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    return torch.cat([model(part) for part in torch.split(pictures, 256)])


def unadapted(folder: Path, pictures: Tensor, labels: Tensor) -> float:
    """Top-1 of the pretrained classifier itself: its first ten classes are the printed digits."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    model.get_submodule("fc").register_forward_hook(lambda _module, _inputs, output: output[:, :CLASSES])
    return top1(model, pictures, labels)


def fit_probe(inputs: Tensor, labels: Tensor) -> LogisticRegression:
    return LogisticRegression(max_iter=2000).fit(inputs.numpy(), labels.numpy())


def augment(pictures: Tensor, settings: Settings, rng: torch.Generator) -> Tensor:
    """A small rotation, shift and change of scale; the ground (-1) fills what comes in."""
    n = len(pictures)

    def within(limit: float) -> Tensor:
        return (torch.rand(n, generator=rng) * 2 - 1) * limit

    angle = within(math.radians(settings.rotate))
    zoom = 1 + within(settings.scale)
    dx, dy = within(2 * settings.shift), within(2 * settings.shift)
    rows = [
        torch.stack([angle.cos() * zoom, -angle.sin() * zoom, dx], 1),
        torch.stack([angle.sin() * zoom, angle.cos() * zoom, dy], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures + 1, grid, align_corners=False) - 1


def set_probe(model: nn.Module, probe: LogisticRegression) -> None:
    head = model.get_submodule("fc")
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(probe.coef_))
        head.bias.copy_(torch.from_numpy(probe.intercept_))


def fine_tune(model: nn.Module, pictures: Tensor, labels: Tensor, settings: Settings, seed: int) -> float:
    """Train in place; returns seconds per epoch."""
    rng = torch.Generator().manual_seed(seed)
    head = list(model.get_submodule("fc").parameters())
    body = [p for name, p in model.named_parameters() if not name.startswith("fc.")]
    groups = [{"params": body, "lr": settings.lr}, {"params": head, "lr": settings.head_lr}]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    steps = settings.epochs * math.ceil(len(labels) / settings.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.train(settings.train_norms)
    start = time.perf_counter()
    for _ in range(settings.epochs):
        for index in torch.split(torch.randperm(len(labels), generator=rng), settings.batch):
            logits = model(augment(pictures[index], settings, rng))
            loss = F.cross_entropy(logits, labels[index], label_smoothing=settings.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    model.eval()
    return (time.perf_counter() - start) / settings.epochs


@torch.inference_mode()
def top1(model: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    logits = torch.cat([model(part) for part in torch.split(pictures, 256)])
    return 100 * float((logits.argmax(1) == labels).double().mean())


def summary(values: list[float]) -> dict[str, float]:
    """Mean over draws with its 95 % interval (normal approximation), and the worst draw."""
    half = 1.96 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    mean = statistics.fmean(values)
    named = {"mean": mean, "low": mean - half, "high": mean + half, "min": min(values), "max": max(values)}
    return {name: round(value, 2) for name, value in named.items()}


@torch.inference_mode()
def milliseconds(model: nn.Module, picture: Tensor) -> float:
    """Median time of one picture in eager mode."""
    times = []
    for _ in range(120):
        start = time.perf_counter()
        model(picture)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[20:])


def parse_args() -> tuple[argparse.Namespace, Settings]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("backbone", type=Path, help="folder with config.json and model.safetensors")
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting")
    args = parser.parse_args()
    given = {name: json.loads(value) for name, value in (item.split("=", 1) for item in args.set)}
    return args, Settings(**given)


def main() -> None:
    args, settings = parse_args()
    torch.set_num_threads(args.threads)
    size = int(json.loads((args.backbone / "config.json").read_text())["pretrained_cfg"]["input_size"][-1])
    pictures, labels = load_scans(size)
    raw = torch.from_numpy(load_digits().data).float() / 16
    frozen = features(args.backbone, pictures)
    scores: dict[str, list[float]] = {"raw_pixels": [], "frozen_features": [], "fine_tuned": []}
    epoch_seconds: list[float] = []
    for seed in range(args.first_seed, args.first_seed + args.draws):
        train, rest = draw(labels, args.shots, seed)
        scores["raw_pixels"].append(100 * fit_probe(raw[train], labels[train]).score(raw[rest], labels[rest]))
        probe = fit_probe(frozen[train], labels[train])
        scores["frozen_features"].append(100 * probe.score(frozen[rest], labels[rest]))
        torch.manual_seed(seed)
        model = load_backbone(args.backbone)
        if settings.probe:
            set_probe(model, probe)
        epoch_seconds.append(fine_tune(model, pictures[train], labels[train], settings, seed))
        scores["fine_tuned"].append(top1(model, pictures[rest], labels[rest]))
        print(seed, *(f"{name} {values[-1]:.2f}" for name, values in scores.items()), flush=True)
    result = {
        "settings": vars(settings),
        "shots": args.shots,
        "draws": args.draws,
        "first_seed": args.first_seed,
        "top1_unadapted": round(unadapted(args.backbone, pictures, labels), 2),
        "top1": {name: summary(values) for name, values in scores.items()},
        "seconds_per_epoch": round(statistics.median(epoch_seconds), 3),
        "torch_ms_per_image": round(milliseconds(model, pictures[:1]), 2),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
