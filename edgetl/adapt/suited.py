"""The settings of fine-tuning as they suit the network of a run."""

from __future__ import annotations

from typing import Any

from edgetl.recipes.recipe import Adapt
from edgetl.recipes.run import Run

_FROM_SCRATCH = {"epochs": 120, "batch_size": 16, "batch_norm": "trained", "learning_rate": 2e-3}
_NOT_TRAINED = {"batch_norm": "reestimated"}
_WORDS_FROM_SCRATCH = {"epochs": 60, "batch_size": 16, "learning_rate": 2e-3}
_TEXTS_IN_ALL = 640  # that a network reads in training
_FEWEST_EPOCHS, _MOST_EPOCHS = 4, 20
_COMPARED = 16  # texts of a batch, which the contrastive loss compares
_LEAST_MINUTES, _SHOTS_OF_LEAST = 5.0, 167  # more shots have more anyway


def suited(run: Run) -> Adapt:
    """The recipe's settings; for series and texts what the recipe leaves out suits small networks without pretrained
    weights, and pretrained networks of texts: transformers, and recurrent ones of `edgetl pretrain`.

    Batch norms of the former know nothing yet, a step costs a thousandth of that of an image network, and rates that
    keep pretrained weights would not move random ones. The latter read 640 texts in all, each 4 to 20 times.
    """
    recipe = run.job.recipe
    if recipe.front == "text":
        usual = _of_pretrained_texts(len(run.split.shots)) if recipe.backbone.pretrained else _WORDS_FROM_SCRATCH
    elif recipe.front != "series" or recipe.backbone.weights is not None:
        return recipe.adapt
    else:
        usual = _NOT_TRAINED if recipe.backbone.name == "minirocket" else _FROM_SCRATCH
    return recipe.adapt.model_copy(
        update={key: value for key, value in usual.items() if key not in recipe.adapt.model_fields_set}
    )


def _of_pretrained_texts(shots: int) -> dict[str, Any]:
    epochs = min(max(-(-_TEXTS_IN_ALL // max(shots, 1)), _FEWEST_EPOCHS), _MOST_EPOCHS)
    budget = {"budget_minutes": _LEAST_MINUTES} if shots < _SHOTS_OF_LEAST else {}
    return {"epochs": epochs, "batch_size": _COMPARED, **budget}
