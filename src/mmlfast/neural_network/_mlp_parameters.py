"""Parameters of the estimators, checked when a fit begins."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_real
from mmlfast.neural_network._training import integer, number, one_of

_ACTIVATIONS = ("identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus")
_SOLVERS = ("lbfgs", "sgd", "adam", "adamw")
RATES = {"constant": 0, "cosine": 2, "one_cycle": 3, "invscaling": 4, "adaptive": 5}


class CheckedParameters:
    """The parameters as numbers, or an error that names the one that is none."""

    hidden_layer_sizes: Any
    activation: Any
    solver: Any
    learning_rate: Any
    random_state: Any
    epsilon: Any
    validation_fraction: Any

    def _hidden_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        found = list(sizes) if np.iterable(sizes) else [sizes]
        try:
            checked = [operator.index(n) for n in found]
        except TypeError:
            raise TypeError(f"hidden_layer_sizes must be integers, got {sizes!r}") from None
        if any(n <= 0 for n in checked):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {found}.")
        return checked

    def _seed_of_state(self) -> int:
        """A seed from `random_state`, without a look at NumPy's global generator."""
        given = self.random_state
        if given is None:
            return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 1)
        if isinstance(given, np.random.RandomState):
            return int(given.randint(2**31 - 1))
        if isinstance(given, np.random.Generator):
            return int(given.integers(2**62))
        return integer("random_state", given, 0)

    def _integer(self, name: str, lowest: int) -> int:
        return integer(name, getattr(self, name), lowest)

    def _number(self, name: str, below: float = math.inf, closed: bool = False) -> float:
        value = as_real(getattr(self, name), name)
        if closed and value == below:
            return value
        return number(name, value, below)

    def _check_parameters(self) -> None:
        """The ones that nothing else looks at before the training."""
        one_of("solver", self.solver, _SOLVERS)
        one_of("learning_rate", self.learning_rate, RATES)
        if isinstance(self.activation, str):
            one_of("activation", self.activation, _ACTIVATIONS)
        self._hidden_sizes()
        self._integer("max_iter", 1)
        for name in ("alpha", "learning_rate_init", "tol", "power_t", "epsilon", "weight_decay"):
            self._number(name)
        if self.epsilon < 1e-30:
            raise ValueError(f"epsilon must be > 0 (at least 1e-30), got {self.epsilon}")
        for name in ("momentum", "beta_1", "beta_2"):
            self._number(name, 1.0, name == "momentum")
        if self._number("learning_rate_init") == 0:
            raise ValueError("learning_rate_init must be > 0, got 0.")
        if not 0 < self._number("validation_fraction") < 1:
            raise ValueError(f"validation_fraction must be above 0 and below 1, got {self.validation_fraction}")
        for name in ("shuffle", "early_stopping", "warm_start", "nesterovs_momentum", "verbose"):
            if not isinstance(getattr(self, name), bool | np.bool):
                raise ValueError(f"{name} must be either True or False, got {getattr(self, name)!r}.")
