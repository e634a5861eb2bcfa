"""From simulated or given files to splits: what each stage says is what lies there, and planted leaks stop the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_core.artifacts import Artifact, sha256
from ml_core.errors import UserError
from ml_core.families.tissuebert.donors import TEST, load_splits
from ml_core.families.tissuebert.family import FAMILY
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.panel_data import load_panel
from ml_core.families.tissuebert.raw_files import files_of
from tests.unit.families.tissuebert.stage_runs import run_data_stages


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    return run_data_stages(tmp_path_factory.mktemp("data"), raw={"copies": 1})


def regions_of(made: dict[str, Artifact]) -> Regions:
    return open_regions(made["regions"].path("regions.h5"))


def test_all_checks_pass_on_simulated_samples_with_copies(made: dict[str, Artifact]) -> None:
    for stage, artifact in made.items():
        assert all(check.passed for check in artifact.summary.checks), (stage, artifact.summary.checks)
    assert made["splits"].summary.numbers["split.shared_donors"] == 0
    counted = made["splits"].summary.tables["Splits"]
    assert sum(row["samples"] for row in counted) == sum(row["synthetic copies"] for row in counted) == 16


def test_rows_are_the_reads_of_the_files(made: dict[str, Artifact]) -> None:
    regions, raw = regions_of(made), files_of(made["raw"].directory)
    sheet = pd.read_csv(raw.files["samples"], sep="\t")
    assert regions.samples["name"].tolist() == sheet["name"].tolist()
    for number in (0, 5):
        lines = pd.read_csv(raw.samples[sheet["file"][number]], sep="\t", header=None)
        long = lines[lines[2].str.replace(".", "").str.len() >= 3]
        mine = regions.rows_of(number)
        assert regions.row_count[mine].sum() == long[3].sum()
        assert (regions.row_count * regions.n_meth)[mine].sum() == (long[2].str.count("C") * long[3]).sum()
    assert made["regions"].summary.numbers["regions.reads"] == int(regions.row_count.sum())


def test_the_same_splits_serve_panel_and_model(made: dict[str, Artifact]) -> None:
    of_panel, of_splits = (load_splits(made[name].directory) for name in ("panel", "splits"))
    np.testing.assert_array_equal(of_panel.part, of_splits.part)
    donors = regions_of(made).samples["donor"]
    for part in range(3):
        assert donors[of_splits.part == part].nunique() > 0


def test_figures_are_there(made: dict[str, Artifact]) -> None:
    for artifact in made.values():
        for figure in artifact.summary.figures.values():
            assert artifact.path(figure).stat().st_size > 1000


def test_the_panel_is_chosen_without_the_judged_donors(tmp_path: Path) -> None:
    """Whatever stands in files of validation and test donors, panel and information stay the same."""
    made = run_data_stages(tmp_path / "data", until="panel", panel={"max_regions": 12})
    raw = files_of(made["raw"].directory)
    panel, splits = load_panel(made["panel"].directory), load_splits(made["panel"].directory)
    folder = copied(made["raw"], tmp_path / "mine")
    for number, file in enumerate(panel.samples["file"]):
        if splits.part[number] > 0:
            (folder / file).write_bytes(b"no reads at all")
    given = {name: str(folder / raw.files[name].name) for name in ("samples", "panel", "fasta")}
    again = run_data_stages(
        tmp_path / "again",
        until="panel",
        raw={"source": "path", "build": "simulated", **given},
        panel={"max_regions": 12},
    )
    found = load_panel(again["panel"].directory)
    assert len(found) == 12
    assert found.digest == panel.digest
    np.testing.assert_array_equal(found.information, panel.information)


def test_chosen_regions_tell_more_than_those_left_out(tmp_path: Path) -> None:
    whole = load_panel(run_data_stages(tmp_path / "a", until="panel")["panel"].directory)
    few = load_panel(run_data_stages(tmp_path / "b", until="panel", panel={"max_regions": 20})["panel"].directory)
    assert len(few) == 20
    assert few.information.max(axis=1).mean() > 1.2 * whole.information.max(axis=1).mean()
    for tissue in whole.tissues["name"]:
        assert (few.regions["start_cpg"].isin(whole.regions["start_cpg"])).all(), tissue
    atlas = pd.read_csv(
        files_of(run_data_stages(tmp_path / "a", until="raw")["raw"].directory).files["atlas"], sep="\t"
    )
    target = atlas.set_index("startCpG")["target"].fillna("")
    assert (target[few.regions["start_cpg"]] != "").mean() > (target != "").mean()


def test_a_panel_knows_its_targets_from_the_atlas_beside_it(tmp_path: Path) -> None:
    """Only what a region tells is taken: another panel, or other fractions, change nothing of the rest."""
    made = run_data_stages(tmp_path / "data", until="panel")
    raw, panel = files_of(made["raw"].directory), load_panel(made["panel"].directory)
    atlas = pd.read_csv(raw.files["atlas"], sep="\t").set_index("startCpG").fillna({"target": "", "direction": ""})
    assert (panel.regions["target"] != "").mean() > 0.7
    for name in ("target", "direction"):
        assert panel.regions[name].tolist() == atlas[name][panel.regions["start_cpg"]].tolist()
    folder = copied(made["raw"], tmp_path / "mine")
    given = {name: str(folder / raw.files[name].name) for name in ("samples", "panel", "fasta")}
    alone = load_panel(
        run_data_stages(tmp_path / "alone", until="panel", raw={"source": "path", "build": "simulated", **given})[
            "panel"
        ].directory
    )
    assert set(alone.regions["target"]) == {""}
    np.testing.assert_array_equal(alone.information, panel.information)


def copied(artifact: Artifact, folder: Path) -> Path:
    """The files of a raw stage in a folder of the user's."""
    raw = files_of(artifact.directory)
    folder.mkdir()
    for path in [*raw.files.values(), *raw.samples.values()]:
        shutil.copyfile(path, folder / path.name)
    (folder / "atlas.tsv").unlink()
    (folder / "truth.npz").unlink(missing_ok=True)
    return folder


