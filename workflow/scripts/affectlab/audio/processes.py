"""Independent fits in several processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(function: Callable[[T], R], items: Sequence[T], processes: int) -> list[R]:
    """Compute *function* for each item, in up to *processes* processes.

    Each has one thread for linear algebra, whatever the environment asks for: Snakemake exports
    the threads of a job as OMP_NUM_THREADS, and several processes with as many threads each wait
    for one another most of the time; so do the threads of one, since the products are small.
    """
    from joblib import Parallel, delayed, parallel_config
    from threadpoolctl import threadpool_limits

    with parallel_config("loky", inner_max_num_threads=1), threadpool_limits(1, "blas"):
        return list(
            Parallel(n_jobs=min(processes, len(items)))(delayed(function)(item) for item in items)
        )
