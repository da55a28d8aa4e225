"""What so many memories take, predicted from the rates of one machine: arithmetic alone."""

from typing import NamedTuple

ID_BYTES = 24  # of a key in memory
SAMPLES = 65_536  # that a codebook is trained on, from so many memories on
SHARD_SIZE = 1 << 14  # larger ones take more memory, which costs time when all is encoded
IN_USE = 0.8  # of a machine's memory may hold columns
HOUR = 3600
MANY = 1000  # machines: the slowest of so many answers decides


class Cluster(NamedTuple):
    """The machines to plan for, and the latency that a query may have."""

    cores: int
    memory: float  # bytes of each
    target: float = 0.1  # seconds that a query may take
    network: float = 1.25e9  # bytes a second that each reads of inputs
    round_trip: float = 1e-3  # seconds to ask a machine and have its answer


class Plan(NamedTuple):
    """What so many memories take; times in seconds of one core, unless named otherwise."""

    memories: int
    input_bytes: float
    stored_bytes: float
    train: float
    encode: float
    load: float
    read: float  # of one machine's network
    memory_machines: int  # that hold the columns which rank
    exact_machines: int  # that answer exactly in time; 0 where no number does
    near_machines: int | None  # the same with approximate=True
    latency: float  # of an exact query on `memory_machines`
    queries: float  # a second, exact, in batches, on `memory_machines`
    bottleneck: str


def input_bytes(rates, memories):
    """Return the bytes of inputs as float32."""
    return memories * sum(one.input_bytes for one in rates.embedders.values())


def stored_bytes(rates, memories):
    """Return the bytes of all shards."""
    return memories * (rates.id_bytes + sum(one.stored_bytes for one in rates.embedders.values()))


def encode_seconds(rates, memories):
    """Return the seconds of one core to encode memories into shards."""
    files = -(-memories // SHARD_SIZE)
    return rates.encode.fixed * files + rates.encode.each * memories


def train_seconds(rates, memories):
    """Return the seconds of one core to train all codebooks."""
    lines = [one.train for one in rates.embedders.values() if one.train]
    return sum(line.at(min(memories, SAMPLES)) for line in lines)


def scan_seconds(rates, name, rows, cores=1):
    """Return the seconds of an exact scan: as long as the arithmetic takes, or the reading."""
    one, machine = rates.embedders[name], rates.machine
    speed = machine.read_one if cores == 1 else machine.read_all * cores / machine.cores
    reading = one.stored_bytes * rows / speed
    return one.scan.fixed + max(one.scan.each * rows / cores, reading)


def query_seconds(rates, rows, cores=1):
    """Return the seconds of an exact query over rows of one machine."""
    scans = sum(scan_seconds(rates, one, rows, cores) for one in rates.ranking)
    if len(rates.ranking) == 1:
        return scans
    alone = [rates.embedders[one].scan for one in rates.ranking]
    fusing = max(0.0, rates.fused.each - sum(line.each for line in alone))
    fixed = max(0.0, rates.fused.fixed - sum(line.fixed for line in alone))
    return scans + fixed + fusing * rows / cores


def resident_bytes(rates, memories):
    """Return the bytes of the columns that rank."""
    each = [rates.embedders[one].stored_bytes for one in rates.ranking]
    return memories * (sum(each) + ID_BYTES * len(each))


def spread_seconds(rates, seconds_of_rows, memories, machines, cluster):
    """Return the seconds of a query that each machine answers for its part of the memories."""
    answering = cluster.round_trip + (rates.merging.at(machines) if machines > 1 else 0.0)
    return answering + seconds_of_rows(memories / machines)


def machines_in_time(rates, seconds_of_rows, memories, cluster):
    """Return the fewest machines that answer within the target; 0 where no number does."""
    machines = 1
    while machines <= memories and rates.merging.at(machines) <= cluster.target:
        if spread_seconds(rates, seconds_of_rows, memories, machines, cluster) <= cluster.target:
            return machines
        machines = max(machines + 1, int(machines * 1.02))
    return 0


def plan(rates, memories, cluster):
    """Return the Plan of so many memories."""
    inputs = input_bytes(rates, memories)
    held = resident_bytes(rates, memories)
    in_memory = max(1, -int(-held // (IN_USE * cluster.memory)))

    def exact(rows):
        return query_seconds(rates, rows, cluster.cores)

    def near(rows):
        return rates.near * rows / cluster.cores

    exact_machines = machines_in_time(rates, exact, memories, cluster)
    found = Plan(
        memories=memories,
        input_bytes=inputs,
        stored_bytes=stored_bytes(rates, memories),
        train=train_seconds(rates, memories),
        encode=encode_seconds(rates, memories),
        load=rates.load.at(memories),
        read=inputs / cluster.network,
        memory_machines=in_memory,
        exact_machines=exact_machines,
        near_machines=machines_in_time(rates, near, memories, cluster) if rates.near else None,
        latency=spread_seconds(rates, exact, memories, in_memory, cluster),
        queries=cluster.cores / rates.fused_batch.at(memories / in_memory),
        bottleneck="",
    )
    return found._replace(bottleneck=bottleneck(rates, found, cluster))


def bottleneck(rates, found, cluster):
    """Return in a sentence what is short of time, first what comes first."""
    short = []
    if found.read > max(HOUR, found.encode / cluster.cores):
        short.append("reading inputs")
    if not found.exact_machines or found.exact_machines > found.memory_machines:
        short.append(f"exact queries, {1e9 * row_seconds(rates):.0f} ns a row and core")
    if found.exact_machines > MANY:
        short.append(f"fan-out: each query asks more than {MANY:,} machines")
    if not found.exact_machines:
        short.append("fan-out: merging the hits of all machines takes longer than a query may")
    return "; ".join(short) or "nothing"


def row_seconds(rates):
    """Return the seconds that a row adds to an exact query on one core."""
    return (query_seconds(rates, 2 * SHARD_SIZE) - query_seconds(rates, SHARD_SIZE)) / SHARD_SIZE
