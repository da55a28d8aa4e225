"""Starts and stops PostgreSQL for tests: one server on a socket in a folder, without a port.

    python tests/services/postgres.py start --folder F
    python tests/services/postgres.py stop --folder F

Takes initdb and postgres from PATH or from where Debian's package puts them. They refuse root, so
root starts them as the user nobody.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from services import processes

DEBIAN = Path("/usr/lib/postgresql")
USER, DATABASE = "cgcython", "postgres"
SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "max_connections": "50",
}
# Of Unix sockets in all; the server adds the name of its own to the folder.
LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432")


class NotRun(Exception):
    """Says why there can be no server here."""


class Postgres:
    """A server whose files are in one folder; it is stopped and killed by its own process id."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.data, self.log = self.folder / "data", self.folder / "log"

    @property
    def url(self):
        """Return what a client connects to."""
        return f"postgresql://{USER}@/{DATABASE}?host={self.folder}"

    def start(self, longest_s=60):
        """Start the server, of a new database at the first time, and wait until it answers."""
        if self.pid():
            raise RuntimeError(f"a server runs already, as process {self.pid()}")
        if len(str(self.folder)) > LONGEST_SOCKET_FOLDER:
            raise RuntimeError(f"{self.folder} is too long for a socket; choose a shorter one")
        if not self.data.exists():
            self._create()
        given = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        command = [program("postgres"), "-D", self.data, "-k", self.folder, *given]
        self._wait(processes.start(as_nobody(command), "/", self.log), longest_s)

    def _create(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            shutil.chown(self.folder, "nobody")
        without = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        command = [program("initdb"), "-D", self.data, "-U", USER, *without]
        done = subprocess.run(
            as_nobody(command), capture_output=True, text=True, cwd="/", check=False
        )
        if done.returncode:
            raise RuntimeError(f"initdb ended with {done.returncode}: {done.stderr}")

    def _wait(self, pid, longest_s):
        until = time.monotonic() + longest_s
        ready = [program("pg_isready"), "-q", "-h", self.folder, "-U", USER, "-d", DATABASE]
        while subprocess.run(ready, check=False).returncode:
            if not processes.runs(pid) or time.monotonic() > until:
                last = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the server in {self.folder} does not answer:\n{last}")
            time.sleep(0.05)

    def stop(self):
        """Let the server end, without waiting for its clients to leave."""
        self._end(signal.SIGINT)

    def kill(self):
        """End the server at once, and wait for its children, who end when they see it gone."""
        self._end(signal.SIGKILL)

    def _end(self, number):
        if pid := self.pid():
            processes.end(pid, number)

    def pid(self):
        """Return the id of the process where it runs, else None."""
        return processes.noted(self.data / "postmaster.pid", self.data)


def program(name):
    """Return the path of a program of the server, of the newest version; raises NotRun."""
    found = shutil.which(name)
    versions = [one for one in DEBIAN.glob(f"*/bin/{name}") if one.parts[-3].isdigit()]
    if versions:
        found = max(versions, key=lambda one: int(one.parts[-3]))
    if found is None:
        raise NotRun(f"no {name}, as of the package postgresql of Debian")
    return found


def as_nobody(command):
    """Return a command as root gives it up: run by nobody; any other user's stays as it is."""
    if os.getuid():
        return command
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", *command]


def main(arguments):
    """Start or stop the server of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("--folder", required=True)
    given = parser.parse_args(arguments)
    server = Postgres(given.folder)
    if given.action == "stop":
        server.stop()
    else:
        server.start()
        print(server.url)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except NotRun as error:
        sys.exit(f"not run: {error}")
