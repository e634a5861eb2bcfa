"""What runs share: the data directory."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
from pydantic import Field

from ml_core.artifacts import Store
from ml_core.errors import UserError

CHECKOUT = Path(__file__).resolve().parents[2]


class DataRoot(dg.ConfigurableResource):
    """Where raw data, artifacts and unfinished runs lie; the same directory as the shell's."""

    path: str = Field("", description="Absolute path; empty: $BIOASSETS_DATA, else data/ in this checkout")
    allow_outside: bool = Field(False, description="Let a run read files that lie outside the data directory")

    def store(self) -> Store:
        """The artifacts below the directory.

        Raises UserError for a relative path: Dagster's processes have different working directories.
        """
        named = self.path or os.environ.get("BIOASSETS_DATA", "")
        if named:
            directory = Path(named).expanduser()
        elif (CHECKOUT / "pyproject.toml").is_file():
            directory = CHECKOUT / "data"
        else:
            raise UserError("No data directory is known outside a checkout; set BIOASSETS_DATA to an absolute path.")
        if not directory.is_absolute():
            raise UserError(
                f"The data directory '{named}' is relative, and Dagster's processes start in different folders; "
                "set BIOASSETS_DATA to an absolute path."
            )
        return Store(directory)
