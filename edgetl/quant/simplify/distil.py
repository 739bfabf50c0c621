"""Training after surgery, with the float network as teacher: logits and features should stay the same.

With few shots the logits alone say little, because the teacher has memorized its shots. So activations inside the
network are compared too (hints, Romero et al. 2015, arXiv:1412.6550). Batch-norm statistics stay as matched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from edgetl.backbones.classifier import features
from edgetl.backbones.freeze import blocks
from edgetl.quant.imitation import distillation_loss
from edgetl.quant.record import Epoch
from edgetl.quant.train import Views, train_epochs
from edgetl.recipes.recipe import Surgery
from edgetl.types import Progress, Silent

FEATURE_WEIGHT = 1.0  # of pooled features and of stages, whose errors are shares of what the teacher puts out
MOST_PER_EPOCH = 200  # shots in an epoch; of more, each epoch draws others, so that time has a bound

Watched = dict[str, Tensor]


def distil(
    student: nn.Module, teacher: nn.Module, head: str, views: Views, config: Surgery, progress: Progress | None = None
) -> list[Epoch]:
    """Train `student` in place, leave it at its best epoch in eval mode; returns the history, epoch 0 first.

    student, teacher  float32 (n, 3, H, W) -> (n, classes), on the views' device; same stages and classifier `head`
    loss of an epoch  `loss_of` on the plain views of the first (at most 200) shots, which training does not see; the
                      start counts as a candidate, so the result is never further from the teacher than that
    """
    progress = progress or Silent()
    both = _Pair(student.eval(), teacher.eval(), head, config)

    def loss_of_batch(batch: list[int]) -> Tensor:
        return both.compare(views.augmented(batch))[0]

    def judge(epoch: int, trained: float | None) -> Epoch:
        return _judge(both, views, epoch=epoch, trained=trained)

    history = train_epochs(
        student, config, views.count, loss_of_batch, judge, "surgery: train", progress, MOST_PER_EPOCH
    )
    student.requires_grad_(False)
    return history


def loss_of(student: Watched, teacher: Watched, temperature: float) -> Tensor:
    """KL of the logits + FEATURE_WEIGHT * (error of the pooled features + mean error of the stages), a scalar.

    An error is normalized: mean (s - t)^2 / mean t^2. Keys: `logits`, `features` and the names of the stages.
    """
    stages = [name for name in teacher if name not in ("logits", "features")]
    errors = _relative_error(student["features"], teacher["features"])
    if stages:
        errors = errors + sum(_relative_error(student[name], teacher[name]) for name in stages) / len(stages)
    return distillation_loss(student["logits"], teacher["logits"], temperature) + FEATURE_WEIGHT * errors


def stages(network: nn.Module, head: str) -> list[str]:
    """Names of the parts of a network that hold both convolutions and batch norms, from input to output."""
    return [
        name
        for name in dict.fromkeys(blocks(network, head))
        if name in dict(network.named_modules())
        and {nn.Conv2d, nn.BatchNorm2d} <= {kind for kind in (nn.Conv2d, nn.BatchNorm2d) if _holds(network, name, kind)}
    ]


class _Pair:
    """Student and teacher, run on the same images and compared."""

    def __init__(self, student: nn.Module, teacher: nn.Module, head: str, config: Surgery) -> None:
        self._student, self._teacher, self._head, self.config = student, teacher, head, config
        self._stages = stages(teacher, head)

    def compare(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The loss on images (n, 3, H, W), and which of them get the teacher's class, (n,) bool."""
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            wanted = self._watch(self._teacher, images)
        found = self._watch(self._student, images)
        same = found["logits"].detach().argmax(1) == wanted["logits"].argmax(1)
        return loss_of(found, wanted, self.config.temperature), same

    def _watch(self, network: nn.Module, images: Tensor) -> Watched:
        with _outputs(network, self._stages) as caught:
            pooled, logits = features(network, self._head, images)
        return {**caught, "features": pooled, "logits": logits}


@contextmanager
def _outputs(network: nn.Module, names: Sequence[str]) -> Iterator[Watched]:
    caught: Watched = {}

    def catch(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            caught[name] = output

        return hook

    hooks = [network.get_submodule(name).register_forward_hook(catch(name)) for name in names]
    try:
        yield caught
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def _judge(both: _Pair, views: Views, *, epoch: int, trained: float | None) -> Epoch:
    loss, same, count = 0.0, 0, min(views.count, MOST_PER_EPOCH)
    # the beginning, since shots are ordered class by class in turn; the same ones after every epoch
    for start in range(0, count, both.config.batch_size):
        indices = range(start, min(start + both.config.batch_size, count))
        part, agreeing = both.compare(views.plain(indices))
        loss += float(part) * len(indices)
        same += int(agreeing.sum())
    return Epoch(epoch, loss / count, same / count, trained)


def _relative_error(found: Tensor, wanted: Tensor) -> Tensor:
    return (found - wanted).square().mean() / wanted.square().mean().clamp(min=1e-12)


def _holds(network: nn.Module, name: str, kind: type[nn.Module]) -> bool:
    return any(isinstance(module, kind) for module in network.get_submodule(name).modules())
