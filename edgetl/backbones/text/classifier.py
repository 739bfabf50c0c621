"""The one shape of every text network: tokens, states of an encoder, one vector for the text, a linear classifier."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

Pooling = Literal["mean", "first", "last"]


class TextClassifier(nn.Module):
    """Tokens int64 (N, L), filled up at the end with `pad` -> logits (N, num_classes); any N and L from 1.

    encoder  called as `encoder(input_ids=tokens, attention_mask=mask)`, mask int64 (N, L) with 1 at real tokens; gives
             an object whose `last_hidden_state` is (N, L, width)
    pooling  over real tokens: their mean, the first one, or the last one
    """

    def __init__(self, encoder: nn.Module, width: int, num_classes: int, pad: int, pooling: Pooling) -> None:
        super().__init__()
        self.encoder = encoder
        self.pad, self.pooling = pad, pooling
        self.head = nn.Linear(width, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        mask = (tokens != self.pad).long()
        states = self.encoder(input_ids=tokens, attention_mask=mask).last_hidden_state
        logits: Tensor = self.head(self._pooled(states, mask))
        return logits

    @property
    def stem(self) -> tuple[str, ...]:
        """Parts that turn tokens into vectors."""
        return tuple(part for part in self.parts if _looks_up(self.get_submodule(part)))

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of what carries parameters, from input to output, layers one by one; without the classifier."""
        found = list(_opened(self.encoder, "encoder"))
        return tuple(sorted(found, key=lambda part: not _looks_up(self.get_submodule(part))))

    def _pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "first":
            return states[:, 0]
        count = mask.sum(1, keepdim=True).clamp_min(1)
        if self.pooling == "last":
            return states.gather(1, (count - 1)[:, :, None].expand(-1, -1, states.shape[2])).squeeze(1)
        return (states * mask[:, :, None].to(states.dtype)).sum(1) / count.to(states.dtype)


def _opened(module: nn.Module, name: str) -> list[str]:
    """The parts of an encoder: lists of layers are opened, and modules that hold such a list."""
    found = []
    for inner, child in module.named_children():
        if not any(True for _ in child.parameters()):
            continue
        whole = f"{name}.{inner}"
        lists = isinstance(child, nn.ModuleList) or any(isinstance(each, nn.ModuleList) for each in child.children())
        found += _opened(child, whole) if lists else [whole]
    return found


def _looks_up(module: nn.Module) -> bool:
    return any(isinstance(each, nn.Embedding) for each in module.modules())
