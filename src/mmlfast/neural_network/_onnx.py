"""Networks as ONNX models, for programs that run without Python or NumPy. Needs the package onnx."""

from __future__ import annotations

import importlib
import os
from typing import Any, BinaryIO

import numpy as np

from mmlfast import _core
from mmlfast._common.files import opened
from mmlfast.neural_network._functions import Choice, name_of, number_of

Array = np.ndarray[Any, Any]

# What each activation is called there; Gelu came with version 20 of the operators, and the file format that goes with
# them is 9.
_OPERATORS = {
    "logistic": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "elu": "Elu",
    "gelu": "Gelu",
    "softplus": "Softplus",
    "softmax": "Softmax",
}
_OPERATOR_SET, _FILE_FORMAT = 20, 9


class _Graph:
    """Nodes one after the other, each with a name for what comes out of it."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Array) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], **attributes))
        return output

    def activation(self, function: Choice, value: str, output: str) -> str:
        name, numbers = name_of(function), {}
        if name in ("leaky_relu", "elu"):
            numbers = {"alpha": number_of(function)}
        if name == "softmax":
            numbers = {"axis": 1}
        if name == "identity":
            return self.add("Identity", [value], output)
        if name == "silu":
            return self.add("Mul", [value, self.add("Sigmoid", [value], f"{output}_gate")], output)
        return self.add(_OPERATORS[name], [value], output, **numbers)


def write(
    path: str | os.PathLike[str] | BinaryIO,
    layers: list[tuple[Array, Array]],
    activations: tuple[Choice, ...],
    standardization: tuple[Array, Array] | None,
) -> None:
    """A model of one input `x` (samples, n_in) and one output `y`, both in the dtype of the weights."""
    for layer, function in enumerate(activations):
        if callable(function):
            raise TypeError(
                f"to_onnx: the activation of layer {layer} is a function of your own, and ONNX has none of these: "
                f"pickle.dumps(net) keeps functions that a module defines"
            )
    try:
        onnx = importlib.import_module("onnx")
    except ImportError:
        raise ImportError("to_onnx needs the package onnx: pip install 'mmlfast[onnx]'") from None
    graph = _Graph(onnx)
    value = "x"
    if standardization is not None:
        shift, scale = standardization
        value = graph.add("Sub", [value, graph.constant("shift", shift)], "shifted")
        value = graph.add("Mul", [value, graph.constant("scale", scale)], "standardized")
    for layer, ((w, b), function) in enumerate(zip(layers, activations, strict=True)):
        inputs = [value, graph.constant(f"weights_{layer}", w), graph.constant(f"biases_{layer}", b)]
        value = graph.add("Gemm", inputs, f"combined_{layer}")
        value = graph.activation(function, value, "y" if layer + 1 == len(layers) else f"layer_{layer}")
    helper = onnx.helper
    kind = helper.np_dtype_to_tensor_dtype(layers[0][0].dtype)
    ends = [("x", layers[0][0].shape[0]), ("y", layers[-1][0].shape[1])]
    x, y = (helper.make_tensor_value_info(name, kind, ["samples", n]) for name, n in ends)
    model = helper.make_model(
        helper.make_graph(graph.nodes, "network", [x], [y], graph.constants),
        opset_imports=[helper.make_opsetid("", _OPERATOR_SET)],
        ir_version=_FILE_FORMAT,
        producer_name="mmlfast",
        producer_version=_core.__version__,
    )
    onnx.checker.check_model(model)
    data = model.SerializeToString()  # before a file that is there already is emptied
    with opened(path, "wb") as file:
        file.write(data)
