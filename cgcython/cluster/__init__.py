"""Work on many cores or machines, by the scheduler of Dask; only here is Dask imported."""
