"""The tour: its exit codes, its pictures, and that a broken kernel does not pass."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mmlfast as mf
from mmlfast.__main__ import main
from mmlfast.tour import STEPS

for _package in ("sklearn", "matplotlib", "rich"):
    pytest.importorskip(_package)

PICTURES = {
    "elimination": ["elimination-photo.png", "elimination-patients.png"],
    "gram_schmidt": ["gram_schmidt-bases.png", "gram_schmidt-orthogonality.png"],
    "eigen_digits": ["eigen_digits.png", "eigen_digits-reconstruction.png", "eigen_digits-error.png"],
    "digit_classifier": [
        "digit_classifier-confusion.png",
        "digit_classifier-hardest.png",
        "digit_classifier-loss.png",
    ],
    "iris": ["iris-planes.png"],
}


def _subprocess(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """A new interpreter runs `code`, then the command line of mmlfast with these arguments."""
    program = f"import sys\n{code}\nfrom mmlfast.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
    path = os.pathsep.join([str(Path(mf.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, env=environment, timeout=300
    )


def test_every_step_has_its_pictures_listed_here():
    assert list(PICTURES) == list(STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_quick_step_passes_and_leaves_pictures(step, tmp_path, capsys):
    assert main(["--quick", "--only", step, "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(PICTURES[step])
    for path in tmp_path.iterdir():
        assert path.stat().st_size > 10_000
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "\r" not in output
    assert "every check passed" in output
    assert output.count("x   ok") + output.count("   ok") >= STEPS[step].jobs


def test_broken_solve_fails_but_other_checks_run(tmp_path, capsys, monkeypatch):
    solve = mf.linalg.solve
    monkeypatch.setattr(mf.linalg, "solve", lambda a, b: solve(a, b) * (1 + 1e-3))
    assert main(["--quick", "--only", "elimination", "--out", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert output.count("FAILED") >= STEPS["elimination"].jobs
    assert len(list(tmp_path.iterdir())) == 2


def test_nan_fails(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(mf.linalg, "solve", lambda a, b: np.full_like(b, np.nan))
    with np.errstate(all="ignore"):
        assert main(["--quick", "--only", "elimination", "--out", str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_step_that_raises_fails_with_its_message(tmp_path, capsys, monkeypatch):
    def solve(a, b):
        raise RuntimeError("no [bold]solution[/bold] today")

    monkeypatch.setattr(mf.linalg, "solve", solve)
    assert main(["--quick", "--only", "elimination", "--out", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "RuntimeError" in output
    assert "no [bold]solution[/bold]" in output


def test_interrupt_gives_130(tmp_path, capsys, monkeypatch):
    def solve(a, b):
        raise KeyboardInterrupt

    monkeypatch.setattr(mf.linalg, "solve", solve)
    assert main(["--quick", "--only", "elimination", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "mmlfast: interrupted\n"


@pytest.mark.parametrize(
    ("module", "package"), [("sklearn", "scikit-learn"), ("matplotlib", "matplotlib"), ("rich", "rich")]
)
def test_missing_extra_gives_one_line(module, package, tmp_path):
    out = tmp_path / "never"
    done = _subprocess("--quick", "--out", str(out), code=f"sys.modules[{module!r}] = None")
    assert done.returncode == 2
    assert done.stderr == f'mmlfast: the tour needs {package}: pip install "mmlfast[tour]"\n'
    assert done.stdout == ""
    assert not out.exists()


def test_help_and_list_need_no_extra():
    blocked = "for name in ('sklearn', 'matplotlib', 'rich'): sys.modules[name] = None"
    done = _subprocess("--list", code=blocked)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(STEPS)
    done = _subprocess("--help", code=blocked)
    assert done.returncode == 0
    for word in ("--out", "--quick", "--only", "--list", "exit codes"):
        assert word in done.stdout


def test_wrong_arguments_give_2(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["--only", "no_such_step"])
    assert exit_info.value.code == 2
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file" / "folder")]) == 2
    assert "--out" in capsys.readouterr().err
