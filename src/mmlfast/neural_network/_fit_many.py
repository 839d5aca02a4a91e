"""Many networks trained side by side, each as if it were alone."""

from __future__ import annotations

import contextvars
import copy
import inspect
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_array
from mmlfast._common.errors import collected_warnings, warn_caller
from mmlfast._common.groups import group_rows
from mmlfast.neural_network._backprop import Network
from mmlfast.neural_network._in_training import in_training
from mmlfast.neural_network._samples import check_rows
from mmlfast.neural_network._training import History, Run

Array = np.ndarray[Any, Any]

# Trainings of more multiplications than these look after each epoch whether Ctrl-C was pressed.
_LONG = 1e8


class FitMany(NamedTuple):
    """What `fit_many` has seen.

    Attributes
    ----------
    networks : list of Network
        The networks, trained.
    losses : ndarray, shape (n_networks, most epochs)
        For each network and epoch the mean loss, as `Network.fit` gives it; NaN behind the end of a training.
    status : list of str
        How each training ended: "after all epochs", "no improvement", "by the callback", "out of time", "diverged", or
        the message of its error.
    groups : ndarray or None
        With ``groups=``: the label of each network's rows.
    """

    networks: list[Network]
    losses: Array
    status: list[str]
    groups: Array | None


def fit_many(networks: Any, x: Any, y: Any, *, groups: Any = None, errors: str = "raise", **how: Any) -> FitMany:
    """Train many networks: other seeds, rates, widths, or one for each group of the rows.

    Each is what `Network.fit` would make of it alone, to the bit. Small networks of one architecture are trained side
    by side in SIMD lanes, whatever their rates, seeds, samples and epochs; the others share the threads, one at a time
    each.

    Parameters
    ----------
    networks : sequence of Network, or Network with `groups`
        They may differ in all that a network has. With `groups`, one network of which each group gets a copy.
    x, y : array_like, or list of array_like
        Samples as for `Network.fit`, the same for all networks; or a list, or `x` of three dimensions, with those of
        each.
    groups : array_like, shape (n,), optional
        A label for each row: one network is trained on the rows of each label, in the order of the sorted labels.
    errors : {"raise", "status"}
        What to do with an error of one network, rows that hold NaN for instance: raise it, with the number of the
        network, or note it and go on. The other networks are trained in either case.
    **how
        The arguments of `Network.fit`: one value for all, or a list (of numbers also an array) with one for each
        network.

    Returns
    -------
    FitMany
        networks, losses, status, groups.

    Raises
    ------
    ValueError, TypeError
        As `Network.fit` does, with the number of the network.

    Warns
    -----
    mmlfast.ConvergenceWarning
        Once, if any training left the finite numbers; `status` says which.

    See Also
    --------
    Network.fit : the training of one.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.neural_network import Network, fit_many
    >>> x = np.linspace(-1, 1, 40)[:, None]
    >>> nets = [Network([1, 4, 1], seed=seed) for seed in range(8)]
    >>> found = fit_many(nets, x, x**2, epochs=50, batch_size=10, learning_rate=[0.05] * 4 + [0.2] * 4)
    >>> found.losses.shape
    (8, 50)
    """
    asked = asked_for(networks, x, y, groups, errors, how)
    return gathered(asked.members, run(*asked.tasks()), errors, asked.labels)


class Asked(NamedTuple):
    """Networks, and samples and arguments of each."""

    members: list[Network]
    xs: list[Any]
    ys: list[Any]
    settings: list[dict[str, Any]]
    labels: Array | None

    def tasks(self) -> Any:
        return self[:4]


def asked_for(networks: Any, x: Any, y: Any, groups: Any, errors: Any, how: dict[str, Any]) -> Asked:
    """The checked arguments of `fit_many`, spread over the networks."""
    if errors not in ("raise", "status"):
        raise ValueError(f"errors must be 'raise' or 'status', got {errors!r}")
    labels = None
    if groups is not None:
        networks, x, y, how, labels = _of_groups(networks, x, y, groups, how)
    members = list(networks) if isinstance(networks, Sequence) else networks
    if not isinstance(members, list) or not all(isinstance(n, Network) for n in members):
        raise TypeError("networks must be a sequence of Network (one Network alone with groups=)")
    if len(set(map(id, members))) < len(members):
        raise ValueError("networks holds the same network twice: copy.copy(network) makes another one")
    n = len(members)
    xs, ys = _each("x", x, n), _each("y", y, n)
    settings = [{name: values[i] for name, values in _spread(how, n).items()} for i in range(n)]
    return Asked(members, xs, ys, settings, labels)


