"""The README's lines of use run as they stand, and its two commands are the ones that .ci/run makes work."""

import os
import re
import subprocess
import sys
from pathlib import Path

import mmlfast as mf

README = Path(__file__).parents[1] / "README.md"


def test_lines_of_use_run():
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert code is not None
    source = Path(mf.__file__).parents[1]
    path = os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH")]))
    shown = "\nprint(x.shape, basis.shape, c.shape, pca.n_readings_, near.indices[:, 0], len(losses))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code[1] + shown],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "(100000, 4, 1) (100000, 4, 4) (10, 10) 1 [0 1 2 3 4] 1"


def test_every_public_function_is_listed():
    text = README.read_text(encoding="utf-8")
    modules = (mf.linalg, mf.geometry, mf.graph, mf.stats, mf.decomposition, mf.dask, mf.autodiff, mf.neural_network)
    modules += (mf.optimize, mf.linear_model)
    for module in modules:
        for name in module.__all__:
            if name[0].islower():
                assert f"`{name}`" in text, f"{module.__name__}.{name}"
