"""Many networks trained by the workers of a cluster; public as `mmlfast.dask.fit_many`."""

from __future__ import annotations

import os
from typing import Any

from mmlfast._common.arrays import is_dask
from mmlfast.dask._engine import client_in_use, delayed_type, import_dask
from mmlfast.neural_network._backprop import Network
from mmlfast.neural_network._fit_many import FitMany, Outcome, asked_for, gathered, run

# Networks that are trained side by side in SIMD lanes: parts hold multiples of them.
_LANES = 16
_PARTS_PER_THREAD = 2


def fit_many(
    networks: Any, x: Any, y: Any, *, groups: Any = None, errors: str = "raise", parts: int | None = None, **how: Any
) -> FitMany:
    """Train many networks on the workers of a cluster: `mmlfast.neural_network.fit_many`, a part of them each.

    Parameters
    ----------
    networks : sequence of Network, or Network with `groups`
        As for `mmlfast.neural_network.fit_many`.
    x, y : array_like, Dask array, delayed value or future, or list with one for each network
        Samples, the same for all networks or of each. What all networks share is sent to a worker once.
    groups : array_like, optional
        A label for each row: one network is trained on the rows of each label.
    errors : {"raise", "status"}
        What to do with an error of one network.
    parts : int, optional
        Into how many parts to divide the networks; by default two for each thread of the workers, of 16 at least.
    **how
        The arguments of `Network.fit`, but for a callback: one value for all, or a list with one for each network.

    Returns
    -------
    FitMany
        networks, losses, status, groups. The networks are the given ones, with what the workers have made of them.

    Raises
    ------
    ImportError
        If Dask is not installed.
    ValueError, TypeError
        As `mmlfast.neural_network.fit_many`, with the number of the network; and for a callback.

    Warns
    -----
    mmlfast.ConvergenceWarning
        Once, if any training left the finite numbers; `status` says which.

    See Also
    --------
    mmlfast.neural_network.fit_many : the same on one machine.

    Notes
    -----
    Every network gets the bits that it gets alone, whatever parts and workers there are. A part that is lost with its
    worker is trained again. The call waits for all of them, on any scheduler of Dask.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> x = np.linspace(-1, 1, 40)[:, None]
    >>> nets = [mf.neural_network.Network([1, 4, 1], seed=seed) for seed in range(8)]
    >>> found = mf.dask.fit_many(nets, x, x**2, parts=2, epochs=50, batch_size=10, learning_rate=0.1)
    >>> found.losses.shape
    (8, 50)
    """
    dask = import_dask()
    if how.get("callback") is not None:
        raise ValueError("mmlfast.dask.fit_many takes no callback: it would run on a worker, and change nothing here")
    if groups is not None:
        x, y = dask.compute(x, y)  # the rows of each group are cut out of them here
    here = [_Elsewhere() if _is_elsewhere(data) else data for data in (x, y)]
    asked = asked_for(networks, here[0], here[1], groups, errors, how)
    n = len(asked.members)
    count = min(n, parts or max(1, min(n // _LANES, _PARTS_PER_THREAD * _threads())))
    if count < 1 and n:
        raise ValueError(f"parts must be at least 1, got {parts}")
    shared = [_once(dask, a, xs) for a, xs in zip((x, y), (asked.xs, asked.ys), strict=True)]
    train = dask.delayed(_train, pure=False)
    jobs = []
    for k in range(count):
        part = slice(n * k // count, n * (k + 1) // count)
        samples = [
            (None, xs[part]) if one is None else (one, None)
            for one, xs in zip(shared, (asked.xs, asked.ys), strict=True)
        ]
        jobs.append(train(asked.members[part], *samples[0], *samples[1], asked.settings[part]))
    done = [result for part in dask.compute(*jobs) for result in part]
    for network, (trained, history, _) in zip(asked.members, done, strict=True):
        network.__dict__.update(trained.__dict__, history=history)
    return gathered(asked.members, [outcome for *_, outcome in done], errors, asked.labels)


class _Elsewhere:
    """Samples that are not in this process."""

    ndim = 2


def _is_elsewhere(data: Any) -> bool:
    return isinstance(data, delayed_type()) or hasattr(data, "__dask_graph__") or hasattr(data, "add_done_callback")


def _once(dask: Any, given: Any, each: list[Any]) -> Any:
    """What all networks share, as one value of the graph; None if each has its own."""
    if is_dask(given):
        return dask.delayed(given.rechunk(-1).to_delayed().ravel()[0])
    if _is_elsewhere(given):
        return given
    return dask.delayed(given) if all(data is each[0] for data in each) and len(each) > 1 else None


def _threads() -> int:
    client = client_in_use()
    return os.cpu_count() or 1 if client is None else max(1, sum(client.nthreads().values()))


def _train(
    networks: list[Network], x: Any, xs: Any, y: Any, ys: Any, settings: list[dict[str, Any]]
) -> list[tuple[Network, Any, Outcome]]:
    n = len(networks)
    outcomes = run(networks, [x] * n if xs is None else xs, [y] * n if ys is None else ys, settings)
    return [(network, network.history, outcome) for network, outcome in zip(networks, outcomes, strict=True)]
