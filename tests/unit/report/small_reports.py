"""Small reports and their rows, for the tests of what is shown of them."""

from __future__ import annotations

from collections.abc import Mapping

from edgetl.report.model import Bundle, Data, Reference, Report


def bundle(target: str, **values: object) -> Bundle:
    """A measured INT8 bundle that passes, but for `values`."""
    usual: Mapping[str, object] = {
        "backend": "onnxruntime",
        "precision": "int8",
        "path": "p",
        "measured": True,
        "emulated": False,
        "verdict": "pass",
        "reason": "",
    }
    return Bundle.model_validate({"target": target, **usual, **values})


def report(*bundles: Bundle, **values: object) -> Report:
    """A report of one image on these bundles, but for `values`."""
    top1: Mapping[str, float] = {"top1": 1, "top1_low": 1, "top1_high": 1}
    f1: Mapping[str, float] = {"macro_f1": 1, "macro_f1_low": 1, "macro_f1_high": 1}
    usual: Mapping[str, object] = {
        "name": "steel",
        "verdict": "fail",
        "recipe": {},
        "classes": ("a",),
        "reference": Reference.model_validate({**top1, **f1, "images": 1}),
        "bundles": bundles,
        "data": Data(
            shots=1,
            val=1,
            shots_per_class=(1,),
            val_per_class=(1,),
            resize="squash",
            resize_reason="",
            digest="",
            skipped=(),
        ),
    }
    return Report.model_validate({**usual, **values})
