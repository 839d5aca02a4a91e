"""What a case file is made of: cases, jobs, contestants and goals."""

from __future__ import annotations

import operator
import timeit
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from bench.harness import peers

OURS = "mmlfast"
BEST = "the best peer"
YARDSTICK = "yardstick"


class Goal(Protocol):
    """Something to reach. `ratios` are medians of peer time / our time by contestant, `seconds` is our time."""

    @property
    def text(self) -> str: ...

    def met(self, ratios: dict[str, float], seconds: float) -> bool | None:
        """True or False, or None if the peer it speaks of was not there."""


@dataclass(frozen=True)
class Faster:
    """At least `times` as fast as `over`, a library or one contestant; by default as the best of all peers."""

    times: float
    over: str = BEST

    @property
    def text(self) -> str:
        return f">= {self.times:.3g}x {self.over}"

    def met(self, ratios: dict[str, float], seconds: float) -> bool | None:
        peers = {name: r for name, r in ratios.items() if library(name) != YARDSTICK}
        found = [r for name, r in peers.items() if self.over in (BEST, library(name), name)]
        return min(found) >= self.times if found else None


@dataclass(frozen=True)
class Share:
    """At least this share of the speed of a yardstick."""

    least: float
    of: str

    @property
    def text(self) -> str:
        return f">= {100 * self.least:.3g}% of {self.of}"

    def met(self, ratios: dict[str, float], seconds: float) -> bool | None:
        ratio = ratios.get(f"{YARDSTICK} {self.of}")
        return None if ratio is None else ratio >= self.least


@dataclass(frozen=True)
class Within:
    """A time per call, in seconds."""

    seconds: float

    @property
    def text(self) -> str:
        return f"<= {self.seconds * 1e6:.3g} us"

    def met(self, ratios: dict[str, float], seconds: float) -> bool | None:
        return seconds <= self.seconds


def library(contestant: str) -> str:
    """The library of a contestant: the first word of its name ("numpy einsum" is numpy)."""
    return contestant.split()[0]


@dataclass
class Contestant:
    """One way to do the job. `function(*args, **kwargs)` is what is timed; if `timed`, it returns its own seconds."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    timed: bool = False

    def run(self) -> Any:
        return self.function(*self.args, **self.kwargs)

    def stopwatch(self) -> Callable[[int], float]:
        """A function of the number of calls that returns the seconds they took.

        The call is compiled as it stands, arguments by name, so that nothing but the call is in the loop.
        """
        if self.timed:
            return lambda loops: float(sum(self.function(*self.args, **self.kwargs) for _ in range(loops)))
        values = {f"a{i}": value for i, value in enumerate(self.args)} | {f"k_{k}": v for k, v in self.kwargs.items()}
        words = [f"a{i}" for i in range(len(self.args))] + [f"{k}=k_{k}" for k in self.kwargs]
        return timeit.Timer(f"f({', '.join(words)})", globals={"f": self.function, **values}).timeit


@dataclass
class Job:
    """A job on given arrays, and who does it.

    Parameters
    ----------
    error : callable or None
        Takes what a contestant returned, gives how wrong it is, against an independent reference. None: not shown.
    error_name : str
        What that number is, with its unit.
    limit : float or None
        The largest error that still counts as doing the job. Peers above it are shown but are nobody's best peer; for
        us it is a goal like the others.
    bytes, flops : float
        Compulsory traffic and arithmetic of one call, if known: for the share of the machine's bandwidth and peak.
    dtype : dtype
        What the flops are counted in.
    """

    error: Callable[[Any], float] | None = None
    error_name: str = ""
    _: KW_ONLY
    limit: float | None = None
    bytes: float = 0.0
    flops: float = 0.0
    dtype: Any = np.float64
    contestants: list[Contestant] = field(default_factory=list)

    def ours(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """How mmlfast does it: to be called first."""
        self.contestants.append(Contestant(OURS, function, args, kwargs))

    def peer(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """How a peer does it. The first word of `name` is the library."""
        self.contestants.append(Contestant(name, function, args, kwargs))

    def yardstick(self, name: str, function: Callable[..., Any], *args: Any) -> None:
        """What bounds the job, such as copying its bytes: timed in turn like a peer, but nobody's best peer."""
        self.contestants.append(Contestant(f"{YARDSTICK} {name}", function, args))

    def jax(self, name: str, function: Callable[..., Any], *arrays: Any) -> None:
        """How JAX does it: `function` is compiled, its arrays are on the device, the answer is waited for."""
        jax: Any = peers.find("jax", 0)
        compiled = jax.jit(function)
        placed = [jax.device_put(a) for a in arrays]
        self.peer(name, lambda: jax.block_until_ready(compiled(*placed)))

    def torch_and_jax(self, setup: Setup, name: str, *arrays: Any) -> None:
        """How both do it by the function that they call alike, as in "linalg.qr"."""
        if torch := setup.library("torch"):
            self.peer("torch", operator.attrgetter(name)(torch), *map(torch.from_numpy, arrays))
        if jax := setup.library("jax"):
            self.jax("jax", operator.attrgetter(name)(jax.numpy), *arrays)


class Setup:
    """What a case is given to build its job: the peers that are installed, random numbers, the number of threads."""

    def __init__(self, threads: int, quick: bool, seed: int = 1) -> None:
        self.threads = threads
        self.quick = quick
        self.rng = np.random.default_rng(seed)
        self.absent: list[str] = []

    def library(self, name: str) -> ModuleType | Any | None:
        """The module `name`, set to our number of threads, or None (then it is listed as absent)."""
        module = peers.find(name, self.threads)
        if module is None and name not in self.absent:
            self.absent.append(name)
        return module


@dataclass(frozen=True)
class Case:
    """One line of the benchmark: `make` builds the job. `slow` cases are left out by ``--quick``."""

    name: str
    title: str
    make: Callable[[Setup], Job]
    goals: tuple[Goal, ...] = ()
    slow: bool = False
    family: str = ""
