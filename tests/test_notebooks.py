"""The pages as notebooks. That each of them runs is seen by .ci/run, from a wheel and in kernels of their own."""

import json
import sys
from pathlib import Path

import pytest

from mmlfast.__main__ import main
from mmlfast.tour._notebooks import write_notebooks

ROOT = Path(__file__).parents[1]


def test_a_notebook_of_every_page(tmp_path, capsys):
    pytest.importorskip("sphinx_gallery")
    assert main(["--notebooks", str(tmp_path), "--no-open"]) == 0
    scripts = [path for folder in ("course", "examples") for path in sorted((ROOT / folder).glob("*.py"))]
    assert capsys.readouterr().out == f"{len(scripts)} notebooks in {tmp_path}\n"
    for script in scripts:
        cells = json.loads((tmp_path / script.parent.name / f"{script.stem}.ipynb").read_text())["cells"]
        lines = "".join(line for cell in cells if cell["cell_type"] == "code" for line in [*cell["source"], "\n"])
        code = [line for line in script.read_text().split("\n\n", 1)[1].split("\n") if line and line[0] not in '#"=']
        assert all(line in lines for line in code if "pyplot" in line or "mmlfast" in line)
        assert any("matplotlib inline" in line for line in cells[0]["source"])


def test_a_notebook_that_is_there_is_kept(tmp_path):
    pytest.importorskip("sphinx_gallery")
    (tmp_path / "examples").mkdir()
    mine = tmp_path / "examples" / "svd.ipynb"
    mine.write_text("mine")
    assert mine in write_notebooks(tmp_path)
    assert mine.read_text() == "mine"


def test_what_is_missing_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sphinx_gallery", None)
    monkeypatch.setitem(sys.modules, "sphinx_gallery.gen_gallery", None)
    assert main(["--notebooks", str(tmp_path), "--no-open"]) == 2
    assert 'pip install "mmlfast[notebooks]"' in capsys.readouterr().err
