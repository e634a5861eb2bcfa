"""The report's page: what a reader is told, in which order, with which figures."""

from __future__ import annotations

import math

from ml_core.families.tissuebert.asked import Known
from ml_core.families.tissuebert.verdict import FEW, READS, REGIONS, Comparison, comparisons, lost, tied
from ml_core.report import Figure, KeyFigure, Report, Section, Table
from ml_core.summary import Number, Summary

METHODS = {
    "test": "model",
    "baseline.tables": "tables of its training donors",
    "baseline.logistic": "logistic regression",
    "baseline.naive_bayes": "naive Bayes",
    "baseline.prior": "prior (most frequent tissue)",
}
HOLD = (0.92, 0.98)  # share of the true proportions that 95 % intervals may hold
SEQUENCE = {
    "fasta": "DNA is the genome's.",
    "surrogate": "DNA is that of other windows with as many CpGs: it serves as a name of the region, and nothing is "
    "claimed of sequences.",
    "none": "No DNA was read: all tokens are unknown.",
}


def page(summary: Summary, *, known: Known, provenance: dict[str, str]) -> Report:
    """Samples first, then mixtures, calibration, tissues, what DNA is worth, training."""
    sections = [
        *_single_reads(summary),
        _levels(summary, known=known),
        _mixtures(summary, given=known.splits.given),
        _calibration(summary),
        _tissues(summary, known=known),
        _dna(summary, known=known),
        _training(summary),
    ]
    return Report(
        title="TissueBERT: tissue of origin from DNA methylation",
        headline=headline(summary, given=known.splits.given),
        key_figures=_key_figures(summary, given=known.splits.given),
        sections=sections,
        metrics=summary.numbers,
        facts=provenance,
    )


def headline(summary: Summary, *, given: bool) -> str:
    """Winning baselines first, then what the model reaches."""
    numbers, won, close = summary.numbers, lost(summary.numbers), tied(summary.numbers)
    parts = [f"A baseline is better: {'; '.join(map(str, won))}."] if won else []
    parts += (
        [f"A baseline is ahead by less than can be told from chance: {'; '.join(map(str, close))}."] if close else []
    )
    if given:
        found = {name: numbers.get(f"test.read_{name}") for name in ("accuracy", "accuracy_se", "auc")}
        parts.append(
            f"The model names {_percent(found['accuracy'])} of the test reads (standard error "
            f"{_percent(found['accuracy_se'])}), AUC {_show(found['auc'])}; reads of the same donors are learnt."
        )
    else:
        parts.append(
            f"The model names {_percent(numbers['test.sample_accuracy'])} of {numbers['test.samples']} samples of new "
            f"donors (logistic regression {_percent(numbers['baseline.logistic.sample_accuracy'])}, naive Bayes "
            f"{_percent(numbers['baseline.naive_bayes.sample_accuracy'])})."
        )
    if not won and not close and any(True for _ in comparisons(numbers)):
        parts.append("No baseline is better at anything that was compared.")
    return " ".join(parts)


def _key_figures(summary: Summary, *, given: bool) -> list[KeyFigure]:
    numbers = summary.numbers
    found = []
    for each in comparisons(numbers):
        if each.kind == FEW or (each.kind in (REGIONS, READS) and not given):
            continue
        label = f"Error in {each.what}" if each.sign < 0 else f"{each.what.capitalize()}"
        found.append(KeyFigure(label, f"{each.ours:.4g}", f"{each.baseline} {each.theirs:.4g}", _good(each)))
    covers = _float(numbers.get("interval.coverage"))
    if not given:
        best = _ceiling(numbers["test.region_ceiling"])
        found.append(KeyFigure("Region accuracy", _show(numbers["test.region_accuracy"]), best))
        held = _percent(numbers.get("interval.coverage"))
        found.append(KeyFigure("95 % intervals hold", held, "of the true proportions", HOLD[0] <= covers <= HOLD[1]))
    return [
        *found,
        KeyFigure("Calibration error", _show(numbers["calibration.ece"]), "of a read"),
        KeyFigure("Donors in two splits", str(numbers["split.shared_donors"]), "given so" if given else "must be 0"),
    ]


def _good(each: Comparison) -> bool | None:
    """Whether the model is ahead, or level; None where it is behind by less than can be told from chance."""
    return None if each.behind and each.tied else not each.behind


def _single_reads(summary: Summary) -> list[Section]:
    numbers = summary.numbers
    if "test.read_auc_lead" not in numbers:
        return []
    rows: list[dict[str, Number]] = [
        {"method": label, "accuracy": numbers[f"{name}.read_accuracy"], "AUC": numbers[f"{name}.read_auc"]}
        for name, label in (("test", "model"), ("baseline.logistic", "logistic regression"))
    ]
    text = (
        f"{numbers['test.reads']} test reads, each by itself. The model is "
        f"{_show(numbers['test.read_accuracy_lead'])} ahead in accuracy (standard error "
        f"{_show(numbers['test.read_accuracy_lead_se'])}) and {_show(numbers['test.read_auc_lead'])} in AUC "
        f"({_show(numbers['test.read_auc_lead_se'])}); a difference within twice its error is a tie. Both learn "
        "from the same reads; logistic regression sees a read's methylated share and which region it lies in. The "
        f"model's answer is that of its {numbers['test.read_head']} head, which does better on validation reads."
    )
    return [Section("Single reads", text, [Table(rows)])]


