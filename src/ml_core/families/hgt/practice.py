"""The report's tests of use: curated pairs, the classifier of downstream users, and another split beside this one."""

from __future__ import annotations

import json

from ml_core.errors import UserError
from ml_core.families.hgt import downstream, evaluate, figures
from ml_core.families.hgt.curated import Curated, pairs_in, read_curated
from ml_core.families.hgt.data import SPLITS
from ml_core.families.hgt.evidence import MODEL, Evidence, Links
from ml_core.families.hgt.judges import EmbeddingJudge
from ml_core.families.hgt.report_settings import ReportSettings
from ml_core.metrics.bootstrap import interval
from ml_core.metrics.separation import separate_sets
from ml_core.summary import Number, Summary


def curated_test(known: Evidence, links: Links, *, summary: Summary, settings: ReportSettings) -> Curated | None:
    """AUROC of indications against curated non-indications, for every judge; nothing where no table is given."""
    path = settings.curated_path()
    if path is None:
        return None
    curated = read_curated(path, graph=known.graph, relation=known.main, negative=settings.curated_negative)
    every = pairs_in(known.graph, known.splits, known.main, among=SPLITS)
    rows: list[dict[str, Number]] = []
    for method, judge in known.judges.items():
        factors = judge.factors(known.main)
        negative = factors.of_pairs(curated.rows, curated.columns)
        held_out = links.answers[known.name][method].positive
        prefix = "curated" if method == MODEL else f"control.{method}.curated"
        exact = float(separate_sets(held_out, negative).auroc[0])
        drawn = separate_sets(held_out, negative, draws=settings.bootstrap_draws, seed=settings.seed).auroc
        low, high = interval(drawn)
        whole = float(separate_sets(factors.of_pairs(*every), negative).auroc[0])
        summary.numbers |= {
            f"{prefix}.auroc": exact,
            f"{prefix}.auroc_low": low,
            f"{prefix}.auroc_high": high,
            f"{prefix}.auroc_all": whole,
        }
        rows.append(
            {
                "method": figures.METHODS[method][0],
                "AUROC, test indications": exact,
                "95 %": f"{low:.3f} to {high:.3f}",
                "AUROC, all indications": whole,
            }
        )
    summary.numbers |= {"curated.negatives": len(curated.rows), "curated.in_table": curated.in_table}
    summary.tables["Curated non-indications"] = rows
    return curated


def classifier_test(known: Evidence, curated: Curated | None, *, summary: Summary, settings: ReportSettings) -> None:
    """The users' classifier beside the plain decoder."""
    if not settings.classifier:
        return
    judge = known.judges[MODEL]
    assert isinstance(judge, EmbeddingJudge)
    rows: list[dict[str, Number]] = []
    for found in downstream.compare(
        judge, known.splits, known.main, curated=curated, draws=settings.bootstrap_draws, seed=settings.seed
    ):
        kind = found.against.split()[0].replace("-", "_")  # degree_matched, contraindications, curated
        for who, values in found.figures.items():
            summary.numbers |= {f"downstream.{kind}.{who}.{name}": value for name, value in values.items()}
            rows.append(
                {
                    "against": f"{found.negatives:,} {found.against}",
                    "who": who,
                    "AUROC": values["auroc"],
                    "AUROC, 95 %": f"{values['auroc_low']:.3f} to {values['auroc_high']:.3f}",
                    "AUPRC": values["auprc"],
                    "AUPRC, 95 %": f"{values['auprc_low']:.3f} to {values['auprc_high']:.3f}",
                }
            )
    summary.tables["Classifier"] = rows


def beside(settings: ReportSettings, *, summary: Summary, name: str) -> None:
    """The same figures of another report, for instance of the other kind of split."""
    path = settings.beside_path()
    if path is None:
        return
    if not path.is_file():
        raise UserError(f"{path}: is no file; give the directory of a report in report.beside, or leave it out.")
    other = json.loads(path.read_text())
    rows: list[dict[str, Number]] = []
    for who, prefix in (("HGT", "test."), ("DistMult", "control.distmult."), ("popularity", "control.popularity.")):
        for where, numbers in (("this split", summary.numbers), ("the other report", other)):
            kind = numbers.get("split.kind")
            rows.append(
                {
                    "method": who,
                    "split": f"{where} ({kind})" if kind else where,
                    **{metric: numbers.get(f"{prefix}{name}.{metric}") for metric in evaluate.METRICS},
                }
            )
    summary.tables["Beside another report"] = rows