def _of_groups(networks: Any, x: Any, y: Any, groups: Any, how: dict[str, Any]) -> Any:
    if not isinstance(networks, Network):
        raise TypeError("with groups=, networks must be one Network, of which each group gets a copy")
    how = dict(how)
    check_rows("fit_many", x=x, y=y, groups=groups, sample_weight=how.get("sample_weight"))
    rows, goals = as_array(x, "x"), as_array(y, "y")
    found = group_rows("fit_many", groups, len(rows), omit=None)
    parts = np.split(found.order, found.offsets[1:-1])
    given = {"y": goals}
    if how.get("sample_weight") is not None:
        given["sample_weight"] = weights = as_array(how["sample_weight"], "sample_weight")
    for name, values in given.items():
        if len(values) != len(rows):
            raise ValueError(f"{name} must have one entry for each of the {len(rows)} rows of x, got {values.shape}")
    if "sample_weight" in given:
        how["sample_weight"] = [weights[part] for part in parts]
    copies = [copy.copy(networks) for _ in parts]
    return copies, [rows[part] for part in parts], [goals[part] for part in parts], how, found.labels


def _each(name: str, data: Any, n: int) -> list[Any]:
    """The samples of each network."""
    if isinstance(data, list) and data and all(hasattr(part, "__array__") and np.ndim(part) >= 1 for part in data):
        own = data
    elif getattr(data, "ndim", 3) < 3:
        return [data] * n
    else:
        rows = as_array(data, name)
        if rows.ndim != 3:
            return [data] * n
        own = list(rows)
    if len(own) != n:
        raise ValueError(f"{name} has the samples of {len(own)} networks, and there are {n}")
    return own


def _spread(how: dict[str, Any], n: int) -> dict[str, list[Any]]:
    """A value of each argument for each network."""
    spread = {}
    for name, value in how.items():
        if isinstance(value, np.ndarray) and value.shape == (n,) and name != "sample_weight":
            value = value.tolist()  # rates of np.linspace
        if isinstance(value, list):
            if len(value) != n:
                raise ValueError(f"{name} is a list of {len(value)}, and there are {n} networks (a tuple is one value)")
            spread[name] = value
        else:
            spread[name] = [value] * n
    return spread


class Outcome(NamedTuple):
    losses: Array
    status: str
    error: Exception | None
    warned: list[tuple[str, type[Warning]]]


class _Failed(NamedTuple):
    """A network whose training cannot begin."""

    error: Exception
    warned: list[tuple[str, type[Warning]]]


class _Begun(NamedTuple):
    network: Network
    run: Run
    verbose: bool
    callback: Any
    warned: list[tuple[str, type[Warning]]]

    def key(self) -> Any:
        """Networks with the same can go side by side."""
        n, settings = self.network, self.run.task.settings
        return (
            *(n._sizes, n._codes, n._all_activations(), n._loss, n._dtype),
            *(settings.get("optimizer"), settings.get("label_smoothing")),
            *(self.run.task.held_out is None, self.run.task.samples[1].ndim),
        )

    def outcome(self) -> Outcome:
        with collected_warnings() as warned:
            self.network._ended(self.run)
            self.network._warn_of(self.run)
        history = self.network.history
        return Outcome(np.empty(0) if history is None else history.loss, _status(history), None, self.warned + warned)


def _status(history: History | None) -> str:
    return "after all epochs" if history is None else history.stopped


_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(Network.fit).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
}
_NEEDED = {name for name, default in _DEFAULTS.items() if default is inspect.Parameter.empty}


