"""Inner products of the channels are the kernel, exactly so for the landmarks."""

from __future__ import annotations

import torch

from ml_core.families.sequence.neighbourhoods import Neighbourhoods


def fitted(channels: int = 8) -> tuple[Neighbourhoods, torch.Tensor]:
    torch.manual_seed(0)
    embeddings = torch.nn.functional.layer_norm(torch.randn(8, 16), [16])
    layer = Neighbourhoods(embedding_dim=16, landmarks=8, channels=channels, sharpness=2.0)
    layer.fit(embeddings)
    return layer, embeddings


def test_inner_products_of_landmarks_are_the_kernel_of_their_distances() -> None:
    layer, embeddings = fitted()
    near = layer(embeddings)
    apart = (embeddings[:, None] - embeddings[None]).square().mean(-1)
    torch.testing.assert_close(near @ near.T, torch.exp(-2 * apart), rtol=1e-4, atol=1e-4)


def test_the_channels_are_sorted_and_fewer_are_the_first_of_more() -> None:
    layer, embeddings = fitted()
    near = layer(embeddings)
    energy = near.square().sum(0)
    assert (energy[:-1] >= energy[1:] - 1e-5).all()
    torch.testing.assert_close(fitted(channels=3)[0](embeddings), near[:, :3])


def test_an_asv_far_from_all_landmarks_has_no_neighbourhood() -> None:
    layer, _ = fitted()
    assert layer(torch.full((1, 16), 50.0)).abs().max() < 1e-6
