"""Starts and stops Apache Cassandra for tests: 1 or 3 nodes of this machine, from their jars.

    python tests/services/cassandra.py start --nodes 3 --folder F    (--commitlog group)
    python tests/services/cassandra.py stop --folder F

Nodes listen on 127.0.0.1 to 127.0.0.3. The jars are fetched by Maven once, into the folder
CGCYTHON_TEST_JARS or ~/.cache/cgcython-tests/cassandra-5.0.8. Needs a JDK 17.
"""

import argparse
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from string import Template

sys.path.append(str(Path(__file__).parents[1]))

from services import processes

VERSION, PORT = "5.0.8", 9042
FILES = Path(__file__).with_name("files")
JARS = Path(
    os.environ.get("CGCYTHON_TEST_JARS") or f"~/.cache/cgcython-tests/cassandra-{VERSION}"
).expanduser()
HEAP_MIB = {1: 1024, 3: 768}
COMMITLOG = {
    "periodic": "commitlog_sync: periodic\ncommitlog_sync_period: 10000ms",
    "batch": "commitlog_sync: batch",
    "group": "commitlog_sync: group\ncommitlog_sync_group_window: 2ms",
}
LISTENS, SEES = "Starting listening for CQL clients", "/{}:7000 is now UP"
_STARTUP, _QUERY, _ONE = 1, 7, 1  # of the native protocol, version 4


class NotRun(Exception):
    """Says why there can be no server here."""


class Cluster:
    """Nodes whose files are in one folder; each is started, stopped and killed by its own id."""

    def __init__(self, folder, nodes=1, commitlog="periodic", first=1, settings=""):
        """Nodes listen on 127.0.0.`first` and on; `settings` are more lines of cassandra.yaml."""
        self.folder, self.commitlog, self.settings = Path(folder).resolve(), commitlog, settings
        self.hosts = [f"127.0.0.{number}" for number in range(first, first + nodes)]
        self.nodes = [Node(self, host) for host in self.hosts]

    def start(self, longest_s=180):
        """Start all nodes and wait until each answers and sees the others."""
        require_java()
        fetch_jars()
        try:
            for node in self.nodes:
                node.start()
            for node in self.nodes:
                node.wait([one for one in self.hosts if one != node.host], longest_s)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Stop all nodes, each in its own time."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Node.stop, self.nodes))


class Node:
    """One server: its host, its folder and its process."""

    def __init__(self, cluster, host):
        self.cluster, self.host = cluster, host
        self.folder = cluster.folder / f"node{host.rpartition('.')[2]}"
        self.log, self._began = self.folder / "system.log", 0

    def start(self):
        """Start the process; `wait` tells when it answers."""
        if self.pid():
            raise RuntimeError(f"{self.host} runs already, as process {self.pid()}")
        with socket.socket() as taken:
            if taken.connect_ex((self.host, PORT)) == 0:
                raise RuntimeError(f"something else listens on {self.host}:{PORT}")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "cassandra.yaml").write_text(self._settings())
        self._began = self.log.stat().st_size if self.log.exists() else 0
        pid = processes.start(self._command(), self.folder, self.folder / "output")
        (self.folder / "pid").write_text(str(pid))

    def wait(self, others=(), longest_s=120):
        """Wait until the node listens, and has seen all others since it was started."""
        until = time.monotonic() + longest_s
        wanted = [LISTENS, *(SEES.format(one) for one in others)]
        while missing := [one for one in wanted if one not in self._said()]:
            if not self.pid() or time.monotonic() > until:
                last = "\n".join((self._said() or self._printed()).splitlines()[-20:])
                raise RuntimeError(f"{self.host} never said {missing}; it said at last:\n{last}")
            time.sleep(0.2)
        while self._peers() < len(others) and time.monotonic() < until:
            time.sleep(0.2)

    def _peers(self):
        """Return how many others it knows, -1 where it does not answer yet."""
        try:
            return count(self.host, "system.peers_v2")
        except ConnectionRefusedError:  # it says that it listens a moment before it does
            return -1
        except (ConnectionError, struct.error):  # it answers, and wants TLS
            return 0

    def kill(self):
        """End the process at once, as a machine that loses its power."""
        self._end(signal.SIGKILL)

    def stop(self):
        """Let the process end in its own time."""
        self._end(signal.SIGTERM)

    def _end(self, number):
        if pid := self.pid():
            processes.end(pid, number)

    def pid(self):
        """Return the id of the process where it runs, else None."""
        return processes.noted(self.folder / "pid", self.folder)

    def _said(self):
        with suppress(FileNotFoundError), open(self.log, errors="replace") as log:
            log.seek(self._began)
            return log.read()
        return ""

    def _printed(self):
        return (self.folder / "output").read_text(errors="replace")

    def _settings(self):
        place = self.cluster.hosts.index(self.host)
        token = -(2**63) + 2**64 * place // len(self.cluster.hosts)
        written = Template((FILES / "cassandra.yaml").read_text()).substitute(
            host=self.host,
            seeds=",".join(self.cluster.hosts),
            token=token,
            commitlog=COMMITLOG[self.cluster.commitlog],
        )
        return written + self.cluster.settings

    def _command(self):
        flags = f"@{FILES / 'jvm.flags'}"
        heap = HEAP_MIB.get(len(self.cluster.hosts), min(HEAP_MIB.values()))
        (agent,) = (JARS / "lib").glob("jamm-*.jar")
        settings = {
            "cassandra.config": f"file://{self.folder}/cassandra.yaml",
            "cassandra.storagedir": self.folder,
            "cassandra.logdir": self.folder,
            "logback.configurationFile": f"file://{FILES / 'logback.xml'}",
            "cassandra-foreground": "yes",
            "cassandra.ring_delay_ms": 1000,
            "cassandra.skip_wait_for_gossip_to_settle": 0,
            "cassandra.superuser_setup_delay_ms": 0,
        }
        given = [f"-D{name}={value}" for name, value in settings.items()]
        java = ["java", flags, f"-Xmx{heap}m", f"-javaagent:{agent}", "-cp", f"{JARS}/lib/*"]
        return [*java, *given, "org.apache.cassandra.service.CassandraDaemon"]


