"""The tour: its exit codes, its pictures, and that a broken kernel does not pass."""

import functools
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import cases
import numpy as np
import pytest

import mmlfast as mf
from mmlfast.__main__ import main
from mmlfast.tour import STEPS

for _package in ("sklearn", "matplotlib", "rich"):
    pytest.importorskip(_package)

frame = importlib.import_module("mmlfast.tour._frame")

PICTURES = {
    "elimination": ["elimination-photo.png", "elimination-patients.png"],
    "special_matrices": ["special_matrices-digits.png", "special_matrices-lesson.png"],
    "gram_schmidt": ["gram_schmidt-bases.png", "gram_schmidt-orthogonality.png"],
    "transformations": ["transformations.png"],
    "eigen_digits": ["eigen_digits.png", "eigen_digits-reconstruction.png", "eigen_digits-error.png"],
    "image_statistics": ["image_statistics.png"],
    "nearest_digits": ["nearest_digits.png"],
    "eigenfaces": ["eigenfaces.png"],
    "reconstruction": ["reconstruction.png"],
    "derivatives": ["derivatives.png"],
    "sandpit": ["sandpit.png"],
    "chain_rule": ["chain-rule.png"],
    "taylor": ["taylor.png"],
    "basins": ["basins.png"],
    "descent": ["descent-paths.png", "descent-plane.png"],
    "heights": ["heights.png"],
    "decay_images": ["decay_images.png"],
    "small_network": ["small_network.png"],
    "many_seeds": ["many_seeds.png"],
    "digit_classifier": [
        "digit_classifier-confusion.png",
        "digit_classifier-hardest.png",
        "digit_classifier-loss.png",
    ],
    "structure_tensor": ["structure_tensor.png"],
    "terrain": ["terrain-normals.png"],
    "iris": ["iris-planes.png"],
    "import_graph": ["import_graph-ranking.png", "import_graph-convergence.png"],
    "web_graph": ["web_graph.png"],
}


