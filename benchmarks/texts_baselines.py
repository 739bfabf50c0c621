"""What `auto` is compared with in `texts.py`: three plain ways to use the same network, tokens and shots."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional

from edgetl.backbones.classifier import features
from edgetl.backbones.examples import load_raw, normalize
from edgetl.backbones.text.classifier import TextClassifier
from edgetl.types import Sample, TextPreprocessing

VERSION = "1"
_BATCH, _RATE, _CONTRAST_RATE, _TEMPERATURE = 16, 1e-4, 5e-5, 0.3
_VIEWS, _FEWEST, _MOST = 640, 4, 20
_WARM_UP = 0.1


Labels = NDArray[np.int64]


def classified(network: TextClassifier, p: TextPreprocessing, shots: Sequence[Sample], val: Sequence[Sample]) -> Labels:
    """What the network itself says, as it is."""
    return np.concatenate([network(part).argmax(1).numpy() for part in _tokens(p, val)])


def logistic(network: TextClassifier, p: TextPreprocessing, shots: Sequence[Sample], val: Sequence[Sample]) -> Labels:
    """Logistic regression on the frozen network's pooled states, of length one."""
    fitted = LogisticRegression(C=10.0, max_iter=1000).fit(embedded(network, p, shots), _labels(shots))
    return np.asarray(fitted.predict(embedded(network, p, val)))


def plain(network: TextClassifier, p: TextPreprocessing, shots: Sequence[Sample], val: Sequence[Sample]) -> Labels:
    """Cross entropy over all layers and a fresh classifier; the tables of embeddings stay."""
    tuned = _trained(network, p, shots, _RATE, contrast=False)
    return classified(tuned, p, shots, val)


def contrastive(
    network: TextClassifier, p: TextPreprocessing, shots: Sequence[Sample], val: Sequence[Sample]
) -> Labels:
    """As SetFit does it: texts of a class are brought together, then logistic regression."""
    return logistic(_trained(network, p, shots, _CONTRAST_RATE, contrast=True), p, shots, val)


def embedded(network: TextClassifier, p: TextPreprocessing, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """(N, F): what enters the classifier, of length one."""
    rows = torch.cat([features(network, "head", part)[0] for part in _tokens(p, samples)])
    return functional.normalize(rows).numpy()


@torch.no_grad()
def _tokens(p: TextPreprocessing, samples: Sequence[Sample]) -> list[Tensor]:
    return [normalize(load_raw(samples[start : start + 8], p), p) for start in range(0, len(samples), 8)]


def _labels(samples: Sequence[Sample]) -> Labels:
    return np.array([sample.label for sample in samples], np.int64)


def _trained(
    network: TextClassifier, p: TextPreprocessing, shots: Sequence[Sample], rate: float, *, contrast: bool
) -> TextClassifier:
    torch.manual_seed(0)
    tuned = copy.deepcopy(network).train()
    frozen = [parameter for part in tuned.stem for parameter in tuned.get_submodule(part).parameters()]
    tuned.requires_grad_(True)
    for parameter in frozen:
        parameter.requires_grad_(False)
    nn.init.normal_(tuned.head.weight, std=0.02)
    tokens, labels = load_raw(shots, p), torch.from_numpy(_labels(shots))
    epochs = min(max(-(-_VIEWS // len(shots)), _FEWEST), _MOST)
    steps = epochs * -(-len(shots) // _BATCH)
    optimizer = torch.optim.AdamW([each for each in tuned.parameters() if each.requires_grad], weight_decay=0.01)
    for step in range(steps):
        batch = torch.randperm(len(shots))[:_BATCH]
        for group in optimizer.param_groups:
            group["lr"] = rate * min((step + 1) / max(1, _WARM_UP * steps), 1 - step / steps)
        pooled, logits = features(tuned, "head", normalize(tokens[batch], p))
        loss = _together(pooled, labels[batch]) if contrast else functional.cross_entropy(logits, labels[batch])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return tuned.eval().requires_grad_(False)


def _together(pooled: Tensor, labels: Tensor) -> Tensor:
    directions = functional.normalize(pooled)
    alone = torch.eye(len(labels), dtype=torch.bool)
    same = (labels[:, None] == labels[None]) & ~alone
    likeness = (directions @ directions.T / _TEMPERATURE).masked_fill(alone, -1e9)
    share = likeness.log_softmax(1)
    found = same.any(1)
    return -((share * same).sum(1) / same.sum(1).clamp_min(1))[found].mean()
