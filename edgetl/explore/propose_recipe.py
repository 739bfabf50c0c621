"""Which task a folder is for, and the recipe that suits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgetl.data.lists import part_of
from edgetl.data.survey import Survey, front_of, survey
from edgetl.data.survey_objects import has_annotations, survey_objects
from edgetl.errors import DataError
from edgetl.explore.suggest_heads import heads_recipe_text, survey_heads
from edgetl.explore.suggest_images import recipe_text
from edgetl.explore.suggest_objects import object_recipe_text
from edgetl.explore.suggest_series import series_recipe_text, survey_series, table_of
from edgetl.explore.suggest_sounds import sound_recipe_text
from edgetl.explore.suggest_texts import text_recipe_text


@dataclass(frozen=True)
class Proposal:
    """text  (folder of the recipe, its name or None, whether this CPU has VNNI) -> YAML text;  notes  one sentence per
    oddity or useful fact"""

    text: Callable[[Path, str | None, bool], str]
    notes: tuple[str, ...]


def proposed(root: Path) -> Proposal:
    """Look at a folder, or at a file of annotations or a list.

    Folders of more clips than images are for sound, tables with texts and folders of .txt for texts, tables and folders
    of windows for series. Folders of classes are for classification, also with annotations beside them, which a note
    names; folders of parts (`train2017`) are not classes.

    Raises UsageError for a missing folder, DataError for unusable data.
    """
    front = front_of(root)
    if (heads := survey_heads(root)) is not None:
        columns = " and ".join(f"`{column}`" for column in heads.columns)
        note = f"the columns {columns} are taken as labels, one head for each; leave out in data.labels what is none"
        return Proposal(lambda here, name, vnni: heads_recipe_text(heads, here, name, vnni=vnni), (note,))
    if table_of(root) is not None or front == "series":
        windows = survey_series(root)
        return Proposal(
            lambda here, name, vnni: series_recipe_text(windows, root, here, name, vnni=vnni), windows.notes
        )
    if front == "text" and not (root.is_dir() and has_annotations(root)):
        texts = survey(root, "text")
        return Proposal(lambda here, name, vnni: text_recipe_text(texts, root, here, name, vnni=vnni), texts.notes)
    if front == "audio":
        clips = survey(root, "audio")
        return Proposal(lambda here, name, vnni: sound_recipe_text(clips, root, here, name, vnni=vnni), clips.notes)
    if not has_annotations(root):
        return _for_classes(survey(root), root)
    if root.is_dir():
        try:
            seen: Survey | None = survey(root)
        except DataError:
            seen = None
        if seen is not None and not all(map(part_of, seen.train.classes)):
            note = "it also contains labeled objects: for detection run edgetl new with the file of annotations"
            return _for_classes(seen, root, note)
    found = survey_objects(root)
    return Proposal(lambda here, name, vnni: object_recipe_text(found, root, here, name, vnni=vnni), found.notes)


def _for_classes(seen: Survey, root: Path, *notes: str) -> Proposal:
    return Proposal(lambda here, name, vnni: recipe_text(seen, root, here, name, vnni=vnni), (*seen.notes, *notes))
