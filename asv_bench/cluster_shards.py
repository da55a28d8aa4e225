"""What workers promise for folders of shards, shown on this machine.

    python asv_bench/cluster_shards.py                       # all, some minutes
    python asv_bench/cluster_shards.py equal killed --rows 4096

rate     two worker processes beside one, in turns: how many times as fast, CPU seconds beside
equal    the bytes of the folder in this process, by threads, one and two processes, and levels
trained  the bytes of a codebook, by all these ways
found    the hits of queries, by all these ways
memory   inputs of four times a worker's memory limit: no worker pauses
killed   a worker ended by SIGKILL at a third of the shards: equal bytes
job      the whole job ended by SIGKILL at a third: what was finished is kept, equal bytes

The exit status is 1 where a promise is not kept. Inputs are random, of all thirteen embedders.
Rates mean something on a quiet machine alone.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import warnings
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import psutil
from scale_inputs import write_inputs

from cgcython import PQ8Codebook, Profile, QuantizationError, QuantizationMethod
from cgcython.base import ModelId
from cgcython.cluster.opening import open_runner
from cgcython.codecs.codebook_file import codebook_path
from cgcython.codecs.training import CodebookWarning
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.shard_job import encode_shard
from cgcython.corpus.shard_jobs import shard_job
from cgcython.kernels import dispatch
from cgcython.runners import InProcess
from cgcython.store import shards

PROFILE = Profile.named()
EMBEDDERS = list(ModelId)
SHARDS = 24
LEVELS = "v2", "v3", "v4", "v4x"
WITHOUT_FMA = "v2"
COMMAND = sys.executable, "-m", "cgcython"
ROUNDS, QUERIES = 5, 32
FASTER, CPU = 1.7, 0.05  # what two workers must be, and the part by which CPU seconds may differ
LIMIT = 400_000_000  # bytes of a worker's memory
SMALL = 8_192  # memories of a shard where memory is limited
DENSE = [ModelId.SEMANTIC, ModelId.GRAPH, ModelId.HDC]  # where memory is limited


class Bench:
    """Inputs, codebooks and folders that are encoded into."""

    def __init__(self, folder, rows, embedders, shard_size=None):
        self.folder, self.embedders = Path(folder), embedders
        self.folder.mkdir(exist_ok=True)
        self.inputs = write_inputs(self.folder, PROFILE, embedders, rows)
        self.shard_size = shard_size or -(-rows // SHARDS)
        self.models, self.numbers = self.folder / "models", count()
        self.train()

    def train(self):
        """Write the codebooks that are needed; few samples will do."""
        corpus = open_corpus(self.inputs)
        warnings.simplefilter("ignore", CodebookWarning)
        for one in self.embedders:
            if PROFILE[one].method is QuantizationMethod.PQ8:
                rows = corpus[one].embeddings.batch(0, 2048)
                book = PQ8Codebook.train(rows, rotation="pca", width=256, model=one.title)
                path = codebook_path(self.models, one.title)
                path.parent.mkdir(parents=True, exist_ok=True)
                book.save(path, force=True)

    def encode(self, runner, out=None, watch=None):
        """Encode into a folder by a runner, and return the folder.

        `watch` is called with how many shards are done, after each.
        """
        out = out or self.folder / f"out-{next(self.numbers)}"
        job = partial(shard_job, out, self.inputs, self.models, shard_size=self.shard_size)
        with job(run=runner.run) as running:
            work = partial(encode_shard, running.job)
            for _, done in runner.run(work, running.unfinished):
                if isinstance(done, QuantizationError):
                    raise done
                running.add(done)
                if watch is not None:
                    watch(len(shards.shard_paths(out)))
        return out

    def queries(self):
        """Return a folder for the inputs of queries."""
        (self.folder / "queries").mkdir(exist_ok=True)
        return self.folder / "queries"

    def expected(self):
        """Return the hash of a folder that this process encodes into."""
        return folder_hash(self.encode(InProcess()))

    def words(self, out):
        """Return the words of the command that encodes into a folder, in one process."""
        models = ["--models", str(self.models)] if self.models.exists() else []
        size = ["--shard-size", str(self.shard_size)]
        return ["encode", *self.inputs, *size, *models, "--out", str(out)]


def told(what, is_met):
    """Print a line, and return whether a promise is met."""
    print(f"{what}: {'yes' if is_met else 'NO'}", flush=True)
    return is_met


def folder_hash(folder):
    """Return the hash of the names and bytes of all files of a folder."""
    found = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != ".lock":
            found.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


def child_seconds():
    """Return the processor time of the worker processes."""
    workers = psutil.Process().children(recursive=True)
    return sum(sum(one.cpu_times()[:2]) for one in workers)


def rate(bench):
    """Show how much faster two workers are, and what processor time they take."""
    clocks, seconds = {1: [], 2: []}, {1: [], 2: []}
    for turn in range(ROUNDS + 1):
        for workers in (1, 2) if turn % 2 else (2, 1):
            with open_runner("processes", num_workers=workers) as runner:
                rmtree(bench.encode(runner))  # imports everything
                before, start = child_seconds(), perf_counter()
                out = bench.encode(runner)
                clocks[workers].append(perf_counter() - start)
                seconds[workers].append(child_seconds() - before)
            rmtree(out)
    one, two = (median(clocks[workers]) for workers in (1, 2))
    cpu_one, cpu_two = (median(seconds[workers]) for workers in (1, 2))
    print(f"one worker {one:.2f} s (CPU {cpu_one:.2f} s), two {two:.2f} s (CPU {cpu_two:.2f} s)")
    is_fast = told(f"two are {one / two:.2f} times as fast, at least {FASTER}", one >= FASTER * two)
    off = cpu_two / cpu_one - 1
    return (
        told(f"their CPU seconds differ by {off:+.1%}, at most {CPU:.0%}", abs(off) <= CPU)
        and is_fast
    )


def equal(bench):
    """Show that all ways make equal folders."""
    ways = {"in process": (None, None), "threads": ("threads", 2)}
    ways |= {f"{n} processes": ("processes", n) for n in (1, 2)}
    hashes = {}
    for name, (scheduler, workers) in ways.items():
        with open_runner(scheduler, num_workers=workers) as runner:
            hashes[name] = folder_hash(bench.encode(runner))
    for level in levels():
        out = bench.folder / level
        run(bench.words(out), {"CGCYTHON_LEVEL": level})
        hashes[level] = folder_hash(out)
    first = hashes["in process"]
    return told(f"equal bytes ({first[:12]}): {', '.join(hashes)}", set(hashes.values()) == {first})


def trained(bench):
    """Show that all ways make the same codebook."""
    one = ModelId.SEMANTIC
    given, hashes = bench.inputs[bench.embedders.index(one)], {}
    for name, options, environment in command_ways():
        models = bench.folder / f"models-{name}"
        words = ["train", one.short, "--input", given, "--models", str(models), "--bytes", "8"]
        run([*words, "--force", "--sample", "2048", *options], environment)
        hashes[name] = folder_hash(models)
    return told(f"equal codebooks: {', '.join(hashes)}", len(set(hashes.values())) == 1)


def found(bench):
    """Show that all ways find the same hits."""
    out = bench.encode(InProcess())
    ranked = [one for one in DENSE if one in bench.embedders]
    queries = write_inputs(bench.queries(), PROFILE, ranked, QUERIES)
    answers, ids = {}, {}
    for name, options, environment in command_ways():
        words = ["search", *queries, "--store", str(out), "--json", *options]
        answer = run(words, environment)
        ids[name] = [[hit["id"] for hit in json.loads(one)["hits"]] for one in answer.splitlines()]
        if name != WITHOUT_FMA:  # whose sums are rounded otherwise
            answers[name] = answer
    same = told(f"equal hits: {', '.join(answers)}", len(set(answers.values())) == 1)
    first, *others = ids.values()
    return told(f"equal ids: {', '.join(ids)}", all(one == first for one in others)) and same


def command_ways():
    """Yield the name, the options and the environment of each way to run a command."""
    yield "in process", [], {}
    yield "threads", ["--scheduler", "threads", "--workers", "2"], {}
    for number in "12":
        yield f"{number} processes", ["--scheduler", "processes", "--workers", number], {}
    for level in levels():
        yield level, [], {"CGCYTHON_LEVEL": level}


def levels():
    """Return those LEVELS that this machine runs."""
    return [one for one in LEVELS if one in dispatch.available()]


def run(words, environment):
    """Return what a command prints."""
    environment = os.environ | environment
    return subprocess.run(
        [*COMMAND, *words], env=environment, check=True, capture_output=True
    ).stdout


def memory(bench):
    """Show that a worker with little memory reads inputs of four times as much."""
    rows = LIMIT // sum(PROFILE[one].dimension for one in DENSE)  # of float32: four times LIMIT
    large = Bench(bench.folder / "large", rows, DENSE, SMALL)
    with open_runner("processes", num_workers=1, memory_limit=LIMIT) as runner:
        out = large.encode(runner)
        logs = runner._client.get_worker_logs()
    warned = [line for found in logs.values() for level, line in found if level == "WARNING"]
    print("\n".join(warned))
    shown = f"{rows:,} memories, {4 * LIMIT / 1e9:.1f} GB, by a worker of {LIMIT / 1e6:.0f} MB"
    whole = len(shards.shard_paths(out)) == -(-rows // SMALL)
    rmtree(large.folder)
    return told(f"{shown}, without a pause", whole and not warned)


def killed(bench):
    """Show that a worker that is killed costs its task alone."""
    victims = []

    def kill(done):
        if done >= SHARDS // 3 and not victims:
            victims.append(next(iter(runner._client.run(os.getpid).values())))
            os.kill(victims[0], signal.SIGKILL)

    with open_runner("processes", num_workers=2) as runner:
        found = folder_hash(bench.encode(runner, watch=kill))
    is_equal = bool(victims) and found == bench.expected()
    return told("equal bytes after a worker was killed", is_equal)


def job(bench):
    """Show that a job that is killed goes on where it was."""
    out = bench.folder / "killed"
    process = subprocess.Popen(
        [*COMMAND, *bench.words(out), "--scheduler", "processes", "--workers", "2"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(shards.shard_paths(out)) < SHARDS // 3 and process.poll() is None:
        sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in shards.shard_paths(out)}
    with open_runner("processes", num_workers=2) as runner:
        bench.encode(runner, out)
    same = all(path.stat().st_mtime_ns == when for path, when in kept.items())
    shown = f"{len(kept)} of {len(shards.shard_paths(out))} shards kept when the job was killed"
    is_resumed = same and 0 < len(kept) < SHARDS
    return told(f"{shown}, then equal bytes", is_resumed and folder_hash(out) == bench.expected())


SHOWN = {one.__name__: one for one in (rate, equal, trained, found, memory, killed, job)}


def main(arguments=None):
    """Show what was asked for, by default all; return 1 where a promise is not met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shown", nargs="*", choices=[[], *SHOWN], help="default: all")
    parser.add_argument("--rows", type=int, default=24_576, metavar="N")
    parser.add_argument("--folder", metavar="DIR", help="for temporary files")
    args = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="cgcython-cluster-", dir=args.folder) as folder:
        bench = Bench(folder, args.rows, EMBEDDERS)
        met = [SHOWN[name](bench) for name in args.shown or SHOWN]
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
