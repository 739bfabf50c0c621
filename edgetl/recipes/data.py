"""The section `data` of a recipe: which examples, and how they are read and drawn."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from edgetl.recipes.section import Section, is_none


class Columns(Section):
    """Column names of a CSV list, or of a table of texts; other columns are ignored."""

    path: str | None = None
    """Column with the path of the image, or of another file; needed for a list."""
    text: str | None = None
    """Column with the text, for `front: text`."""
    label: str | None = None
    """Column with the class; needed without `data.labels`."""
    split: str | None = None
    """Column with `train`, `val` or `test`."""

    @model_serializer(mode="wrap")
    def _without_those_of_other_fronts(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keys of finished builds stay as they are when a front adds a column."""
        written: dict[str, Any] = values(self)
        return {name: value for name, value in written.items() if name != "text" or value is not None}


class Data(Section):
    """Labeled images, clips of sound for `front: audio`, texts for `front: text`, or windows of sensor channels for
    `front: series`."""

    train: str
    """Folder with one sub-folder per class, or a CSV list with the columns `path,label`. Relative to the recipe. With a
    column `split`, rows with `train` are used for training and rows with `val` for validation. For
    `front: text` also a table (CSV, TSV, JSON Lines) with a column of texts and one of labels. For `task: detection` a
    COCO file, a CSV list with the columns `path,x0,y0,x1,y1,label`, a YOLO `data.yaml`, or a folder of YOLO or Pascal
    VOC labels."""
    val: str | None = None
    """Folder or list for validation; never used for training or calibration. Omitted: the rest of `train`."""
    columns: Columns | None = None
    """Column names of the lists, if they are not `path`, `label` and `split`; of tables of texts, if they are not usual
    ones (`text`, `sentence`, `review`, ...)."""
    labels: tuple[str, ...] | None = Field(default=None, exclude_if=is_none)
    """Columns of labels in a list or table, one head of the network for each: `[defect, surface]`. A head is named by
    its column. An example whose cell is empty does not count for that head. Omitted: one column, one head."""
    images: str | None = None
    """Folder in which files are looked up by the last parts of their paths, if the paths in the lists are not valid
    here (lists from labeling tools, from Windows, with URLs). Relative to the recipe."""
    shots: Annotated[int, Field(ge=1)] | Literal["all"] = 10
    """Training images, clips or texts per class, drawn by `seed`. `all` needs a `val`. For `task: detection`
    objects per class. With `labels` at least so many per class of every head: an example counts for each head that it
    is labeled for."""
    seed: int = Field(default=0, ge=0)
    """Seed of the few-shot draw."""
    resize: Literal["auto", "squash", "crop", "letterbox"] = "auto"
    """How an image is fitted to the input size: squash (keeps everything), crop (center), letterbox (pads)."""
    augment: Literal["auto", "none", "light", "text", "natural", "overhead", "speech", "sounds"] = "auto"
    """Training views. Images: `text`: no flips. `natural`: left-right flips. `overhead`: flips and quarter turns.
    Clips: `light`: shifted and louder or quieter. `sounds`: with noise too. `speech`: faster or slower too. Texts:
    `light`: one word in ten left out."""
    unreadable: Literal["skip", "refuse"] = "skip"
    """What to do about truncated files and files that are not images: name and skip them, or stop."""
    max_val_images: Annotated[int, Field(ge=1)] | None = None
    """Use at most this many validation images (stratified, by `seed`)."""
    group_by: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Regular expression for the group (video, patient, speaker) in a file's path below `train` or `val`: its named
    group `group`, else its first group, else the match. For rows of a table the name of the column with the group, for
    windows in NPZ files that of the array. No group is in both training and validation."""

    @field_validator("group_by")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"expected a regular expression: {error}") from error
        return value