def own_files(folder: Path, tmp_path: Path, **changes: object) -> dict[str, str]:
    """Simulated files that a test may spoil: the settings that name them."""
    artifact = run_data_stages(tmp_path / "made", until="raw", raw=changes)["raw"]
    raw = files_of(artifact.directory)
    copied(artifact, folder)
    return {name: str(folder / raw.files[name].name) for name in ("samples", "panel", "fasta")}


def test_a_copy_under_another_donor_s_name_stops_the_run(tmp_path: Path) -> None:
    given = own_files(tmp_path / "mine", tmp_path, regions=60, depth=12.0)
    sheet = pd.read_csv(given["samples"], sep="\t")
    own = [number for number, tissue in enumerate(sheet["tissue"]) if tissue == "stomach"]
    first = run_data_stages(tmp_path / "a", raw={"source": "path", **given})
    part = load_splits(first["splits"].directory).part
    tested, learnt = (next(number for number in own if part[number] == which) for which in (TEST, 0))
    shutil.copyfile(tmp_path / "mine" / sheet["file"][tested], tmp_path / "mine" / sheet["file"][learnt])
    made = run_data_stages(tmp_path / "b", raw={"source": "path", **given})
    checks = {check.name: check for check in made["splits"].summary.checks}
    assert not checks["no_near_duplicate"].passed
    assert sheet["name"][tested] in checks["no_near_duplicate"].message
    assert made["splits"].summary.numbers["split.near_duplicates"] == 1


def test_a_tissue_of_one_donor_is_learnt_and_told(tmp_path: Path) -> None:
    given = own_files(tmp_path / "mine", tmp_path)
    sheet = pd.read_csv(given["samples"], sep="\t")
    sheet = sheet[(sheet["tissue"] != "colon") | (sheet["donor"] == "colon_01")]
    sheet.to_csv(given["samples"], sep="\t", index=False)
    made = run_data_stages(tmp_path / "data", raw={"source": "path", **given})
    check = next(check for check in made["panel"].summary.checks if check.name == "all_tissues_testable")
    assert not check.passed
    assert "colon" in check.message
    row = next(row for row in made["splits"].summary.tables["Donors of each tissue"] if row["tissue"] == "colon")
    assert (row["train"], row["test"], row["testable"]) == (1, 0, "no: not testable with one donor")


def test_files_are_copied_unaltered_and_unchanged_ones_are_not_read_again(tmp_path: Path) -> None:
    given = own_files(tmp_path / "mine", tmp_path)
    before = {path: sha256(path) for path in (tmp_path / "mine").iterdir()}
    first = run_data_stages(tmp_path / "data", raw={"source": "path", **given})
    raw = files_of(first["raw"].directory)
    assert {sha256(path) for path in [*raw.files.values(), *raw.samples.values()]} == set(before.values())
    assert {path: sha256(path) for path in (tmp_path / "mine").iterdir()} == before
    again = run_data_stages(tmp_path / "data", raw={"source": "path", **given})
    assert {name: artifact.directory for name, artifact in again.items()} == {
        name: artifact.directory for name, artifact in first.items()
    }
    (tmp_path / "mine" / "blood_01.pat.gz").write_bytes((tmp_path / "mine" / "blood_02.pat.gz").read_bytes())
    changed = run_data_stages(tmp_path / "data", until="raw", raw={"source": "path", **given})
    assert changed["raw"].directory != first["raw"].directory


