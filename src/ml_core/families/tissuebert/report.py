"""The stage `report`: the model beside every baseline on test donors, by read, region, sample and in mixtures."""

from __future__ import annotations

import shutil

from ml_core.canvas import save_figure
from ml_core.families.tissuebert import levels, pages
from ml_core.families.tissuebert.ablation import without_dna
from ml_core.families.tissuebert.asked import Known, gather
from ml_core.families.tissuebert.confusion_figure import draw_confusion
from ml_core.families.tissuebert.donors import shared_donors
from ml_core.families.tissuebert.few_reads import AS_ONE, CEILING, LEAD_ERROR, LOGISTIC, at_each_number
from ml_core.families.tissuebert.model_settings import ModelSettings
from ml_core.families.tissuebert.one_read import one_read
from ml_core.families.tissuebert.report_figures import draw_few_reads, draw_levels
from ml_core.families.tissuebert.report_settings import ReportSettings
from ml_core.families.tissuebert.study import load_learnt
from ml_core.families.tissuebert.verdict import lost, tied
from ml_core.report import write_report
from ml_core.running import StageRun
from ml_core.summary import Summary

STAGES = ("panel", "regions", "splits", "model", "calibration", "mixtures")
COPIED = {
    "model": ("figures/curves.png",),
    "calibration": ("figures/reliability.png",),
    "mixtures": ("figures/errors.png", "figures/true_found.png", "figures/unknown.png", "figures/detection.png"),
}
TOLERATED = (
    0.02  # by which a region's accuracy may exceed its ceiling, for that rests on tables with errors of their own
)


def build(run: StageRun) -> Summary:
    """Levels, few reads, single reads, ablation, what earlier stages measured, figures, page."""
    settings: ReportSettings = run.settings
    summary = Summary()
    for stage in STAGES:
        summary.numbers |= run.inputs[stage].summary.numbers
    known = gather(run)
    summary.numbers["split.shared_donors"] = len(shared_donors(known.regions.samples, known.splits.part))
    summary.numbers["report.sequence_source"] = known.regions.sequence_source
    summary.numbers |= levels.reads_and_regions(known, settings) | levels.ceilings(known, settings)
    summary.numbers |= levels.samples(known, settings)
    if known.splits.given:
        summary.numbers |= one_read(known, settings)
    else:
        _few_reads(run, known, summary)
    summary.numbers.setdefault("test.read_auc", None)  # of two tissues only
    _ablation(run, known, summary)
    summary.tables["Tissues"] = levels.tissue_table(known)
    for stage in ("calibration", "mixtures"):
        summary.tables |= run.inputs[stage].summary.tables
    _draw(run, known, summary)
    _checks(known, summary)
    page = pages.page(summary, known=known, provenance=_provenance(run))
    summary.headline = page.headline
    write_report(page, run.directory)
    return summary


def _few_reads(run: StageRun, known: Known, summary: Summary) -> None:
    learnt = load_learnt(run.inputs["mixtures"].directory, known.regions.regions)
    rows = at_each_number(known, run.settings, groups=learnt.groups)
    summary.tables["Samples of few reads"] = rows
    for row in rows:
        for name, prefix in (*levels.METHODS.items(), (LOGISTIC, "baseline.logistic")):
            summary.numbers[f"{prefix}.reads_{row['reads']}.sample_accuracy"] = row[name]
        summary.numbers[f"test.reads_{row['reads']}.group_accuracy"] = row[AS_ONE]
        summary.numbers[f"test.reads_{row['reads']}.sample_accuracy_lead_se"] = row[LEAD_ERROR]
        summary.numbers[f"test.reads_{row['reads']}.sample_ceiling"] = row[CEILING]


def _ablation(run: StageRun, known: Known, summary: Summary) -> None:
    """Only where the model has read DNA, and is told to be trained without."""
    values = run.inputs["model"].manifest["settings"]
    trained = ModelSettings.parse(values, where="report: the artifact of model")
    if not run.settings.without_dna or not trained.use_dna or known.regions.sequence_source == "none":
        return
    rows = without_dna(known, trained, work=run.work / "without_dna")
    summary.tables["Without DNA"] = rows
    for name in ("read accuracy", "sample accuracy"):
        summary.numbers[f"ablation.without_dna.{name.replace(' ', '_')}"] = rows[1][name]


def _draw(run: StageRun, known: Known, summary: Summary) -> None:
    folder = run.directory / "figures"
    folder.mkdir(exist_ok=True)
    save_figure(
        draw_confusion(levels.confusions(known), tissues=list(known.regions.tissues["name"])), folder / "confusion.png"
    )
    draw_levels(folder / "levels.png", numbers=summary.numbers)
    summary.figures |= {"Levels": "figures/levels.png", "Test donors by tissue": "figures/confusion.png"}
    if few := summary.tables.get("Samples of few reads"):
        draw_few_reads(folder / "few_reads.png", rows=few)
        summary.figures["Samples of few reads"] = "figures/few_reads.png"
    for stage, paths in COPIED.items():
        made = {path: title for title, path in run.inputs[stage].summary.figures.items()}
        for path in paths:
            if path in made:
                shutil.copyfile(run.inputs[stage].path(path), run.directory / path)
                summary.figures[made[path]] = path


def _checks(known: Known, summary: Summary) -> None:
    numbers = summary.numbers
    shared = int(numbers["split.shared_donors"] or 0)
    text = f"{shared} donors are in two splits"
    if known.splits.given:
        text += ", as the tables of reads were given"
    summary.check("no_shared_donor", shared == 0 or known.splits.given, text)
    best, ours = numbers["test.region_ceiling"], float(numbers["test.region_accuracy"] or 0)
    if best is None:
        summary.check("within_ceiling", True, "regions have too few reads for a ceiling")
    else:
        text = f"region accuracy {ours:.4f}, ceiling {float(best):.4f}"
        summary.check("within_ceiling", ours <= float(best) + TOLERATED, text)
    won = lost(numbers)
    text = "; ".join(map(str, [*won, *tied(numbers)])) or "none is better at anything"
    summary.check("baselines_beaten", not won, text)


def _provenance(run: StageRun) -> dict[str, str]:
    model = run.inputs["model"].manifest
    facts = {
        f"{name} artifact": f"{artifact.fingerprint} (digest {artifact.digest[:16]})"
        for name, artifact in run.inputs.items()
    }
    facts["model trained"] = f"on {model['device']} in {model['seconds']:.0f} s"
    return facts | {name: str(value) for name, value in model["libraries"].items()}
