"""Batch norms after surgery: every layer's output gets its previous mean and variance.

With other activations and constant gates, the inputs of a batch norm have other moments than in training. Measuring its
statistics again would only restore the moments of the pretraining set; here it gets the moments that the float network
has on the same images.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Moments = tuple[Tensor, Tensor]  # mean and variance per channel, (C,) each

_DEAD = 1e-12  # variance of a channel that is constant but for rounding; it keeps its scale


@torch.no_grad()
def match_moments(student: nn.Module, teacher: nn.Module, images: Tensor) -> int:
    """Set the running statistics of the batch norms of `student`, in eval mode; returns how many were set.

    images  float32 (n, 3, H, W), normalized, on the networks' device: one batch, since each layer's moments are only
            right once those of all layers before it are

    A norm computes w (x - m) / sqrt(v + e) + b. Where its input had moments (m_t, v_t) in the teacher and has (m_s,
    v_s) in the student, its output keeps mean and variance with v' + e = (v + e) v_s / v_t and
    m' = m_s - (m_t - m) sqrt((v' + e) / (v + e)). Where that would need a negative v', 0 comes closest.
    """
    expected: dict[str, Moments] = {}

    def remember(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            expected.setdefault(name, _moments(inputs[0]))

        return hook

    def adjust(name: str) -> Callable[..., None]:
        def hook(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            wanted = expected.pop(name, None)  # a norm that runs twice is set by its first input
            if wanted is not None:
                assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
                _adjust(norm, _moments(inputs[0]), wanted)

        return hook

    _run(teacher, images, remember)
    count = len(expected)
    _run(student, images, adjust)
    return count - len(expected)


def _run(network: nn.Module, images: Tensor, hook: Callable[[str], Callable[..., None]]) -> None:
    hooks = [
        module.register_forward_pre_hook(hook(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]
    try:
        network.eval()(images)
    finally:
        for each in hooks:
            each.remove()


def _adjust(norm: nn.modules.batchnorm._BatchNorm, found: Moments, wanted: Moments) -> None:
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    alive = (found[1] > _DEAD) & (wanted[1] > _DEAD)
    ratio = torch.where(alive, found[1] / wanted[1].clamp(min=_DEAD), 1.0)
    new = ((variance + norm.eps) * ratio - norm.eps).clamp(min=0)
    mean.copy_(found[0] - (wanted[0] - mean) * ((new + norm.eps) / (variance + norm.eps)).sqrt())
    variance.copy_(new)


def _moments(x: Tensor) -> Moments:
    flat = x.detach().movedim(1, 0).flatten(1)
    return flat.mean(1), flat.var(1, unbiased=False)
