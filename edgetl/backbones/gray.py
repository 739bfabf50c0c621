"""Converts networks for gray images to three equal channels."""

from __future__ import annotations

from torch import Tensor, nn

from edgetl.backbones.plan import Native, Plan
from edgetl.errors import UsageError, WeightsError


def spread_stem(
    network: nn.Module, tensors: dict[str, Tensor], plan: Plan, where: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """`tensors` with the weights of a stem for one channel divided by three and repeated, and a note about it.

    A gray image is decoded to three equal channels. With the same mean and std for all of them, the sum over the
    channels equals the original stem's result. Raises WeightsError if they differ.
    """
    state = network.state_dict()
    gray = [name for name, tensor in tensors.items() if name in state and _one_for_three(tensor, state[name])]
    if plan.gray and not gray:
        raise UsageError(f"{where}: its config.json says 1 channel, but its weights are for three")
    if not gray:
        return tensors, ()
    assert isinstance(plan.native, Native)
    if len({*plan.native.mean}) > 1 or len({*plan.native.std}) > 1:
        raise WeightsError(
            f"{where}: made for 1 channel, and `{plan.architecture}` has a different mean and std for each color; "
            f"name a "
            "`local-dir:` folder whose config.json has the one mean and std that the network was trained with"
        )
    changed = {name: (tensors[name].float() / 3).repeat(1, 3, 1, 1) for name in gray}
    note = f"made for 1 channel: {gray[0]} is divided by 3 and repeated, which gives the same result for gray images"
    return {**tensors, **changed}, (note,)


def _one_for_three(have: Tensor, want: Tensor) -> bool:
    wanted = (want.shape[0], 1, *want.shape[2:]) if want.ndim == 4 else ()
    return want.ndim == 4 and want.shape[1] == 3 and tuple(have.shape) == wanted
