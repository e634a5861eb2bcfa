"""Regions of the panel as windows, and which of them training donors say are telling; donors are dealt before that."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.donors import SPLITS, DonorSplits, deal, save_splits
from ml_core.families.tissuebert.information import choose, class_counts, information, shares
from ml_core.families.tissuebert.panel_data import Panel, save_panel
from ml_core.families.tissuebert.panel_figure import draw_panel
from ml_core.families.tissuebert.raw_files import RawFiles, files_of
from ml_core.families.tissuebert.read_regions import given_reads
from ml_core.families.tissuebert.readers.fasta import Fasta
from ml_core.families.tissuebert.readers.panel import Candidates, read_atlas, read_bed, with_targets
from ml_core.families.tissuebert.readers.sheet import read_sheet
from ml_core.families.tissuebert.samples import kind_of, read_sample
from ml_core.families.tissuebert.settings import PanelSettings
from ml_core.families.tissuebert.surrogate import with_surrogates
from ml_core.families.tissuebert.tokens import tokenize, unknown_tokens
from ml_core.families.tissuebert.windows import Windows, cut
from ml_core.running import StageRun
from ml_core.summary import Number, Summary


def build(run: StageRun) -> Summary:
    """Windows, donors, information, choice; tables of reads bring all of this with them."""
    settings: PanelSettings = run.settings
    raw = files_of(run.inputs["raw"].directory)
    if "reads_train" in raw.files:
        given = given_reads(raw.files, settings=settings, build=raw.build)
        panel, splits, candidates = given.panel, given.splits, len(given.panel)
    else:
        whole = candidate_panel(raw, settings=settings)
        splits = deal(whole.samples, test=settings.test, validation=settings.validation, seed=settings.seed)
        bits = _information(run, whole, raw=raw, train=splits.samples_in("train"))
        chosen = choose(bits, count=settings.max_regions or len(whole))
        panel, candidates = taken(whole, chosen, bits=bits), len(whole)
    save_panel(run.directory, panel)
    save_splits(run.directory, splits)
    draw_panel(run.directory / "figures" / "panel.png", panel=panel)
    return _summary(panel, splits=splits, candidates=candidates)


def candidate_panel(raw: RawFiles, *, settings: PanelSettings) -> Panel:
    """All regions of the user's panel (or atlas) and all samples of the sheet; nothing is known of information yet."""
    candidates = _candidates(raw)
    fasta = _fasta(raw, source=settings.sequence_source)
    on_genome = fasta if settings.sequence_source == "fasta" else None
    windows = cut(candidates, fasta=on_genome, min_cpgs=settings.min_cpgs)
    if settings.sequence_source == "surrogate" and fasta is not None:
        windows = with_surrogates(windows, fasta=fasta, seed=settings.seed)
    samples = read_sheet(raw.files["samples"])
    samples = samples.assign(kind=[kind_of(raw.samples[name]) for name in samples["file"]])
    tissues = samples[samples["tissue"] != ""].drop_duplicates("tissue").sort_values("tissue")
    return Panel(
        regions=windows.frame,
        tissues=pd.DataFrame({"name": tissues["tissue"], "group": tissues["group"]}).reset_index(drop=True),
        samples=samples.drop(columns="group"),
        dna_tokens=_tokens(windows, source=settings.sequence_source),
        cpg_position=windows.cpg_position,
        n_cpg=windows.n_cpg,
        information=np.full((len(windows), len(tissues)), np.nan),
        build=raw.build,
        sequence_source=settings.sequence_source,
        cpgs=windows.cpgs,
    )


def _candidates(raw: RawFiles) -> Candidates:
    """The user's panel, with the targets of the atlas where there is one, or the atlas's regions."""
    atlas = read_atlas(raw.files["atlas"]) if "atlas" in raw.files else None
    if "panel" not in raw.files:
        return read_atlas(raw.files["atlas"]) if atlas is None else atlas
    bed = read_bed(raw.files["panel"])
    return bed if atlas is None or not bed.numbered else with_targets(bed, atlas)


def taken(panel: Panel, chosen: np.ndarray, *, bits: np.ndarray) -> Panel:
    """The panel with these regions and their information."""
    return Panel(
        regions=panel.regions.iloc[chosen].reset_index(drop=True),
        tissues=panel.tissues,
        samples=panel.samples,
        dna_tokens=panel.dna_tokens[chosen],
        cpg_position=panel.cpg_position[chosen],
        n_cpg=panel.n_cpg[chosen],
        information=bits[chosen],
        build=panel.build,
        sequence_source=panel.sequence_source,
        cpgs=panel.cpgs,
    )


def _information(run: StageRun, panel: Panel, *, raw: RawFiles, train: np.ndarray) -> np.ndarray:
    """bits [regions, tissues] from the training donors' samples alone; no other file is read."""
    number = {name: place for place, name in enumerate(panel.tissues["name"])}
    counts = np.zeros((len(number), len(panel), 3))
    samples: Iterable[int] = run.progress(train.tolist(), what="information")
    for sample in samples:
        described = panel.samples.iloc[sample]
        rows = read_sample(raw.samples[described["file"]], panel=panel, min_observed=run.settings.min_observed)
        counts[number[described["tissue"]]] += class_counts(rows, regions=len(panel), kind=described["kind"])
    return information(shares(counts))


def _fasta(raw: RawFiles, *, source: str) -> Fasta | None:
    if source == "none":
        return None
    if "fasta" not in raw.files:
        raise UserError(
            f"panel: sequence_source is '{source}', but raw.fasta is not set, expected a FASTA; set it, or set "
            "panel.sequence_source=none."
        )
    return Fasta(Path(raw.files["fasta"]))


def _tokens(windows: Windows, *, source: str) -> np.ndarray:
    return unknown_tokens(len(windows)) if source == "none" else tokenize(windows.letters)


def _summary(panel: Panel, *, splits: DonorSplits, candidates: int) -> Summary:
    known = not np.isnan(panel.information).any()
    rows: list[dict[str, Number]] = []
    for number, (tissue, group) in enumerate(zip(panel.tissues["name"], panel.tissues["group"], strict=True)):
        own = panel.samples[panel.samples["tissue"] == tissue]
        row: dict[str, Number] = {"tissue": tissue, "group": group, "samples": len(own)}
        for part, name in enumerate(SPLITS):
            row[f"{name} donors"] = own["donor"][splits.part[own.index] == part].nunique()
        row["targeted regions"] = int((panel.regions["target"] == tissue).sum())
        if known:
            row["bits of the best region"] = float(panel.information[:, number].max())
        rows.append(row)
    summary = Summary(
        headline=f"{len(panel):,} of {candidates:,} regions with {int(panel.n_cpg.sum()):,} CpGs, "
        f"{len(panel.samples):,} samples of {panel.samples['donor'].nunique():,} donors, "
        f"{len(panel.tissues)} tissues; DNA from {panel.sequence_source}.",
        numbers={
            "panel.regions": len(panel),
            "panel.candidates": candidates,
            "panel.cpgs_per_region": float(panel.n_cpg.mean()),
            "panel.untestable_tissues": len(splits.untestable),
            "panel.digest": panel.digest,
        },
        tables={"Tissues": rows},
        figures={"CpGs and information of the regions": "figures/panel.png"},
    )
    summary.check(
        "all_tissues_testable",
        not splits.untestable,
        f"learnt but never judged, for want of a second donor: {', '.join(splits.untestable)}"
        if splits.untestable
        else "each tissue has a donor that is not trained on",
    )
    return summary
