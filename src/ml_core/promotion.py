"""Which report's model a family puts forward: its champion, and the history of how it came to be.

    DATA/artifacts/<family>/<report>/champion           symlink to the champion's report
    DATA/artifacts/<family>/<report>/champion.jsonl     one line for each report that was considered

The line is written before the symlink moves, so that a promotion that was killed between the two is finished later.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ml_core import journal
from ml_core.artifacts import Artifact, Store
from ml_core.errors import UserError
from ml_core.full_disk import full_disk_in_one_sentence
from ml_core.settings import stable_hash
from ml_core.stages import Family, Score, failed_checks

POINTER, HISTORY = "champion", "champion.jsonl"
BY_REPORT, BY_HAND = "report", "hand"


@dataclass(frozen=True)
class Decision:
    """Whether a report's model became champion, and why or why not in one sentence."""

    promoted: bool
    reason: str


def champion_of(family: Family, store: Store) -> Artifact | None:
    """The report of the champion, if there is one."""
    return store.pointed_at(family.name, family.stages[-1].name, POINTER)


def history_file(family: Family, store: Store) -> Path:
    return store.stage_directory(family.name, family.stages[-1].name) / HISTORY


def consider(family: Family, report: Artifact, store: Store) -> Decision | None:
    """Promote the model of this report if it is better than the champion, and write down the decision.

    Nothing (None) where the family declares no score, or the report is the champion already. The same report held
    against the same champion again gets the same answer, and no second line.
    """
    if not family.scores:
        return None
    with _locked(family, store):
        champion = champion_of(family, store)
        if champion is not None and champion.fingerprint == report.fingerprint:
            return None
        against = champion.fingerprint if champion else None
        for row in reversed(journal.read(history_file(family, store))):
            if (row["report"], row["digest"], row["against"]) == (report.fingerprint, report.digest, against):
                return Decision(row["promoted"], row["reason"])
        decision = decide(family, report, champion)
        _settle(family, report, store, decision=decision, against=against, by=BY_REPORT)
        return decision


def promote_by_hand(family: Family, fingerprint: str, store: Store) -> Decision:
    """Make this report's model champion, whatever its figures. UserError where there is no such report."""
    last = family.stages[-1]
    known = [report for report in store.all(family.name, last.name) if report.fingerprint.startswith(fingerprint)]
    if len(known) != 1:
        names = ", ".join(report.fingerprint for report in store.all(family.name, last.name)) or "none"
        found = "more than one report begins so" if known else "there is no such report"
        raise UserError(f"{family.name}: '{fingerprint}': {found}; the reports are {names}.")
    with _locked(family, store):
        champion = champion_of(family, store)
        decision = Decision(True, f"{family.name} {known[0].fingerprint} was made champion by hand.")
        against = champion.fingerprint if champion else None
        _settle(family, known[0], store, decision=decision, against=against, by=BY_HAND)
    return decision


def decide(family: Family, candidate: Artifact, champion: Artifact | None) -> Decision:
    """Whether `candidate` is better than `champion` by more than its interval, on the same test set."""
    name = f"{family.name} {candidate.fingerprint}"
    failed = failed_checks(family.stages[-1], candidate)
    if failed:
        return Decision(False, f"{name} is no champion: {failed[0]}")
    if champion is None:
        return Decision(True, f"{name} is champion: there was none before.")
    stays = f"{name} is no champion, {champion.fingerprint} stays"
    if judged_on(family, candidate) is None or judged_on(family, candidate) != judged_on(family, champion):
        by_hand = f"python -m ml_core champion {family.name} --promote {candidate.fingerprint}"
        return Decision(False, f"{stays}: it was judged on another test set; if you prefer it, {by_hand}.")
    score = _shared_score(family, candidate, champion)
    if score is None:
        names = ", ".join(each.metric for each in family.scores)
        return Decision(False, f"{stays}: the two reports share none of the figures {names}.")
    ours, theirs = (_number(report, score.metric) for report in (candidate, champion))
    low, high = (_number(candidate, f"{score.metric}_{end}") for end in ("low", "high"))
    if low is None or high is None:
        return Decision(False, f"{stays}: its {score.metric} of {ours:.4g} has no interval to judge the gain by.")
    assert theirs is not None
    shown = f"{score.metric} {ours:.4g} (95 % interval {low:.4g} to {high:.4g})"
    if (low > theirs) if score.higher_is_better else (high < theirs):
        return Decision(True, f"{name} is champion: {shown} is better than the {theirs:.4g} of {champion.fingerprint}.")
    return Decision(False, f"{stays}: {shown} is not better than {theirs:.4g} by more than its interval.")


def judged_on(family: Family, report: Artifact) -> str | None:
    """Hash of what the report was judged on: its own settings, and the content of each input that no training made.

    None where every input comes from a training, so that nothing is known of the test set.
    """
    trained = family.trained()
    data = {name: digest for name, digest in report.manifest["inputs"].items() if name not in trained}
    settings = family.stages[-1].settings
    # Read as they are now: a field that was added since has its default.
    known = {name: value for name, value in report.manifest["settings"].items() if name in settings.model_fields}
    own = settings.parse(known, where=f"{family.name}: the settings of report {report.fingerprint}").result_fields()
    return stable_hash({"data": data, "settings": own}) if data else None


def _shared_score(family: Family, *reports: Artifact) -> Score | None:
    """The first of the family's scores that every one of the reports has a figure for."""
    return next(
        (score for score in family.scores if all(_number(report, score.metric) is not None for report in reports)), None
    )


def _number(report: Artifact, name: str) -> float | None:
    value = report.summary.numbers.get(name)
    return float(value) if isinstance(value, int | float) else None


@contextmanager
def _locked(family: Family, store: Store) -> Iterator[None]:
    """One decision at a time; a promotion that was written down but not carried out is finished first."""
    history = history_file(family, store)
    with FileLock(history.with_name(f".{POINTER}.lock")):
        promoted = [row["report"] for row in journal.read(history) if row["promoted"]]
        last = family.stages[-1].name
        if promoted and store.find(family.name, last, promoted[-1]):
            store.point(family.name, last, POINTER, promoted[-1])
        yield


def _settle(
    family: Family, report: Artifact, store: Store, *, decision: Decision, against: str | None, by: str
) -> None:
    row = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        "report": report.fingerprint,
        "digest": report.digest,
        "against": against,
        "by": by,
        "promoted": decision.promoted,
        "reason": decision.reason,
    }
    with full_disk_in_one_sentence(store.data, what=f"{family.name}: the decision on report {report.fingerprint}"):
        journal.append(history_file(family, store), row)
        if decision.promoted:
            store.point(family.name, family.stages[-1].name, POINTER, report.fingerprint)
