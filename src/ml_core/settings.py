"""Typed settings: flat, frozen, described, and hashed in the same way on every machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Self

import pydantic
import yaml
from pydantic_core import PydanticUndefined

from ml_core.errors import UserError


def setting(
    default: Any = PydanticUndefined,
    *,
    description: str,
    unit: str | None = None,
    affects_result: bool = True,
    **constraints: Any,
) -> Any:
    """Declare one field of a `Settings` class.

    `unit` is appended to the description. `affects_result=False` marks fields such as worker counts that change how
    fast a result comes but not the result: they stay out of the fingerprint. `constraints` are pydantic's (ge, gt,
    le, ...).
    """
    text = f"{description} [{unit}]" if unit else description
    return pydantic.Field(
        default, description=text, json_schema_extra={"affects_result": affects_result}, **constraints
    )


class Settings(pydantic.BaseModel):
    """Base of every stage's settings.

    Fields are flat: str, int, float, bool, Literal, Optional, lists of those, and dicts of those by name.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)

    @classmethod
    def parse(cls, values: dict[str, Any], *, where: str) -> Self:
        """Validate a mapping; `where` (for instance "configs/quick.yaml: segger_tiles") starts the error's sentence.

        Raises UserError naming the field, what was found and what was expected.
        """
        try:
            return cls(**values)
        except pydantic.ValidationError as error:
            raise UserError(f"{where}: {_sentence(error, cls)}") from error

    def result_fields(self) -> dict[str, Any]:
        """The fields that change the result, as plain JSON values, sorted by name."""
        values = self.model_dump(mode="json")
        fields = type(self).model_fields
        return {name: values[name] for name in sorted(values) if _affects_result(fields[name])}

    def fingerprint(self) -> str:
        """Hash (16 hex digits) of the fields that change the result."""
        return stable_hash(self.result_fields())


def stable_hash(value: Any) -> str:
    """Hash (16 hex digits) of plain JSON data, independent of key order, process and machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """One phrase for each key whose value changed: `hidden_channels: 64 -> 128`."""
    absent = "(absent)"
    keys = sorted(before.keys() | after.keys())
    return [
        f"{k}: {before.get(k, absent)} -> {after.get(k, absent)}"
        for k in keys
        if before.get(k, absent) != after.get(k, absent)
    ]


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file whose top level is a mapping. Raises UserError for anything else."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the path of a YAML config file.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not valid YAML ({str(error).replace(chr(10), ' ')}); mend the file.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping at the top level (ops: ...), found {type(content).__name__}.")
    return content


def _affects_result(field: pydantic.fields.FieldInfo) -> bool:
    extra = field.json_schema_extra
    return not isinstance(extra, dict) or bool(extra.get("affects_result", True))


def _sentence(error: pydantic.ValidationError, cls: type[pydantic.BaseModel]) -> str:
    first = min(error.errors(), key=lambda each: each["type"] == "missing")  # a misspelt name explains a missing one
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown field '{name}'; the fields are {', '.join(cls.model_fields)}."
    if first["type"] == "missing":
        return f"field '{name}' has no value and no default; give one."
    problem = first["msg"].removeprefix("Value error, ")
    if not name:  # said of several fields together
        return f"{problem}."
    return f"field '{name}' is {first['input']!r}: {problem[0].lower()}{problem[1:]}."
