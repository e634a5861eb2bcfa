"""How likely a read is in each tissue: the tables of its region, corrected by what the transformer saw in the read.

log p(read | tissue, region) = log sum_k p(rate k | tissue, region) p(read | rate k). The first factor comes from the
tables, the second is binomial in the number of methylated CpGs, and the transformer corrects it: neighbouring CpGs are
no independent witnesses. The correction begins at 0, so that training starts from what the tables know.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ml_core.families.tissuebert.batches import Reads
from ml_core.families.tissuebert.likelihoods import RATES


class LikelihoodHead(nn.Module):
    """Log likelihoods up to a constant of each read.

    region_rank > 0 moves a region's tissues away from the tables, along so many directions that all regions share.
    """

    log_rate: Tensor
    log_other: Tensor

    def __init__(self, dim: int, *, regions: int, tissues: int, region_rank: int) -> None:
        super().__init__()
        self.register_buffer("log_rate", torch.from_numpy(np.log(RATES)).float(), persistent=False)
        self.register_buffer("log_other", torch.from_numpy(np.log1p(-RATES)).float(), persistent=False)
        self.correct = nn.Linear(dim, len(RATES))
        nn.init.zeros_(self.correct.weight)
        nn.init.zeros_(self.correct.bias)
        self.of_region, self.directions = None, None
        if region_rank:
            self.of_region = nn.Embedding(regions, region_rank)
            self.directions = nn.Parameter(torch.zeros(region_rank, tissues, len(RATES)))

    def forward(self, summary: Tensor, reads: Reads) -> Tensor:
        """summary [n, dim] of the reads -> float32 [n, tissues]."""
        log_rates = reads.log_rates.float()
        if self.of_region is not None and self.directions is not None:
            log_rates = log_rates + torch.einsum("nr,rtk->ntk", self.of_region(reads.region), self.directions).float()
            log_rates = log_rates.log_softmax(-1)
        binomial = reads.n_meth[:, None] * self.log_rate + (reads.n_cov - reads.n_meth)[:, None] * self.log_other
        of_read = binomial + self.correct(summary).float()  # [n, rates]
        likely = torch.logsumexp(log_rates + of_read[:, None], -1)
        if not bool(reads.counts.any()):
            return likely
        return torch.where(reads.counts[:, None], self._of_counts(log_rates, reads), likely)

    def _of_counts(self, log_rates: Tensor, reads: Reads) -> Tensor:
        """Of sums over many reads: methylated and other CpGs, a region's CpGs together weighing as one read."""
        mean = torch.exp(log_rates + self.log_rate).sum(-1)  # [n, tissues]
        methylated, other = reads.n_meth / reads.n_cpg, (reads.n_cov - reads.n_meth) / reads.n_cpg
        return methylated[:, None] * mean.log() + other[:, None] * torch.log1p(-mean)
