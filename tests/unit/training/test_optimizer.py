import pytest
import torch
from torch import nn

from ml_core.training.optimizer import TrainedParts, clip_gradients
from tests.unit.training.toy import toy_settings


def test_adamw_is_fused_and_takes_its_settings():
    parts = TrainedParts(nn.Linear(2, 1), toy_settings(beta1=0.8, beta2=0.95, weight_decay=0.3))
    (group,) = parts.optimizer.param_groups
    assert (group["betas"], group["weight_decay"], group["eps"], group["fused"]) == ((0.8, 0.95), 0.3, 1e-8, True)


def test_complex_parameters_are_not_fused():
    model = nn.Linear(2, 1, dtype=torch.complex64)
    assert TrainedParts(model, toy_settings()).optimizer.param_groups[0]["fused"] is False


@pytest.mark.parametrize(("clip_norm", "expected"), [(None, 5.0), (10.0, 5.0), (1.0, 1.0)])
def test_gradients_are_scaled_down_to_the_clip_norm_and_never_up(clip_norm, expected):
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(3)]
    for parameter, gradient in zip(parameters, (3.0, 4.0), strict=False):
        parameter.grad = torch.tensor([gradient])
    assert clip_gradients(parameters, clip_norm=clip_norm).item() == pytest.approx(5.0)
    assert clip_gradients(parameters, clip_norm=None).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, float("inf")])
@pytest.mark.parametrize("types", [(torch.float32,) * 3, (torch.float32, torch.bfloat16, torch.float32), ()])
def test_clipping_gives_the_bits_of_pytorchs(scale, types):
    torch.manual_seed(0)
    gradients = [torch.randn(5, 7, dtype=dtype) * scale for dtype in types]
    ours, theirs = ([nn.Parameter(torch.zeros_like(each)) for each in gradients] for _ in range(2))
    for side in (ours, theirs):
        for parameter, gradient in zip(side, gradients, strict=True):
            parameter.grad = gradient.clone()
    norm, expected = clip_gradients(ours, clip_norm=2.0), nn.utils.clip_grad_norm_(theirs, 2.0)
    assert torch.equal(norm, expected) or (norm.isnan() and expected.isnan())
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=0, atol=0, equal_nan=True)


def test_gradients_are_dropped_and_not_filled_with_zeros():
    model = nn.Linear(2, 1)
    parts = TrainedParts(model, toy_settings())
    model(torch.ones(1, 2)).sum().backward()
    parts.drop_gradients()
    assert all(parameter.grad is None for parameter in model.parameters())
