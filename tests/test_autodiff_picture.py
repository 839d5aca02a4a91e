"""The tape as a picture."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmlfast.autodiff import trace


def neuron(v: Any) -> Any:
    return (np.tanh(v[0] * v[2] + v[1]) - 1) ** 2 + np.sum(v)


V = np.array([0.5, -1.2, 0.7])


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize("args", [(), (V,)])
def test_matplotlib_draws(tmp_path: Path, monkeypatch: Any, suffix: str, args: tuple[Any, ...]) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    path = tmp_path / f"neuron.{suffix}"
    trace(neuron, V).draw(path, *args)
    start = path.read_bytes()[:300]
    assert {"png": b"PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix] in start


def test_svg_shows_each_step_with_its_numbers(tmp_path: Path, monkeypatch: Any) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        trace(neuron, V).draw(tmp_path / "neuron.svg", V)
    text = (tmp_path / "neuron.svg").read_text(encoding="utf-8")
    for shown in ("t1 = x[0] * x[2]", "tanh(t2)", "value -0.85, slope -1.767", "return t7"):
        assert shown in text


def test_graphviz_draws_if_it_is_there(tmp_path: Path, monkeypatch: Any) -> None:
    calls = []
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "run", lambda command, **options: calls.append((command, options)))
    f = trace(neuron, V)
    f.draw(tmp_path / "neuron.svg")
    [(command, options)] = calls
    assert command == ["/bin/dot", "-Tsvg", "-o", str(tmp_path / "neuron.svg")]
    assert options["input"] == f.to_dot()


def test_dot_has_a_box_for_each_step_and_arrows_of_what_it_needs() -> None:
    dot = trace(neuron, V).to_dot()
    assert dot.startswith('digraph "neuron" {')
    lines = [line.strip() for line in dot.splitlines()]
    [tanh] = [line.split()[0] for line in lines if "tanh(t2)" in line]
    [before] = [line.split()[0] for line in lines if "t2 = " in line]
    assert f"{before} -> {tanh};" in lines


def test_path_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path must end with \.png, \.svg or \.pdf"):
        trace(neuron, V).draw(tmp_path / "neuron.docx")
