"""The planted faults are still faults of the code as it is: a text that is gone would leave its guards untried."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.mutate import FAULTS, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_text_of_a_fault_occurs_once_and_its_guards_are_there(fault: Fault, root: Path) -> None:
    assert (root / "src" / "ml_core" / fault.file).read_text().count(fault.text) == 1
    assert fault.text != fault.replacement
    for guard in fault.guards:
        assert (root / guard.split("::")[0]).exists(), guard
