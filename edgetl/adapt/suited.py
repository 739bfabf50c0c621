"""The settings of fine-tuning as they suit the network of a run."""

from __future__ import annotations

from edgetl.recipes.recipe import Adapt
from edgetl.recipes.run import Run

_FROM_SCRATCH = {"epochs": 120, "batch_size": 16, "batch_norm": "trained", "learning_rate": 2e-3}
_NOT_TRAINED = {"batch_norm": "reestimated"}


def suited(run: Run) -> Adapt:
    """The recipe's settings; for series what the recipe leaves out suits small networks without pretrained weights.

    Their batch norms know nothing yet, a step costs a thousandth of that of an image network, and rates that keep
    pretrained weights would not move random ones.
    """
    recipe = run.job.recipe
    if recipe.front != "series" or recipe.backbone.weights is not None:
        return recipe.adapt
    usual = _NOT_TRAINED if recipe.backbone.name == "minirocket" else _FROM_SCRATCH
    return recipe.adapt.model_copy(
        update={key: value for key, value in usual.items() if key not in recipe.adapt.model_fields_set}
    )