def test_urls_need_each_file_of_the_sheet(tmp_path: Path) -> None:
    given = own_files(tmp_path / "mine", tmp_path)
    files = sorted((tmp_path / "mine").glob("*.pat.gz"))
    urls = {name: Path(path).as_uri() for name, path in given.items()}
    digests = {name: sha256(Path(path)) for name, path in given.items()}
    digests |= {f"files_{number}": sha256(path) for number, path in enumerate(files, 1)}
    raw = {"source": "url", **urls, "files": [path.as_uri() for path in files], "sha256": digests}
    made = run_data_stages(tmp_path / "data", raw=raw, until="regions")
    assert made["regions"].summary.numbers["regions.samples"] == len(files)
    fewer = {name: digest for name, digest in digests.items() if name != f"files_{len(files)}"}
    raw |= {"files": [path.as_uri() for path in files[:-1]], "sha256": fewer}
    with pytest.raises(UserError, match=r"names '.*\.pat\.gz', which is not in raw\.files"):
        run_data_stages(tmp_path / "other", raw=raw, until="raw")


def test_compressed_regions_are_the_same_and_smaller(tmp_path: Path) -> None:
    plain, small = (
        run_data_stages(tmp_path / "data", until="regions", regions={"compress": compress})["regions"]
        for compress in (False, True)
    )
    one, other = (open_regions(each.path("regions.h5")) for each in (plain, small))
    np.testing.assert_array_equal(one.states, other.states)
    assert other.path.stat().st_size < one.path.stat().st_size / 4


def test_the_digest_of_the_panel_travels(made: dict[str, Artifact]) -> None:
    described = json.loads(made["panel"].path("panel.json").read_text())
    assert regions_of(made).panel_digest == described["digest"] == load_panel(made["panel"].directory).digest


READS = "name\tref_name\tref_pos\tdna_seq\tmethyl_seq\tdmr_label\tctype\n"


def read_table(path: Path, *, seed: int, count: int) -> str:
    rng = np.random.default_rng(seed)
    lines = [READS]
    for number in range(count):
        letters = "".join(rng.choice(list("ACGT"), 40))
        kmers = " ".join(letters[at : at + 3] for at in range(38))
        methyl = "".join(str(rng.integers(2)) if letters[at + 1 : at + 3] == "CG" else "2" for at in range(38))
        lines.append(f"r{number}\tchr1\t{number + 1}\t{kmers}\t{methyl}\t{number % 3}\t{'NT'[number % 2]}\n")
    path.write_text("".join(lines))
    return str(path)


def test_tables_of_reads_keep_their_split_and_say_that_donors_are_shared(tmp_path: Path) -> None:
    train, test = (read_table(tmp_path / f"{name}.tsv", seed=seed, count=40) for seed, name in enumerate(("a", "b")))
    raw = {"source": "path", "reads_train": train, "reads_test": test, "build": "hg19"}
    made = run_data_stages(tmp_path / "data", raw=raw)
    regions, splits = regions_of(made), load_splits(made["splits"].directory)
    reads = np.bincount(splits.part[regions.row_sample], regions.row_count, 3)
    assert reads.tolist() == [34, 6, 40]
    assert splits.given
    assert set(regions.regions["block"]) == {"dmr_0", "dmr_1", "dmr_2"}
    summary = made["splits"].summary
    assert summary.numbers["split.shared_donors"] == 2
    assert {check.name: check.passed for check in summary.checks} == {
        "no_shared_donor": True,
        "new_donors": False,
        "no_near_duplicate": True,
        "all_splits_filled": True,
    }


def test_of_tables_of_reads_the_report_judges_single_reads_and_says_nothing_of_mixtures(tmp_path: Path) -> None:
    train, test = (read_table(tmp_path / f"{name}.tsv", seed=seed, count=60) for seed, name in enumerate(("a", "b")))
    raw = {"source": "path", "reads_train": train, "reads_test": test, "build": "hg19"}
    quiet = {"device": "cpu", "threads": 1, "tensorboard": False, "progress_bar": False, "max_epochs": 1}
    model = {**FAMILY.smallest["model"], **quiet, "bag_reads": 1, "samples_per_epoch": None}
    chosen = {"model": model, "mixtures": FAMILY.smallest["mixtures"], "report": FAMILY.smallest["report"]}
    report = run_data_stages(tmp_path / "data", until="report", raw=raw, **chosen)["report"].summary
    assert report.numbers["test.read_auc_lead_se"] > 0
    words = ("mixtures", "interval.", "unknown.", "nnls", "detection", "Detection", "proportions")
    told = [name for name, value in report.numbers.items() if value is not None]
    assert not [name for name in (*told, *report.tables, *report.figures) if any(word in name for word in words)]
