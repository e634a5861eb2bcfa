"""All samples' reads on the panel as one file, regions.h5, and the proof that methylation stands at CpGs only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ml_core.families.tissuebert.checks import misplaced
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.hdf5_writer import RegionsWriter, Rows
from ml_core.families.tissuebert.panel_data import Panel, load_panel
from ml_core.families.tissuebert.raw_files import RawFiles, files_of
from ml_core.families.tissuebert.read_regions import GivenReads, given_reads
from ml_core.families.tissuebert.regions_figure import draw_regions
from ml_core.families.tissuebert.samples import read_sample
from ml_core.families.tissuebert.settings import PanelSettings, RegionsSettings
from ml_core.running import StageRun
from ml_core.summary import Number, Summary

FILE = "regions.h5"


def build(run: StageRun) -> Summary:
    """Write each sample's rows; check every row."""
    settings: RegionsSettings = run.settings
    raw, panel = files_of(run.inputs["raw"].directory), load_panel(run.inputs["panel"].directory)
    given = None
    if "reads_train" in raw.files:
        chosen = PanelSettings.model_validate(run.inputs["panel"].manifest["settings"])
        given = given_reads(raw.files, settings=chosen, build=raw.build)
    samples: Iterable[int] = run.progress(range(len(panel.samples)), what="samples")
    write_regions(run.directory / FILE, panel=panel, raw=raw, given=given, settings=settings, samples=samples)
    regions = open_regions(run.directory / FILE)
    draw_regions(run.directory / "figures" / "regions.png", regions=regions)
    return _summary(regions, settings=settings)


def write_regions(
    path: Path,
    *,
    panel: Panel,
    raw: RawFiles,
    given: GivenReads | None,
    settings: RegionsSettings,
    samples: Iterable[int],
) -> None:
    """regions.h5 of all samples of the panel; memory does not grow with their number."""
    with RegionsWriter(
        path,
        dna_tokens=panel.dna_tokens,
        cpg_position=panel.cpg_position,
        n_cpg=panel.n_cpg,
        regions=panel.regions,
        tissues=panel.tissues,
        build=panel.build,
        sequence_source=panel.sequence_source,
        panel_digest=panel.digest,
        cpgs=panel.cpgs,
        compress=settings.compress,
    ) as writer:
        for number in samples:
            sample = panel.samples.iloc[number]
            rows = (
                given.rows_of(number)
                if given is not None
                else read_sample(
                    raw.samples[sample["file"]],
                    panel=panel,
                    min_observed=settings.min_observed,
                    min_mapping_quality=settings.min_mapping_quality,
                )
            )
            writer.start_sample(
                name=sample["name"],
                donor=sample["donor"],
                tissue=sample["tissue"],
                kind=sample["kind"],
                coverage=coverage(rows, n_cpg=panel.n_cpg),
                synthetic=bool(sample["synthetic"]),
            )
            writer.append(rows)


def coverage(rows: Rows, *, n_cpg: np.ndarray) -> float:
    """Mean reads over a CpG of the panel."""
    return float((rows.count * rows.n_cov).sum() / max(int(n_cpg.sum()), 1))


def _summary(regions: Regions, *, settings: RegionsSettings) -> Summary:
    reads = np.bincount(regions.row_sample, regions.row_count, len(regions.samples))
    table = regions.samples.assign(rows=np.diff(regions.sample_offset), reads=reads)
    rows: list[dict[str, Number]] = []
    for tissue, own in table.groupby("tissue", sort=True):
        real = own[~own["synthetic"]]
        rows.append(
            {
                "tissue": str(tissue),
                "donors": own["donor"].nunique(),
                "samples": len(real),
                "synthetic copies": len(own) - len(real),
                "rows": int(own["rows"].sum()),
                "reads": int(own["reads"].sum()),
                "mean coverage": float(own["coverage"].mean()),
            }
        )
    empty = int((np.bincount(regions.row_region, minlength=len(regions.n_cpg)) == 0).sum())
    wrong = misplaced(regions)
    summary = Summary(
        headline=f"{len(regions):,} rows of {int(reads.sum()):,} reads in {len(regions.n_cpg):,} regions, "
        f"{len(regions.samples):,} samples of {regions.samples['donor'].nunique():,} donors; DNA from "
        f"{regions.sequence_source}.",
        numbers={
            "regions.rows": len(regions),
            "regions.reads": int(reads.sum()),
            "regions.regions": len(regions.n_cpg),
            "regions.samples": len(regions.samples),
            "regions.donors": regions.samples["donor"].nunique(),
            "regions.without_reads": empty,
            "regions.bytes": regions.path.stat().st_size,
        },
        tables={"Reads by tissue": rows},
        figures={"Coverage of the samples": "figures/regions.png"},
    )
    summary.check("states_at_cpgs", wrong == 0, f"{wrong:,} of {len(regions):,} rows tell of places that are no CpG")
    summary.check(
        "regions_read",
        empty <= settings.max_empty * len(regions.n_cpg),
        f"{empty:,} of {len(regions.n_cpg):,} regions have no read in any sample",
    )
    return summary
