"""The model families. A folder here with a `family.py` that defines `FAMILY` is a family: both doors find it.

A folder without one is a family in the making: its rooms can be used and tested, but no door leads to it.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from functools import cache

from ml_core.errors import UserError
from ml_core.stages import Family


@cache
def find_families() -> dict[str, Family]:
    """Every family by name, in alphabetical order."""
    packages = (module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)
    names = sorted(name for name in packages if importlib.util.find_spec(f"{__name__}.{name}.family"))
    families = [importlib.import_module(f"{__name__}.{name}.family").FAMILY for name in names]
    return {family.name: family for family in families}


def get_family(name: str) -> Family:
    """The family called `name`; UserError with the known names otherwise."""
    families = find_families()
    if name not in families:
        raise UserError(f"unknown family '{name}'; the families are {', '.join(families)}.")
    return families[name]
