"""Names of tensors in published YOLOX weights, as their authors and as other files write them, and ours for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

Rules = Sequence[tuple[str, str]]

_OF_AUTHORS: Rules = (
    # `backbone` is the paper's backbone with its pyramid; any prefix of a training program may come before it
    (r"^((?:\w+\.)*?)backbone\.backbone\.", r"\1backbone."),
    (r"^((?:\w+\.)*?)backbone\.(lateral_conv0|reduce_conv1|bu_conv[12]|C3_[pn][34])\.", r"\1head.neck.\2."),
    (r"^((?:\w+\.)*?)head\.(stems|(?:cls|reg)_convs|(?:cls|reg|obj)_preds)\.", r"\1head.predict.\2."),
)
# Files in which stages are numbered and each level has a head of its own; blocks first, then where they are
_NUMBERED: Rules = (
    (r"\.blocks\.(\d+)\.one\.", r".m.\1.conv1."),
    (r"\.blocks\.(\d+)\.two\.", r".m.\1.conv2."),
    (r"^stage4\.1\.out\.", "stage4.1.conv2."),
    (r"\.(?:main|reduce)\.", ".conv1."),
    (r"\.side\.", ".conv2."),
    (r"\.out\.", ".conv3."),
    (r"((?:stage\d|m\.\d+\.conv2|_convs\.\d|step\d)(?:\.0)?)\.0\.(conv|bn)\.", r"\1.dconv.\2."),
    (r"((?:stage\d|m\.\d+\.conv2|_convs\.\d|step\d)(?:\.0)?)\.1\.(conv|bn)\.", r"\1.pconv.\2."),
    (r"^stem\.", "backbone.stem.conv."),
    (r"^stage1\.", "backbone.dark2."),
    (r"^stage2\.", "backbone.dark3."),
    (r"^stage3\.", "backbone.dark4."),
    (r"^stage4\.", "backbone.dark5."),
    (r"^lateral4\.", "head.neck.lateral_conv0."),
    (r"^lateral3\.", "head.neck.reduce_conv1."),
    (r"^step3\.", "head.neck.bu_conv2."),
    (r"^step4\.", "head.neck.bu_conv1."),
    (r"^down([34])\.", r"head.neck.C3_p\1."),
    (r"^up([34])\.", r"head.neck.C3_n\1."),
    (r"^heads\.(\d)\.stem\.", r"head.predict.stems.\1."),
    (r"^heads\.(\d)\.class_convs\.", r"head.predict.cls_convs.\1."),
    (r"^heads\.(\d)\.box_convs\.", r"head.predict.reg_convs.\1."),
    (r"^heads\.(\d)\.class_out\.", r"head.predict.cls_preds.\1."),
    (r"^heads\.(\d)\.box_out\.", r"head.predict.reg_preds.\1."),
    (r"^heads\.(\d)\.object_out\.", r"head.predict.obj_preds.\1."),
)


def own_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under our names; those that no rule knows keep theirs."""
    numbered = "heads.0.class_out.weight" in tensors
    return {_renamed(name, _NUMBERED if numbered else _OF_AUTHORS): tensor for name, tensor in tensors.items()}


def _renamed(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
