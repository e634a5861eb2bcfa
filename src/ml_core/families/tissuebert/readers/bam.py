"""Aligned reads as BAM: Bismark's calls (tag XM) or modified bases (tags MM and ML). Needs the extra `bam` (pysam)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.fasta import unknown_chromosome
from ml_core.families.tissuebert.rows import CpgStates
from ml_core.families.tissuebert.tokens import METHYLATED, NOT_OBSERVED, UNMETHYLATED

WHAT = "aligned reads as BAM with Bismark's tag XM or with modified bases in MM and ML"
CALLS = {"Z": METHYLATED, "z": UNMETHYLATED}
EVEN = 128  # ML of a probability of one half
UNMAPPED_SECONDARY_FAILED_DUPLICATE_SUPPLEMENTARY = 0x4 | 0x100 | 0x200 | 0x400 | 0x800


@dataclass(frozen=True)
class Sites:
    """CpGs of one chromosome: position [k] ascending, region and cpg [k], which one of which region it is."""

    position: np.ndarray
    region: np.ndarray
    cpg: np.ndarray


def read_bam(path: Path, *, places: np.ndarray, regions: pd.DataFrame, min_mapping_quality: int) -> CpgStates:
    """Fragments on CpGs at `places` [regions, most CpGs] (-1: none); mates are one fragment, no index is needed.

    UserError where the file is damaged, of another build, or its reads carry no methylation.
    """
    pysam = _pysam(path)
    sites = _sites(places, chromosome=regions["chromosome"].to_numpy(object))
    found: dict[tuple[str, int], np.ndarray] = {}
    try:
        with pysam.AlignmentFile(str(path), "rb", check_sq=False) as file:
            _refuse_other_chromosomes(path, known=list(file.references), wanted=sorted(sites))
            for read in file.fetch(until_eof=True):
                if read.flag & UNMAPPED_SECONDARY_FAILED_DUPLICATE_SUPPLEMENTARY:
                    continue
                if read.mapping_quality >= min_mapping_quality and read.reference_name in sites:
                    _add(read, sites=sites[read.reference_name], found=found, most=places.shape[1], path=path)
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: is damaged or truncated ({error}), expected {WHAT}; fetch the file again.") from error
    region = np.array([region for _, region in found], np.int64)
    states = np.array(list(found.values()), np.uint8).reshape(len(found), places.shape[1])
    return CpgStates(region, states, np.ones(len(found), np.int64))


def _pysam(path: Path) -> Any:
    try:
        import pysam  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise UserError(
            f"{path}: reading BAM needs pysam, which is not installed; install the extra: pip install -e '.[bam]'."
        ) from error
    return pysam


def _sites(places: np.ndarray, *, chromosome: np.ndarray) -> dict[str, Sites]:
    region, cpg = np.nonzero(places >= 0)
    position = places[region, cpg]
    found = {}
    for name in set(chromosome):
        own = np.flatnonzero(chromosome[region] == name)
        own = own[np.argsort(position[own], kind="stable")]
        found[str(name)] = Sites(position[own], region[own], cpg[own])
    return found


def _refuse_other_chromosomes(path: Path, *, known: list[str], wanted: list[str]) -> None:
    if not set(known) & set(wanted):
        raise UserError(unknown_chromosome(path, wanted[0], known=known))


def _add(read: Any, *, sites: Sites, found: dict[tuple[str, int], np.ndarray], most: int, path: Path) -> None:
    """Write the read's calls to its fragment; where mates overlap, the first one's call stays."""
    low, high = np.searchsorted(sites.position, (read.reference_start - 1, read.reference_end + 1))
    if low == high:
        return
    on_reference = read.get_reference_positions(full_length=True)
    for place, state, back in _calls(read, path=path):
        position = on_reference[place]
        if position is None:
            continue
        at = low + int(np.searchsorted(sites.position[low:high], position - back))
        if at < high and sites.position[at] == position - back:
            fragment = (read.query_name, int(sites.region[at]))
            states = found.setdefault(fragment, np.full(most, NOT_OBSERVED, np.uint8))
            if states[sites.cpg[at]] == NOT_OBSERVED:
                states[sites.cpg[at]] = state


def _calls(read: Any, *, path: Path) -> Iterator[tuple[int, int, int]]:
    """(place in the read as it is stored, state, bases that the C of the CpG lies before it on the forward strand)."""
    if read.has_tag("XM"):
        back = int(read.has_tag("XG") and read.get_tag("XG") == "GA")
        yield from ((place, CALLS[sign], back) for place, sign in enumerate(read.get_tag("XM")) if sign in CALLS)
    elif read.has_tag("MM") or read.has_tag("Mm"):
        for (base, _, code), calls in (read.modified_bases or {}).items():
            if base == "C" and code == "m":
                yield from ((place, _state(chance), int(read.is_reverse)) for place, chance in calls)
    else:
        raise UserError(
            f"{path}: read '{read.query_name}' has neither the tag XM nor MM, expected {WHAT}; call methylation first, "
            "or give .pat.gz."
        )


def _state(chance: int) -> int:
    """Of a modified base with no chance given (-1) the file says that it is modified."""
    return METHYLATED if chance >= EVEN or chance < 0 else UNMETHYLATED
