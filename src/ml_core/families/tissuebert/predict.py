"""The family's answer to `python -m ml_core predict tissuebert`: the tissues of a new sample, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.tissuebert.estimator import Estimate, Estimator, contributions, estimate
from ml_core.families.tissuebert.evidence import Reads
from ml_core.families.tissuebert.gate import Gate, judge
from ml_core.families.tissuebert.groups import group_names
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.intervals import interval
from ml_core.families.tissuebert.new_sample import read_new, reads_of
from ml_core.families.tissuebert.predict_figure import draw_proportions
from ml_core.families.tissuebert.regions import FILE
from ml_core.families.tissuebert.report_settings import PredictSettings
from ml_core.families.tissuebert.settings import RegionsSettings
from ml_core.families.tissuebert.study import load_learnt
from ml_core.summary import Number, Summary

UNKNOWN = "unknown"
GATE = {
    "covered": "share of regions with a read",
    "reads": "reads in the panel",
    "residual": "misfit of the regions (1: none)",
    "unknown": "share of no known tissue",
}
Rows = list[dict[str, Number]]


def answer(settings: PredictSettings, artifacts: Mapping[str, Artifact]) -> Summary:
    """Proportions with intervals, what was looked at before they may be reported, and what single regions say.

    A sample that does not pass the gate has no proportions, but the reasons. UserError where the sample or a file to be
    written is not as it should be.
    """
    figure, table = _place(settings.figure, option="figure"), _place(settings.contributions, option="contributions")
    regions = open_regions(artifacts["regions"].directory / FILE)
    learnt = load_learnt(artifacts["mixtures"].directory, regions.regions)
    chosen = RegionsSettings.parse(artifacts["regions"].manifest["settings"], where="the artifact of regions")
    path = Path(settings.sample).expanduser()
    sample = read_new(path, regions, build=settings.build, settings=chosen)
    depth = reads_of(sample, model=None).total / len(regions.n_cpg)
    how = learnt.at(depth)
    reads = reads_of(sample, model=None if how.source == "tables" else artifacts["model"].directory)
    found = estimate(how, reads, draws=settings.draws, seed=settings.seed)
    gate = judge(
        reads,
        regions=len(regions.n_cpg),
        residual=found.residual,
        unknown=float(found.proportions[-1]),
        limit=learnt.gate,
    )
    looked_at = {"Looked at": _gate_rows(gate)}
    if not gate.reportable:
        return Summary(headline=f"{path.name}: not reportable: {'; '.join(gate.reasons)}.", tables=looked_at)
    said = contributions(how, reads, found.mixture)
    tables = {
        "Proportions": proportion_rows(found, how, groups=learnt.groups),
        **looked_at,
        "Regions that say most": region_rows(said, regions, tissues=how.tables.tissues, count=settings.shown_regions),
    }
    if table is not None:
        _write_contributions(table, said=said, regions=regions, tissues=how.tables.tissues)
    if figure is not None:
        draw_proportions(figure, rows=tables["Proportions"])
    return Summary(headline=_headline(path.name, found, reads, depth, tables["Proportions"]), tables=tables)


def proportion_rows(found: Estimate, how: Estimator, *, groups: np.ndarray) -> Rows:
    """A row for each group of tissues that can be told apart, the largest first, and the unknown share last.

    A group's proportion is the sum of its tissues', its interval that of the sum; groups [tissues].
    """
    tissues, count = how.tables.tissues, int(groups.max()) + 1
    member = np.zeros((len(tissues) + 1, count + 1))
    member[np.arange(len(tissues)), groups] = 1
    member[-1, -1] = 1
    errors = np.sqrt(found.errors**2 @ member)
    point, draws = found.proportions @ member, found.draws @ member
    low, high = interval(point, draws, errors, widen=how.widen)
    names = [*group_names(tissues, groups), UNKNOWN]
    order = [*np.argsort(-point[:-1], kind="stable"), count]
    return [
        {"tissue": names[each], "proportion": float(point[each]), "low": float(low[each]), "high": float(high[each])}
        for each in order
    ]


def region_rows(said: np.ndarray, regions: Regions, *, tissues: list[str], count: int) -> Rows:
    """The pairs of region and tissue with the largest contributions; said [regions, tissues], in nats."""
    largest = np.argsort(-np.abs(said), axis=None, kind="stable")[:count]
    rows: Rows = []
    for region, tissue in zip(*np.unravel_index(largest, said.shape), strict=True):
        place = regions.regions.iloc[int(region)]
        rows.append(
            {
                "chromosome": str(place["chromosome"]),
                "start": int(place["start"]),
                "end": int(place["end"]),
                "marker of": str(place["target"]),
                "tissue": tissues[int(tissue)],
                "nats": float(said[region, tissue]),
            }
        )
    return rows


def _gate_rows(gate: Gate) -> Rows:
    return [
        {"looked at": GATE[name], "found": float(value), "limit": float(limit)}
        for name, (value, limit) in gate.values.items()
    ]


def _headline(name: str, found: Estimate, reads: Reads, depth: float, rows: Rows) -> str:
    first = rows[0]
    return (
        f"{name}: {100 * float(first['proportion'] or 0):.1f} % {first['tissue']} "
        f"({100 * float(first['low'] or 0):.1f} to {100 * float(first['high'] or 0):.1f} %), unknown "
        f"{100 * found.proportions[-1]:.1f} %; {reads.total:,.0f} reads, {depth:.1f} in a region. For research, not "
        "for clinical use."
    )


def _write_contributions(path: Path, *, said: np.ndarray, regions: Regions, tissues: list[str]) -> None:
    """A row for each region: where it is, whose marker, and what it says for each tissue; said [regions, tissues]."""
    places = regions.regions[["chromosome", "start", "end", "target"]]
    pd.concat([places, pd.DataFrame(said, columns=tissues)], axis=1).to_csv(path, sep="\t", index=False)


def _place(name: str | None, *, option: str) -> Path | None:
    """Where a file goes, if one was asked for; UserError where there is no such folder."""
    if name is None:
        return None
    path = Path(name).expanduser()
    if not path.parent.is_dir():
        raise UserError(f"--{option} {path}: its folder does not exist, expected one to write into; make it first.")
    return path
