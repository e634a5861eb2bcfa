"""The contract asks nothing that only Segger could answer: a family that is quite unlike it keeps it word for word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

START = """
import sys
import pytest
import ml_core.families as families

families.__path__.append(sys.argv.pop(1))
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_family_that_is_new_keeps_the_contract_without_a_change_to_it(root: Path) -> None:
    """Batches without a number that could be NaN, dropout without a module, batch norm, one part that holds all."""
    another, contract = Path(__file__).parent / "another", Path(__file__).parent / "test_families.py"
    pytest_arguments = ["-q", "-p", "no:cacheprovider", "-k", "relations", str(contract)]
    command = [sys.executable, "-c", START, str(another), *pytest_arguments]
    asked = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stdout[-5000:] + asked.stderr[-2000:]
    found = re.search(r"(\d+) passed, (\d+) deselected", asked.stdout)
    assert found, asked.stdout[-500:]
    assert int(found[1]) * (len(list_families()) - 1) == int(found[2])


def list_families() -> list[str]:
    """Of this checkout, and the other one."""
    from ml_core.families import find_families

    return [*find_families(), "relations"]