def count(host, table):
    """Return how many rows a node has in a table of its own, without a driver."""
    query = f"SELECT count(*) FROM {table}".encode()
    with socket.create_connection((host, PORT), timeout=10) as connection:
        _ask(connection, _STARTUP, b"\0\1\0\x0bCQL_VERSION\0\x053.0.0")
        answer = _ask(
            connection, _QUERY, struct.pack(f">I{len(query)}sHB", len(query), query, _ONE, 0)
        )
    return int.from_bytes(answer[-8:], "big")  # the only column of the only row is a bigint


def _ask(connection, opcode, body):
    connection.sendall(struct.pack(">BBHBI", 4, 0, 0, opcode, len(body)) + body)
    with connection.makefile("rb") as answers:
        (size,) = struct.unpack(">5xI", answers.read(9))
        return answers.read(size)


def require_java():
    """Raise NotRun where there is no Java 17."""
    if shutil.which("java") is None:
        raise NotRun("no java on PATH")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    if 'version "17' not in said:
        raise NotRun(f"Cassandra {VERSION} needs Java 17, here is {said.splitlines()[0]}")


def fetch_jars():
    """Have Maven copy the jars where they are not there yet; raises NotRun."""
    if (JARS / "lib").is_dir():
        return
    if shutil.which("mvn") is None:
        raise NotRun("no mvn on PATH to fetch Cassandra's jars with")
    JARS.mkdir(parents=True, exist_ok=True)
    shutil.copy(FILES / "pom.xml", JARS)
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
    command = ["mvn", "-q", "-B", *goal, f"-DoutputDirectory={JARS / 'fetched'}"]
    done = subprocess.run(command, cwd=JARS, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotRun(f"Maven could not fetch Cassandra's jars: {done.stdout[-500:]}")
    (JARS / "fetched").rename(JARS / "lib")


def main(arguments):
    """Start or stop the nodes of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("--folder", required=True)
    parser.add_argument("--nodes", type=int, choices=[1, 3], default=1)
    parser.add_argument("--commitlog", choices=COMMITLOG, default="periodic")
    given = parser.parse_args(arguments)
    if given.action == "stop":
        Cluster(given.folder, nodes=3).stop()
        return
    began = time.monotonic()
    Cluster(given.folder, given.nodes, given.commitlog).start()
    print(f"{given.nodes} up after {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except NotRun as error:
        sys.exit(f"not run: {error}")