def _levels(summary: Summary, *, known: Known) -> Section:
    numbers = summary.numbers
    rows: list[dict[str, Number]] = [
        {
            "method": label,
            **{level: numbers.get(f"{name}.{level}_accuracy") for level in ("sample", "region", "read")},
        }
        for name, label in METHODS.items()
    ]
    best: dict[str, Number] = {"method": "best possible guess", "sample": None}
    rows.append(best | {level: numbers[f"test.{level}_ceiling"] for level in ("region", "read")})
    text = (
        "A read or a region tells next to nothing of its tissue, and no method can do better there than about the last "
        "row (estimated from the training donors, tissues alike). The product is the sample: log likelihoods of its "
        f"reads are summed, never voted. {numbers['test.samples']} test samples, copies not counted, "
        f"{numbers['test.reads']:,} reads; the standard error of the model's sample accuracy is "
        f"{_show(numbers['test.sample_accuracy_se'])}. All methods learn from the same training donors; choices are "
        "made on validation donors."
    )
    tables = [
        Table(rows, "Share named rightly"),
        Table(
            [_labelled(row) for row in summary.tables.get("Samples of few reads", [])],
            "Share of samples named rightly, tissues alike, when only so many reads are known. The last column is what "
            "the best guess would reach if the training donors' tables were true; the standard error is that of the "
            "lead over the better of logistic regression and naive Bayes, donors drawn anew.",
        ),
    ]
    return Section("Samples, regions, reads", text, tables, _figures(summary, "Levels", "Samples of few reads"))


def _labelled(row: dict[str, Number]) -> dict[str, Number]:
    """The row with methods called as on the page."""
    keys = {name.removeprefix("baseline."): label for name, label in METHODS.items()} | {"tables": "tables"}
    return {keys.get(name, name): value for name, value in row.items()}


def _mixtures(summary: Summary, *, given: bool) -> Section:
    numbers = summary.numbers
    if given:
        text = "Tables of reads are of no donors, and have a read or two of a region: mixtures of them tell nothing."
        return Section("Mixtures", text)
    text = (
        "Reads of test donors are mixed in known proportions. Errors are mean absolute ones over all tissues; NNLS and "
        "EM are the plain ones, without an unknown tissue. Of the true proportions "
        f"{_percent(numbers.get('interval.coverage'))} lie in their 95 % intervals. For research, not for clinical use."
    )
    titles = ("Error by depth", "A tissue that the reference lacks", "Detection limits", "Groups of tissues")
    tables = [Table(summary.tables[title], title) for title in titles if title in summary.tables]
    pictures = ("Error of proportions", "Proportions, true and found", *titles[1:3])
    return Section("Mixtures", text, tables, _figures(summary, *pictures))


def _calibration(summary: Summary) -> Section:
    text = "Temperatures are those of validation donors; errors are those of test donors."
    table = Table(summary.tables.get("Calibration on test donors", []))
    return Section("Calibration", text, [table], _figures(summary, "Reliability on test donors"))


def _tissues(summary: Summary, *, known: Known) -> Section:
    left = known.splits.untestable
    text = f"Not testable, for want of a second donor: {', '.join(left)}." if left else "Each tissue has test donors."
    if known.splits.given:
        text = "Reads of the same donors are in training and test: nothing is said of new donors."
    return Section("Tissues", text, [Table(summary.tables["Tissues"])], _figures(summary, "Test donors by tissue"))


def _dna(summary: Summary, *, known: Known) -> Section:
    text = f"sequence_source: {known.regions.sequence_source}. {SEQUENCE[known.regions.sequence_source]}"
    rows = summary.tables.get("Without DNA", [])
    if rows:
        text += " The model was trained once more with all tokens unknown, everything else alike."
    else:
        text += " What DNA is worth was not measured here; set report.without_dna."
    return Section("What DNA is worth", text, [Table(rows)])


def _training(summary: Summary) -> Section:
    numbers = summary.numbers
    text = (
        f"{_show(numbers.get('train.cpu_seconds'))} CPU-seconds for {numbers.get('train.epochs')} epochs on "
        f"{numbers.get('train.device')}."
    )
    return Section(
        "Training",
        text,
        (),
        [Figure(path, title) for title, path in summary.figures.items() if path.endswith("curves.png")],
    )


def _figures(summary: Summary, *titles: str) -> list[Figure]:
    return [Figure(summary.figures[title], title) for title in titles if title in summary.figures]


def _ceiling(value: Number) -> str:
    return "no ceiling is known" if value is None else f"the best possible guess has {_show(value)}"


def _percent(value: Number) -> str:
    return f"{100 * value:.1f} %" if isinstance(value, float) and math.isfinite(value) else "an unknown share"


def _show(value: Number) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _float(value: Number) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