def _environment() -> dict[str, str]:
    path = [str(Path(mf.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def _subprocess(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """A new interpreter runs `code`, then the command line of mmlfast with these arguments."""
    program = f"import sys\n{code}\nfrom mmlfast.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, env=_environment(), timeout=900
    )


def test_every_step_has_its_pictures_listed_here():
    assert list(PICTURES) == list(STEPS)


def needs_its_data(step):
    """Skips the test of a step whose data do not come with the package."""
    folder = cases.data_folder_or_none()
    if step == "web_graph" and not (folder and (folder / "graphs" / "cnr-2000.npz").is_file()):
        pytest.skip("no real web: set MMLFAST_DATA to the folder of the data sets")


@pytest.fixture(scope="module", autouse=True)
def fewer_data():
    """The first part of each large data set, read once: `python -m mmlfast` itself takes the whole of them."""
    names = ["eigenfaces", "nearest_digits", "reconstruction", "import_graph", "web_graph"]
    eigenfaces, nearest, reconstruction, imports, web = (importlib.import_module(f"mmlfast.tour.{x}") for x in names)

    def some_faces(read=eigenfaces.faces):
        images = read()
        return images._replace(pixels=images.pixels[:160], labels=images.labels[:160])

    def some_digits(_, read=reconstruction.written_digits):
        return read(1000)

    def some_files(*folder, read=imports._source_files):
        return list(read(*folder))[:150]

    def part_of_the_web(read=web._web):
        return read()[:30_000, :30_000]

    changes = [
        (eigenfaces, "faces", some_faces),
        (nearest, "written_digits", some_digits),
        (reconstruction, "written_digits", some_digits),
        (imports, "_source_files", some_files),
        (imports, "_import_graph", functools.cache(imports._import_graph)),
        (web, "_web", functools.cache(part_of_the_web)),
    ]
    with pytest.MonkeyPatch.context() as patch:
        for module, name, change in changes:
            patch.setattr(module, name, change)
        yield


@pytest.fixture
def short_races(monkeypatch):
    """One pair of each race."""
    race = frame.Tour.race
    monkeypatch.setattr(frame.Tour, "race", lambda *args, **options: race(*args, **{**options, "pairs": 1}))


def test_races_of_a_step(tmp_path, capsys):
    assert main(["--quick", "--only", "iris", "--out", str(tmp_path)]) == 0
    assert "every check passed" in capsys.readouterr().out


@pytest.mark.parametrize("step", STEPS)
def test_quick_step_passes_and_leaves_pictures(step, tmp_path, capsys, short_races):
    needs_its_data(step)
    assert main(["--quick", "--only", step, "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(PICTURES[step])
    for path in tmp_path.iterdir():
        assert path.stat().st_size > 10_000
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "\r" not in output
    assert "every check passed" in output
    assert output.count("x   ok") + output.count("   ok") >= STEPS[step].jobs


@pytest.fixture
def brief(monkeypatch):
    """The checks without the timings, and pictures that are not drawn: an empty file in the place of each."""

    def race(self, ours, theirs, *, peer, seconds=1.0, pairs=0):
        if pairs:  # the step may use the results
            ours()
            theirs()
        return frame.Times(1.0, 1.0, 1.0, peer)

    monkeypatch.setattr(frame.Tour, "race", race)
    monkeypatch.setattr(frame.Tour, "save", lambda self, figure, name: (self.out / f"{name}.png").touch())


def _scaled(function):
    """`function` with an answer that is wrong by one part in a thousand, in its first field if it has several."""

    @functools.wraps(function)
    def wrong(*args, **kwargs):
        result = function(*args, **kwargs)
        if isinstance(result, tuple):
            return result._replace(**{result._fields[0]: result[0] * (1 + 1e-3)})
        return result * (1 + 1e-3)

    return wrong


@pytest.mark.parametrize(
    ("step", "module", "name"),
    [
        ("elimination", "linalg", "solve"),
        ("special_matrices", "linalg", "det"),
        ("special_matrices", "linalg", "row_echelon"),
        ("gram_schmidt", "linalg", "gram_schmidt"),
        ("transformations", "linalg", "transform"),
        ("transformations", "linalg", "change_of_basis"),
        ("transformations", "linalg", "reflection_matrix"),
        ("transformations", "linalg", "matmul"),
        ("eigen_digits", "stats", "covariance"),
        ("eigen_digits", "stats", "mean"),
        ("eigen_digits", "linalg", "power_iteration"),
        ("eigen_digits", "geometry", "project"),
        ("image_statistics", "stats", "affine_moments"),
        ("image_statistics", "stats", "covariance"),
        ("nearest_digits", "geometry", "angle"),
        ("eigenfaces", "geometry", "reconstruction_error"),
        ("structure_tensor", "linalg", "eigh"),
        ("terrain", "stats", "covariance"),
        ("terrain", "linalg", "eigh"),
        ("iris", "stats", "covariance"),
        ("iris", "linalg", "power_iteration"),
        ("iris", "geometry", "project"),
        ("import_graph", "graph", "pagerank"),
        ("web_graph", "graph", "pagerank"),
        ("web_graph", "graph", "pagerank_many"),
    ],
)
def test_broken_kernel_fails_but_the_step_goes_on(step, module, name, tmp_path, capsys, monkeypatch, brief):
    needs_its_data(step)
    owner = getattr(mf, module)
    monkeypatch.setattr(owner, name, _scaled(getattr(owner, name)))
    assert main(["--quick", "--only", step, "--out", str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(PICTURES[step])


@pytest.mark.parametrize("name", ["gradients", "forward", "fit"])
def test_broken_network_fails(name, tmp_path, capsys, monkeypatch, brief):
    class Broken(mf.neural_network.Network):
        def gradients(self, x, y):
            wrong = 1 + 1e-3 * (name == "gradients")
            return [(dw * wrong, db * wrong) for dw, db in super().gradients(x, y)]

        def forward(self, x):
            return super().forward(x) * (1 + 1e-3 * (name == "forward"))

        def fit(self, x, y, *, epochs, **options):
            return np.ones(epochs) if name == "fit" else super().fit(x, y, epochs=epochs, **options)

    # Scikit-learn's digits: MNIST's are learned by the step itself, and take longer.
    monkeypatch.setenv("MMLFAST_DATA", str(tmp_path))
    monkeypatch.setattr(mf.neural_network, "Network", Broken)
    assert main(["--quick", "--only", "digit_classifier", "--out", str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_broken_training_of_many_fails(tmp_path, capsys, monkeypatch, brief):
    right = mf.neural_network.fit_many

    def fit_many(networks, *args, **options):
        found = right(networks, *args, **options)
        for network in found.networks:
            network.biases[1] = network.biases[1] + 1e-6
        return found

    monkeypatch.setattr(mf.neural_network, "fit_many", fit_many)
    assert main(["--quick", "--only", "many_seeds", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("FAILED") >= 3  # the step, the weights, the bits


def test_broken_training_of_a_small_network_fails(tmp_path, capsys, monkeypatch, brief):
    class Broken(mf.neural_network.Network):
        def fit(self, x, y, *, learning_rate, **options):
            return super().fit(x, y, learning_rate=learning_rate * (1 + 1e-6), **options)

    monkeypatch.setattr(mf.neural_network, "Network", Broken)
    assert main(["--quick", "--only", "small_network", "--out", str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.parametrize("step", ["derivatives", "sandpit", "chain_rule"])
def test_broken_gradient_fails(step, tmp_path, capsys, monkeypatch, brief):
    class Broken:
        def __init__(self, f):
            self.right = mf.autodiff.value_and_grad(f)

        def __call__(self, x):
            return self.right(x)[1] * (1 + 1e-3)

        def batch(self, x):
            return self.right.batch(x)[1] * (1 + 1e-3)

    monkeypatch.setattr(mf.autodiff, "grad", Broken)
    assert main(["--quick", "--only", step, "--out", str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_nan_fails(tmp_path, capsys, monkeypatch, brief):
    monkeypatch.setattr(mf.linalg, "solve", lambda a, b: np.full_like(b, np.nan))
    with np.errstate(all="ignore"):
        assert main(["--quick", "--only", "elimination", "--out", str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_the_tour_goes_on_after_a_step_that_raises(tmp_path, capsys, monkeypatch, brief):
    def gram_schmidt(a, **options):
        raise ValueError("broken on purpose")

    monkeypatch.setattr(mf.linalg, "gram_schmidt", gram_schmidt)
    assert main(["--quick", "--only", "gram_schmidt", "--only", "iris", "--out", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "ValueError: broken on purpose" in output
    assert "iris               ok" in output
    assert (tmp_path / "iris-planes.png").exists()


def test_step_that_raises_fails_with_its_message(tmp_path, capsys, monkeypatch):
    def solve(a, b):
        raise RuntimeError("no [bold]solution[/bold] today")

    monkeypatch.setattr(mf.linalg, "solve", solve)
    assert main(["--quick", "--only", "elimination", "--out", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "RuntimeError" in output
    assert "no [bold]solution[/bold]" in output


def test_step_without_its_data_is_skipped_and_says_why(tmp_path, capsys, monkeypatch):
    web_graph = importlib.import_module("mmlfast.tour.web_graph")
    monkeypatch.setattr(web_graph, "_web", web_graph._web.__wrapped__)
    monkeypatch.setenv("MMLFAST_DATA", str(tmp_path / "nowhere"))
    assert main(["--quick", "--only", "web_graph", "--out", str(tmp_path / "out")]) == 0
    output = capsys.readouterr().out
    assert output.startswith("web_graph          skipped")
    assert "cnr-2000.npz: set MMLFAST_DATA" in output
    assert list((tmp_path / "out").iterdir()) == []


def test_imports_of_a_module_are_found(tmp_path):
    graph = importlib.import_module("mmlfast.tour.import_graph")
    package = tmp_path / "a" / "b"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").write_text("")
    text = """
import sys, os.path
import a.b.c as me, a.b.d
from . import d, something
from .. import e
from ..f import function
from .d import klass
from a.b import d as again
def inside():
    from a import *
    import unknown
"""
    (package / "c.py").write_text(text)
    (package / "__init__.py").write_text("from .c import x\nfrom .. import f")
    files = dict(graph._source_files(tmp_path))
    assert set(files) == {"a", "a.b", "a.b.c"}
    known = {"a", "a.b", "a.b.c", "a.b.d", "a.e", "a.f", "sys", "os", "os.path"}
    assert graph._imports("a.b.c", files["a.b.c"], known) == {"sys", "os.path", "a.b.d", "a.b", "a.e", "a.f", "a"}
    assert graph._imports("a.b", files["a.b"], known) == {"a.b.c", "a.f"}


def test_interrupt_of_a_kernel_gives_130(tmp_path, capsys, monkeypatch):
    def solve(a, b):
        raise KeyboardInterrupt

    monkeypatch.setattr(mf.linalg, "solve", solve)
    assert main(["--quick", "--only", "elimination", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "mmlfast: interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_interrupt_of_the_process_gives_130(tmp_path):
    command = [sys.executable, "-m", "mmlfast", "--quick", "--out", str(tmp_path)]
    command += ["--only", "transformations", "--only", "reconstruction"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
    ) as process:
        assert process.stdout.readline().startswith("transformations    ok")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=900)
    assert process.returncode == 130
    assert errors == "mmlfast: interrupted\n"
    assert "every check passed" not in output


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
