"""The contact sheet: one row of images per cluster, the most central first, in one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from edgetl.explore.cluster.kmeans import Clusters
from edgetl.explore.cluster.propose import Proposal
from edgetl.report.pictures import data_uri
from edgetl.types import Progress, Sample

PER_CLUSTER = 10

_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Clusters</title>
<style>
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 2rem; } h2 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; }
figure { margin: 0; width: 128px; } img { width: 128px; height: 128px; object-fit: contain; background: #8882; }
figcaption { font-size: .7rem; overflow-wrap: anywhere; }
</style>
"""


def write_sheet(
    images: Sequence[Sample], clusters: Clusters, proposals: Sequence[Proposal], path: Path, progress: Progress
) -> None:
    """Write the sheet; images are small copies inside the file, at most PER_CLUSTER of each cluster."""
    parts = [_HEAD, f"<h1>{len(images)} images in {len(clusters.centers)} clusters</h1>\n"]
    with progress.task("contact sheet", total=len(clusters.centers) + 1) as advance:
        if proposals:
            parts.append(
                _row("Label next", [(images[each.index], each.reason) for each in proposals[: 2 * PER_CLUSTER]])
            )
        advance()
        for cluster in range(len(clusters.centers)):
            members = np.flatnonzero(clusters.labels == cluster)
            central = members[np.argsort(-clusters.similarity[members], kind="stable")][:PER_CLUSTER]
            shown = [(images[index], f"{clusters.similarity[index]:.2f}") for index in central.tolist()]
            parts.append(_row(f"Cluster {cluster}: {len(members)} images", shown))
            advance()
    path.write_text("".join(parts) + "</html>\n", encoding="utf-8")


def _row(title: str, shown: Sequence[tuple[Sample, str]]) -> str:
    figures = "".join(
        f'<figure><img src="{data_uri(Path(sample.path))}" alt="{escape(Path(sample.path).name)}">'
        f"<figcaption>{escape(Path(sample.path).name)} · {escape(note)}</figcaption></figure>"
        for sample, note in shown
    )
    return f'<h2>{escape(title)}</h2>\n<div class="row">{figures}</div>\n'
