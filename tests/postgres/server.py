"""A PostgreSQL server for the length of a test: on loopback, in a temporary folder, as a user without rights."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NAME = "dagster"


@dataclass(frozen=True)
class Server:
    """Where it listens, and the pid of its first process."""

    port: int
    password: str
    pid: int

    def variables(self) -> dict[str, str]:
        """What deploy/postgres/dagster.yaml reads."""
        told = {"HOST": "127.0.0.1", "PORT": str(self.port), "DB": NAME, "USERNAME": NAME, "PASSWORD": self.password}
        return {f"DAGSTER_PG_{name}": value for name, value in told.items()}


@contextmanager
def postgres() -> Iterator[Server]:
    """A fresh server with an empty database; gone with its files at the end."""
    folder = Path(tempfile.mkdtemp(prefix="bioassets-postgres-"))
    owner = user_without_rights()
    try:
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        password = secrets.token_hex(16)
        (folder / "password").write_text(password)
        (folder / "password").chmod(0o644)
        data = str(folder / "data")
        options = ["--username", NAME, "--auth", "scram-sha-256", "--pwfile", str(folder / "password"), "--no-sync"]
        run([program("initdb"), "-D", data, *options], owner=owner, folder=folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        listening = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
        log = str(folder / "log")
        run([program("pg_ctl"), "-D", data, "-w", "-l", log, "-o", listening, "start"], owner=owner, folder=folder)
        try:
            pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
            environment = {**os.environ, "PGPASSWORD": password}
            command = [program("createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", NAME, NAME]
            subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
            yield Server(port, password, pid)
        finally:
            run([program("pg_ctl"), "-D", data, "-m", "immediate", "stop"], owner=owner, folder=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def program(name: str) -> str:
    """The newest installed one; Debian keeps the server's programs outside of PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(places[-1]) if places else shutil.which(name)
    assert found, f"{name} is not installed; make test-postgres installs it where there is apt-get"
    return found


def user_without_rights() -> pwd.struct_passwd | None:
    """Whom the server runs as where the test runs as root, for PostgreSQL refuses root; None: as who runs the test."""
    return pwd.getpwnam("postgres") if os.getuid() == 0 else None


def run(command: list[str], *, owner: pwd.struct_passwd | None, folder: Path) -> None:
    who = {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    with (folder / "said").open("w+") as said:  # a file, since the server keeps what it inherits open
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, timeout=120, **who
        )
        said.seek(0)
        assert done.returncode == 0, said.read()
