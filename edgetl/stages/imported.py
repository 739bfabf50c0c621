"""The import stage: the user's own network, in the place of an adapted one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgetl.recipes.run import Run
from edgetl.stages.keys import network_tools, samples_digest
from edgetl.store.results import StageResult


def import_stage(run: Run) -> StageResult:
    """The network of the recipe's section `network`, checked and brought to one form."""
    from edgetl.imported.read import network_digest

    recipe = run.job.recipe
    network = recipe.network
    assert network is not None

    def make(out: Path) -> None:
        from edgetl.imported.network import import_network

        import_network(run, out)

    config: dict[str, Any] = {
        "network": network.identity(),
        "resize": recipe.data.resize,
        "sanity": recipe.adapt.sanity,
        "seed": run.job.profile.seed,
        "tools": network_tools(recipe),
    }
    file = (run.job.base / Path(network.file).expanduser()).resolve()
    inputs = {"shots": samples_digest(run.split, run.split.shots), "network": network_digest(file)}
    return run.store.once("import", 3, config, make, inputs=inputs)
