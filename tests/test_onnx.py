"""Networks as ONNX models: what the reference evaluator of the package onnx makes of them."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mmlfast.neural_network import Network

ACTIVATIONS = (
    "identity", "logistic", "tanh", "relu", "leaky_relu", ("leaky_relu", 0.3), "elu", ("elu", 2.0), "gelu", "silu",
    "softplus",
)  # fmt: skip
X = np.random.default_rng(0).standard_normal((7, 3)) * [1.0, 10.0, 0.1] + [0.0, 100.0, 0.0]


def evaluated(path, x):
    evaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator(str(path))
    (y,) = evaluator.run(None, {"x": x})
    return y


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_the_model_computes_what_the_network_does(activation, dtype, tmp_path):
    pytest.importorskip("onnx")
    net = Network([3, 5, 4, 2], activation=[activation, "tanh"], output="softmax", loss="cross_entropy", dtype=dtype)
    net.biases = [b + 0.1 for b in net.biases]
    net.standardize(X)
    net.to_onnx(tmp_path / "net.onnx")
    y = evaluated(tmp_path / "net.onnx", X.astype(dtype))
    assert y.dtype == dtype
    # Slopes are float32 there, and the evaluator's error function is not exact.
    exact = dtype == np.float64 and not str(activation).startswith(("('leaky", "leaky", "gelu"))
    assert_allclose(y, net.forward(X), rtol=1e-12 if exact else 1e-4)


def test_a_single_layer(tmp_path):
    pytest.importorskip("onnx")
    net = Network([3, 1], output="logistic", loss="binary_cross_entropy")
    net.to_onnx(tmp_path / "net.onnx")
    assert_allclose(evaluated(tmp_path / "net.onnx", X), net.forward(X), rtol=1e-12)


def test_what_onnx_has_not_is_refused(tmp_path, monkeypatch):
    with pytest.raises(TypeError, match="activation of layer 0 is a function of your own"):
        Network([3, 2, 1], activation=np.sin).to_onnx(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'mmlfast\[onnx\]'"):
        Network([3, 1]).to_onnx(tmp_path / "net.onnx")
