"""More calls of public functions, for labels only: with all arguments that share rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from public_api import SCORES, TABLE, Use, _use, op

import mmlfast as mf


def _with_labels() -> Iterator[Use]:
    """More arguments that share rows with others."""

    def curve(x: Any, a: Any, b: Any) -> Any:
        return a * np.exp(-0.1 * x) + b * x

    def grouped(xdata: Any, ydata: Any, sigma: Any) -> Any:
        return op.curve_fit_many(curve, xdata, ydata, sigma=sigma, groups=np.arange(12) % 2)

    arrays = {"xdata": SCORES, "ydata": TABLE[:, 0], "sigma": SCORES + 0.5}
    axes = dict.fromkeys(arrays, ("n", "n"))
    for fit in (op.curve_fit, op.curve_fit_many):
        call = lambda fit=fit, **given: fit(curve, **given)  # noqa: E731
        yield _use(f"optimize.{fit.__name__}", call, arrays=arrays, axes=axes)
        if fit is op.curve_fit:
            matrix = axes | {"sigma": ("nn", "n")}
            covariances = arrays | {"sigma": np.diag(SCORES)}
            yield _use("optimize.curve_fit", call, arrays=covariances, axes=matrix, variant="covariances")
    rows = {"ydata": TABLE.T.copy(), "sigma": TABLE.T**2 + 1}
    letters = axes | dict.fromkeys(rows, ("kn", "n"))
    yield _use("optimize.curve_fit_many", call, arrays=arrays | rows, axes=letters, variant="rows")
    yield _use("optimize.curve_fit_many", grouped, arrays=arrays, axes=axes, variant="groups")

    how: Any = {"epochs": 2, "batch_size": 5, "learning_rate": 0.01}
    nn, samples = mf.neural_network, {"x": TABLE, "y": TABLE[:, :2], "sample_weight": SCORES}
    axes = {"x": ("nd", "d"), "y": ("nk", "n"), "sample_weight": ("n", "n")}

    def validated(**data: Any) -> Any:
        return nn.Network([3, 2]).fit(TABLE, TABLE[:, :2], validation_data=tuple(data.values()), **how)

    def groups_of(groups: Any, **data: Any) -> Any:
        return nn.fit_many(nn.Network([3, 2]), groups=groups > 1, **data, **how)

    uses: Any = {
        "fit": lambda **data: nn.Network([3, 2]).fit(**data, **how),
        "loss": lambda **data: nn.Network([3, 2]).loss(**data),
        "gradients": lambda **data: nn.Network([3, 2]).gradients(**data),
        "hessian_vector_product": lambda **d: nn.Network([3, 2]).hessian_vector_product(
            vector=[(np.ones((3, 2)), np.ones(2))], **d
        ),
        "fit validated": validated,
    }
    for name, call in uses.items():
        yield _use(f"neural_network.Network.{name.split()[0]}", call, arrays=samples, axes=axes, variant=name)
    samples, axes = samples | {"groups": SCORES}, axes | {"groups": ("n", "n")}
    yield _use("neural_network.fit_many", groups_of, arrays=samples, axes=axes, variant="groups")


WITH_LABELS: list[Use] = list(_with_labels())
