"""What every worker process of this machine runs as it starts.

Ctrl-C goes to all processes of a terminal. Workers ignore it: the process that started them ends
them, and starts none anew.
"""

import signal


def dask_setup(worker: object) -> None:
    """Let a worker ignore Ctrl-C; Dask calls this in the worker's main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
