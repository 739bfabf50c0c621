"""What all sections of a recipe have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from edgetl.files.text import printable

_LARGEST = 2**63 - 1


def is_none(value: Any) -> bool:
    """Keys that came later are not written if they say nothing, so that finished builds stay as they are."""
    return value is None


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _usable_by_every_stage(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError("true and false are not allowed")
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(each, str) and printable(each) != each:
                raise ValueError("expected text without control characters")
            if isinstance(each, int) and abs(each) > _LARGEST:
                raise ValueError("expected a number below 2**63")
        return value
