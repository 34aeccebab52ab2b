"""A PostgreSQL server of Debian's package for one test, in a folder of its own, on a Unix socket alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import absent


def _program(name: str) -> str:
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    return found or absent(f"needs {name}: install the Debian package postgresql")


class Server:
    """Starts and stops one cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        folder.mkdir()
        if self._user:
            shutil.chown(folder, "postgres", "postgres")
            for parent in folder.parents:  # pytest's folders are for their owner alone
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "tuner", "--no-sync")
        self.url = f"postgresql://tuner@/postgres?host={folder}"

    def _run(self, name: str, *arguments: str) -> None:
        log = self._folder.parent / f"{name}.log"
        with log.open("wb") as out:
            command = [*self._user, _program(name), *arguments]
            done = subprocess.run(command, stdout=out, stderr=out, cwd="/", timeout=60)
        assert done.returncode == 0, log.read_text()

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses= -c fsync=off"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    found = Server(folder)
    found.start()
    try:
        yield found
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            found.stop()
