"""What every worker process of this machine runs as it starts.

Ctrl-C goes to all processes of a terminal. Workers ignore it: the process that started them ends
them, and starts none anew.
"""

import logging
import signal

NOISY = "distributed.worker.state_machine"  # warns of each task that ends with its worker


def dask_setup(worker: object) -> None:
    """Let a worker ignore Ctrl-C; Dask calls this in the worker's main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence()


def silence() -> None:
    """Let a worker of this process end without words about the tasks that it leaves."""
    logging.getLogger(NOISY).setLevel(logging.ERROR)
