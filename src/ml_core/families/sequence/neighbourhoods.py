"""How near an ASV is to the ASVs of training, as channels that add up over a sample."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST_EIGENVALUE = 1e-6  # below, a direction of the kernel is rounding


class Neighbourhoods(nn.Module):
    """Nystroem features (Williams and Seeger 2001) of exp(-sharpness * d2), d2 the mean squared difference of two
    embeddings per channel: about 2 for unrelated ones.

    Clades that UniFrac teaches are broad, for long branches count most; what separates close relatives is here. The
    channels are principal axes of the kernel, largest first and not whitened, so that a network on top of them learns
    what many ASVs share before what tells single ones apart.
    """

    def __init__(self, *, embedding_dim: int, landmarks: int, channels: int, sharpness: float) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.register_buffer("landmarks", torch.zeros(landmarks, embedding_dim))
        self.register_buffer("project", torch.zeros(landmarks, channels))

    @torch.no_grad()
    def fit(self, embeddings: Tensor) -> None:
        """Take these embeddings [landmarks, embedding_dim], of ASVs of training samples, as landmarks."""
        self.landmarks.copy_(embeddings)
        values, vectors = torch.linalg.eigh(self._kernel(embeddings).double())  # ascending
        channels = self.project.shape[1]
        kept = vectors[:, -channels:] / values[-channels:].clamp_min(LEAST_EIGENVALUE).sqrt()
        signs = torch.sign(kept.gather(0, kept.abs().argmax(0, keepdim=True)))  # else left to the library
        self.project.copy_((kept * signs).flip(1))

    def forward(self, embedding: Tensor) -> Tensor:
        """embedding [u, embedding_dim] -> [u, channels]."""
        return self._kernel(embedding) @ self.project

    def _kernel(self, embedding: Tensor) -> Tensor:
        square = embedding.square().mean(1)[:, None] + self.landmarks.square().mean(1)[None, :]
        apart = square - 2 * (embedding @ self.landmarks.T) / embedding.shape[1]
        return torch.exp(-self.sharpness * apart.clamp_min(0))
