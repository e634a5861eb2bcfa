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
    pytest_arguments = ["-v", "-p", "no:cacheprovider", "-k", "relations", str(contract)]
    command = [sys.executable, "-c", START, str(another), *pytest_arguments]
    asked = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stdout[-5000:] + asked.stderr[-2000:]
    kept = set(re.findall(r"::(test_\w+)\[[^\]]*relations[^\]]*\] PASSED", asked.stdout))
    assert kept == set(re.findall(r"^def (test_\w+)", contract.read_text(), flags=re.MULTILINE))
