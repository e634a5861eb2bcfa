from __future__ import annotations

from typing import Literal, Self

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.errors import UserError
from ml_core.settings import Settings, differences, setting, stable_hash


class Example(Settings):
    width: int = setting(64, description="Hidden width", unit="channels", ge=1)
    mode: Literal["fast", "exact"] = setting("fast", description="Mode")
    workers: int = setting(0, description="Loader workers", affects_result=False)


def test_unit_is_part_of_the_description() -> None:
    assert Example.model_fields["width"].description == "Hidden width [channels]"


def test_fields_that_do_not_change_the_result_stay_out_of_the_fingerprint() -> None:
    assert Example(workers=8).fingerprint() == Example().fingerprint()
    assert Example(width=32).fingerprint() != Example().fingerprint()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"widht": 3}, "unknown field 'widht'; the fields are width, mode, workers."),
        ({"width": 0}, "field 'width' is 0: input should be greater than or equal to 1."),
        ({"mode": "slow"}, "field 'mode' is 'slow': input should be 'fast' or 'exact'."),
    ],
)
def test_a_wrong_field_or_value_gives_one_sentence(values: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as caught:
        Example.parse(values, where="quick.yaml: tiles")
    assert str(caught.value) == f"quick.yaml: tiles: {said}"


class Together(Settings):
    first: float = setting(0.5, description="Share of the one")
    second: float = setting(0.5, description="Share of the other")

    @pydantic.model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if self.first + self.second != 1:
            raise ValueError("first + second must be 1")
        return self


def test_what_is_said_of_several_fields_together_names_no_field() -> None:
    with pytest.raises(UserError) as caught:
        Together.parse({"first": 0.7}, where="--set: splits")
    assert str(caught.value) == "--set: splits: first + second must be 1."


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Example().width = 3  # type: ignore[misc]


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none(), min_size=2))
def test_hash_does_not_depend_on_key_order(values: dict[str, object]) -> None:
    assert stable_hash(values) == stable_hash(dict(reversed(values.items())))


def test_differences_name_each_changed_key() -> None:
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ["b: 2 -> 3", "c: (absent) -> 4"]
