"""The written-out attention is the plain one: values, gradients, whatever a block holds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ml_core.families.segger import attend as module
from ml_core.families.segger.attend import attend, attend_at_once

Case = tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None]


def drawn(
    *, sources: int, targets: int, k: int, features: int, heads: int = 2, seed: int = 0, dtype: torch.dtype
) -> Case:
    """Arguments of `attend`; a third of the neighbours is padding, and the first target has none."""
    make = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=make, dtype=torch.float64).to(dtype)

    neighbours = torch.randint(0, sources, (targets, k), generator=make)
    neighbours[torch.rand(targets, k, generator=make) < 1 / 3] = -1
    neighbours[:1] = -1
    edge, weight = (numbers(targets, k, features), numbers(6, features)) if features else (None, None)
    case = numbers(sources, 6), numbers(targets, 6), neighbours, numbers(heads, 6 // heads), edge, weight
    for number in (0, 1, 3, 5):
        if (each := case[number]) is not None:
            each.requires_grad_()
    return case


def gradients(function, case: Case) -> list[Tensor]:
    out = function(*case)
    weights = [each for each in case if each is not None and each.requires_grad]
    towards = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    return [out, *torch.autograd.grad(out, weights, towards)]


@settings(deadline=None, max_examples=40)
@given(
    sources=st.integers(1, 9), targets=st.integers(1, 23), k=st.integers(1, 4), features=st.integers(0, 3),
    heads=st.sampled_from([1, 2, 3]), block=st.sampled_from([1, 7, 1024]), seed=st.integers(0, 99),
)  # fmt: skip
def test_values_and_gradients_are_those_of_autograd(
    sources: int, targets: int, k: int, features: int, heads: int, block: int, seed: int
) -> None:
    case = drawn(sources=sources, targets=targets, k=k, features=features, heads=heads, seed=seed, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        mine = gradients(attend, case)
    for ours, plain in zip(mine, gradients(attend_at_once, case), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-7, atol=1e-9)


def test_a_block_of_the_real_size_agrees_in_float32() -> None:
    case = drawn(sources=300, targets=2 * module.BLOCK + 5, k=5, features=3, dtype=torch.float32)
    for ours, plain in zip(gradients(attend, case), gradients(attend_at_once, case), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=2e-4)


def test_two_threads_give_the_bits_that_two_threads_gave() -> None:
    case = drawn(sources=40, targets=3000, k=5, features=3, dtype=torch.float32)
    for first, second in zip(gradients(attend, case), gradients(attend, case), strict=True):
        assert torch.equal(first, second)


def test_under_autocast_the_sums_stay_in_float32() -> None:
    case = drawn(sources=30, targets=50, k=4, features=3, dtype=torch.float32)
    exact = gradients(attend, case)
    half = [each.bfloat16() if number in (0, 1) else each for number, each in enumerate(case)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = attend(*half)  # type: ignore[arg-type]
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, exact[0], rtol=0.03, atol=0.03)
    (of_source,) = torch.autograd.grad(out.sum(), half[0])
    assert of_source.dtype == torch.bfloat16


def test_without_sources_or_places_there_is_nothing_to_hear() -> None:
    attention = torch.randn(2, 3)
    nobody = attend(torch.zeros(0, 6), torch.randn(4, 6), torch.full((4, 3), -1), attention)
    nowhere = attend(torch.randn(5, 6), torch.randn(4, 6), torch.zeros(4, 0, dtype=torch.long), attention)
    assert torch.equal(nobody, torch.zeros(4, 6))
    assert torch.equal(nowhere, torch.zeros(4, 6))