def _begun(network: Network, x: Any, y: Any, how: dict[str, Any], known: dict[Any, Any]) -> _Begun | _Failed:
    with collected_warnings() as warned:
        try:
            if unknown := how.keys() - _DEFAULTS.keys():
                raise TypeError(f"Network.fit has no argument {min(unknown)!r}")
            if missing := _NEEDED - how.keys():
                raise TypeError(f"the argument {min(missing)} of Network.fit is missing")
            every = {**_DEFAULTS, **how}
            run = network._begun(network._prepared(x, y, every, known))
        except Exception as error:
            return _Failed(error, warned)
    return _Begun(network, run, bool(every["verbose"]), every["callback"], warned)


def run(members: list[Network], xs: list[Any], ys: list[Any], settings: list[dict[str, Any]]) -> list[Outcome]:
    known: dict[Any, Any] = {}
    begun = [_begun(*member, known) for member in zip(members, xs, ys, settings, strict=True)]
    outcomes: list[Outcome | None] = [
        Outcome(np.empty(0), str(m.error), m.error, m.warned) if isinstance(m, _Failed) else None for m in begun
    ]
    alike: dict[Any, list[int]] = {}
    for i, member in enumerate(begun):
        if isinstance(member, _Begun) and member.callback is None and not member.verbose:
            alike.setdefault(member.key(), []).append(i)
    for places in alike.values():
        _run_in_lanes([begun[i] for i in places], places, outcomes)
    _run_apart(begun, outcomes)
    return [outcome for outcome in outcomes if outcome is not None]


def _run_in_lanes(members: list[Any], places: list[int], outcomes: list[Outcome | None]) -> None:
    """Those that the compiled code takes side by side; it leaves the others."""
    done = np.zeros(len(members), bool)
    try:
        with in_training(*(member.network for member in members)):
            _core.network_fit_many(
                members[0].network._spec, [member.network._arguments(member.run) for member in members], done
            )
    finally:
        for member, place, finished in zip(members, places, done.tolist(), strict=True):
            if finished:
                outcomes[place] = member.outcome()


def _run_apart(begun: list[_Begun | _Failed], outcomes: list[Outcome | None]) -> None:
    stop = threading.Event()

    def one(i: int) -> Outcome:
        member = begun[i]
        assert isinstance(member, _Begun)
        network, task = member.network, member.run.task
        work = float(len(task.samples[0]) * sum(w.size for w in network.weights))
        callback = member.callback
        if work * task.settings["epochs"] > _LONG:
            callback = _stoppable(callback, stop)
        if stop.is_set():
            return Outcome(np.empty(0), "interrupted", None, [])
        with collected_warnings() as warned:
            try:
                losses = network._train(*task, member.verbose, callback)
            except Exception as error:
                return Outcome(np.empty(0), str(error), error, member.warned + warned)
        return Outcome(losses, _status(network.history), None, member.warned + warned)

    left = [i for i, outcome in enumerate(outcomes) if outcome is None]
    if not left:
        return
    with ThreadPoolExecutor(max(1, min(_core.get_num_threads(), len(left)))) as pool:
        try:
            context = [contextvars.copy_context() for _ in left]
            futures = [pool.submit(c.run, one, i) for i, c in zip(left, context, strict=True)]
            for i, future in zip(left, futures, strict=True):
                outcomes[i] = future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _stoppable(callback: Any, stop: threading.Event) -> Any:
    def after_epoch(epoch: Any) -> bool:
        return stop.is_set() or (callback is not None and bool(callback(epoch)))

    return after_epoch


def gathered(members: list[Network], done: list[Outcome], errors: str, labels: Array | None) -> FitMany:
    for i, outcome in enumerate(done):
        if outcome.error is not None and errors == "raise":
            raise type(outcome.error)(f"fit_many: network {i}: {outcome.error}") from outcome.error
    warned = [(i, *w) for i, outcome in enumerate(done) for w in outcome.warned]
    if warned:
        first, message, category = warned[0]
        which = len({i for i, *_ in warned})
        warn_caller(
            f"fit_many: {which} of {len(members)} networks warn, the first is network {first}: {message}", category
        )
    losses = np.full((len(done), max((len(o.losses) for o in done), default=0)), np.nan)
    for row, outcome in zip(losses, done, strict=True):
        row[: len(outcome.losses)] = outcome.losses
    return FitMany(members, losses, [o.status for o in done], labels)
