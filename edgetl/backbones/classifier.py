"""The classifier of a network: its last linear layer, and the features that go into it."""

from __future__ import annotations

from torch import Tensor, nn

from edgetl.errors import UsageError

Head = nn.Linear | nn.Conv2d


def find_head(network: nn.Module, num_classes: int) -> str:
    """Name of the linear layer (or 1x1 convolution) that gives the logits. Raises UsageError if there is not
    exactly one."""
    stated = getattr(network, "classifier", None)  # of the user's own network
    getter = getattr(network, "get_classifier", None)  # timm's
    if getter is not None:
        names = _layers_of(network, getter(), num_classes)
    elif isinstance(stated, str):
        names = [name for name, module in network.named_modules() if name == stated and _outputs(module) == num_classes]
    else:
        names = [name for name, module in network.named_modules() if _outputs(module) == num_classes][-1:]
    if len(names) != 1:
        raise UsageError(
            f"{type(network).__name__}: expected one linear classifier of {num_classes} outputs; found "
            f"{', '.join(names) or 'none'}; choose a backbone with one linear classifier, such as "
            "mobilenetv4_conv_small"
        )
    return names[0]


def _layers_of(network: nn.Module, classifier: object, num_classes: int) -> list[str]:
    """Names of the layers that give the logits in timm's classifier: the layer itself, or a module with a norm, pooling
    or a hidden layer before it."""
    outer = [name for name, module in network.named_modules() if module is classifier and name]
    return [
        f"{name}.{inner}".rstrip(".")
        for name in outer
        for inner, module in network.get_submodule(name).named_modules()
        if _outputs(module) == num_classes
    ]


def get_head(network: nn.Module, name: str) -> Head:
    """The layer that `find_head` named."""
    head = network.get_submodule(name)
    assert isinstance(head, (nn.Linear, nn.Conv2d)), name
    return head


def features(network: nn.Module, head: str, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Run the network: (features (N, F), logits (N, classes)).

    Features are the input of the classifier, averaged over positions if it is a convolution: pooling and a linear
    layer commute, so a linear function of them can be written into the classifier exactly.
    """
    caught: list[Tensor] = []
    hook = get_head(network, head).register_forward_pre_hook(lambda _, arguments: caught.append(arguments[0]))
    try:
        logits = network(inputs)
    finally:
        hook.remove()
    (entering,) = caught
    convolution = isinstance(get_head(network, head), nn.Conv2d)
    if entering.ndim == 2:
        return entering, logits
    return (entering.flatten(2).mean(2) if convolution else entering.flatten(1, -2).mean(1)), logits


def set_head(network: nn.Module, name: str, weight: Tensor, bias: Tensor) -> None:
    """Write weight (classes, F) and bias (classes,) into the classifier."""
    head = get_head(network, name)
    head.weight.data.copy_(weight.reshape(head.weight.shape))
    if head.bias is not None:
        head.bias.data.copy_(bias)


def _outputs(module: nn.Module) -> int | None:
    if isinstance(module, nn.Linear):
        return module.out_features
    if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1:
        return module.out_channels
    return None
