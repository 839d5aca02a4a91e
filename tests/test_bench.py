"""The benchmark harness: that it runs, shows errors, and writes what it says. No times are asserted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import rosen_der, rosen_hess

BENCH = Path(__file__).parent.parent / "bench"

NAMES = (
    "solve", "inv", "det", "qr", "tall qr", "project", "covariance", "covariances", "mean", "eigh", "eigenpair",
    "gradient", "gradients", "hessian", "taylor",
)  # fmt: skip

pytestmark = pytest.mark.skipif(not BENCH.is_dir(), reason="bench/ is in a checkout only")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH.parent))
    from bench.harness import command

    return command


def fake_job(setup: Any, *, broken: str = "", sized: bool = False) -> Any:
    from bench.harness import Job

    x = np.arange(5.0)

    def fail(_: Any) -> None:
        raise RuntimeError("broken on purpose\nsecond line")

    job = Job(lambda y: abs(float(y) - 10.0) + 0.125, "error of the sum")
    if sized:
        job.bytes, job.flops, job.limit = x.nbytes, 4, 1.0
    job.ours(fail if broken == "ours" else np.sum, x)
    job.peer("numpy add", np.add.reduce, x, axis=0)
    job.peer("numpy wrong", np.prod, x)
    if broken == "peer":
        job.peer("python", fail, x)
    assert setup.library("no_such_library") is None
    return job


def fake_case(name: str = "fake-sum", **how: Any) -> Any:
    from bench.harness import Case, Faster, Within

    goals = (Faster(1e-9, "numpy"), Faster(1e9), Faster(2, "torch"), Within(3600))
    return Case(name, "sum of five | numbers", partial(fake_job, **how), goals, family="fakes")


def run(command: ModuleType, cases: list[Any], *arguments: str) -> int:
    return int(command.main(command.parse(["--quick", *arguments]), cases))


def test_fake_case_is_shown_with_errors_goals_and_absence(
    command: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    files = [tmp_path / name for name in ("r.json", "r.md", "r.png")]
    options = [f"--{kind}={file}" for kind, file in zip(("json", "markdown", "plot"), files, strict=True)]
    assert run(command, [fake_case(sized=True)], *options) == 0
    shown = capsys.readouterr()
    for text in ("fake-sum", "10 WRONG", "no_such_library", "absent", "0.12", ">= 2x torch: not measured", "MISSED"):
        assert text in shown.out
    assert "[1/1] fake-sum" in shown.err

    record = json.loads(files[0].read_text())
    (case,) = record["cases"]
    by_name = {line["name"]: line for line in case["lines"]}
    assert case["lines"][0]["name"] == "mmlfast"
    assert by_name["mmlfast"]["error"] == 0.125
    assert by_name["numpy wrong"]["error"] == 10.125
    assert [goal["met"] for goal in case["goals"]] == [True, False, None, True, True]
    assert case["goals"][-1]["goal"] == "error <= 1"
    assert [line["name"] for line in case["lines"] if line["wrong"]] == ["numpy wrong"]
    assert case["absent"] == ["no_such_library"]
    for line in case["lines"]:
        assert line["seconds_low"] <= line["seconds"] <= line["seconds_high"]
        assert line["loops"] >= 1
        assert line["bandwidth_share"] > 0
        assert line["peak_share"] > 0
    assert record["machine"]["versions"]["numpy"] == np.__version__
    assert record["machine"]["threads"] >= 1

    markdown = files[1].read_text()
    assert "five \\| numbers" in markdown
    assert "error of the sum" in markdown
    assert files[2].read_bytes().startswith(b"\x89PNG")


def test_yardstick_is_nobodys_best_peer(command: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """It is timed and shown, without an error, and only goals that name it look at it."""
    from bench.harness import Case, Faster, Job, Share

    def job(setup: Any) -> Any:
        x = np.arange(1000.0)
        job = Job(lambda y: abs(float(y) - 499_500), "error of the sum", limit=1e-6)
        job.ours(np.sum, x)
        job.yardstick("waiting", time.sleep, 0.01)
        job.peer("numpy add", np.add.reduce, x)
        return job

    goals = (Faster(100), Share(1.5, "waiting"), Share(0.5, "nothing"))
    assert run(command, [Case("sum", "sum", job, goals)]) == 0
    out = capsys.readouterr().out
    assert ">= 100x the best peer: MISSED" in out
    assert ">= 150% of waiting: met" in out
    assert ">= 50% of nothing: not measured" in out
    assert "versions" in out
    assert "yardstick unknown" not in out


def test_failing_peer_is_listed_and_the_others_go_on(command: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, [fake_case(broken="peer"), fake_case("second")]) == 1
    shown = capsys.readouterr().out
    assert "RuntimeError: broken on purpose" in shown
    assert "second" in shown


def test_our_own_failure_is_a_failed_case(
    command: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    target = tmp_path / "r.md"
    assert run(command, [fake_case(broken="ours")], f"--markdown={target}") == 1
    assert "failed: 1" in capsys.readouterr().out
    assert "broken on purpose" in target.read_text()


def test_interrupt_prints_what_is_done(command: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from bench.harness import Case

    def interrupt(setup: Any) -> Any:
        raise KeyboardInterrupt

    target = tmp_path / "r.json"
    assert run(command, [fake_case(), Case("never", "", interrupt)], f"--json={target}") == 130
    assert "fake-sum" in capsys.readouterr().out
    assert [case["name"] for case in json.loads(target.read_text())["cases"]] == ["fake-sum"]


def test_swallowed_interrupt_is_not_lost(command: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Numba's compiler drops the exception when Ctrl-C arrives in its callback; here the case itself does."""
    from bench.harness import Case, Job

    def swallow(setup: Any) -> Any:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        job = Job()
        job.ours(time.sleep, 0)
        return job

    before = signal.getsignal(signal.SIGINT)
    assert run(command, [fake_case(), Case("swallows", "", swallow), fake_case("late")]) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert "late" not in capsys.readouterr().out


def test_choice_of_cases(command: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [fake_case("solve-1"), fake_case("solve-2"), replace(fake_case("other"), slow=True, family="elimination")]

    def names(only: list[str] | None, quick: bool) -> list[str]:
        return [case.name for case in command.chosen(cases, only, quick)]

    assert names(None, False) == ["solve-1", "solve-2", "other"]
    assert names(None, True) == ["solve-1", "solve-2"]
    assert names(["solve-*"], False) == ["solve-1", "solve-2"]
    assert names(["elimination"], True) == ["other"]
    assert run(command, cases, "--only", "nothing") == 2
    assert run(command, cases, "--list") == 0
    assert "solve-1" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--threads=0"], ["--threads=100000"], ["--json=no/such/folder/r.json"]])
def test_bad_arguments_are_refused(command: ModuleType, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command.parse(arguments)
    assert stop.value.code == 2


def test_ratios_are_of_pairs(command: ModuleType) -> None:
    """Self-timed contestants with known times: the ratio is theirs over ours, and loops are divided out."""
    from bench.harness import Job
    from bench.harness.timing import Effort, measure, quartiles

    job = Job()
    for name, seconds in (("mmlfast", 0.5), ("slow", 1.0), ("fast", 0.25)):
        job.peer(name, lambda seconds=seconds: seconds)
        job.contestants[-1].timed = True
    ours, slow, fast = measure(job.contestants, Effort(pairs=5, most=6, budget=0.0, rest=0.0))
    assert slow.ratios == [2.0] * 5
    assert fast.ratios == [0.5] * 5
    assert ours.seconds == [0.5] * 10
    assert quartiles([4.0, 1.0, 2.0, 3.0, 5.0]) == (2.0, 3.0, 4.0)


def test_calls_are_compiled_as_they_stand(command: ModuleType) -> None:
    from bench.harness import Job

    seen: list[tuple[Any, ...]] = []
    job = Job()
    job.peer("numpy", lambda *args, **kwargs: seen.append((args, kwargs)), 1, "two", axis=3)
    assert job.contestants[0].stopwatch()(4) >= 0
    assert seen == [((1, "two"), {"axis": 3})] * 4


def answers() -> dict[str, tuple[Any, Any]]:
    """By name: an error function of the cases, and a right answer for it, from NumPy."""
    from bench.cases import (
        autodiff,
        autodiff_hessian,
        autodiff_taylor,
        covariance,
        elimination,
        gram_schmidt,
        power_iteration,
        projection,
    )

    rng = np.random.default_rng(0)
    a, b, x = rng.standard_normal((20, 4, 4)), np.ones((20, 4, 1)), rng.standard_normal((700, 4)) + 2.0
    symmetric = a + a.swapaxes(1, 2)
    q = np.linalg.qr(a[0, :, :2])[0]
    groups = x.reshape(7, 100, 4)
    slopes = autodiff.exact_gradient(autodiff.rosenbrock(np), x.T).T
    curvatures = autodiff_hessian.exact_hessians(x[:1])[0]
    sine, cosine = np.sin(0.3), np.cos(0.3)
    coefficients = np.exp(sine) * np.array([1.0, cosine, (cosine**2 - sine) / 2])
    group_covariances = np.array([np.cov(g, rowvar=False) for g in groups])
    return {
        "solve": (partial(elimination.solve_error, a, b), np.linalg.solve(a, b)),
        "inv": (partial(elimination.inv_error, a), np.linalg.inv(a)),
        "det": (partial(elimination.det_error, a), np.linalg.det(a)),
        "qr": (gram_schmidt.orthogonality, np.linalg.qr(a)),
        "tall qr": (gram_schmidt.orthogonality, np.linalg.qr(x)),
        "project": (partial(projection.projection_error, x, a[0, :, :2], None), x @ q @ q.T),
        "covariance": (partial(covariance.covariance_error, covariance.reference(x)), np.cov(x, rowvar=False)),
        "covariances": (partial(covariance.groups_error, groups), group_covariances),
        "mean": (partial(covariance.mean_error, x), x.mean(axis=0)),
        "eigh": (partial(power_iteration.residual, symmetric), np.linalg.eigh(symmetric)),
        "gradient": (partial(autodiff.gradient_error, slopes[0]), rosen_der(x[0])),
        "gradients": (partial(autodiff.gradient_error, slopes), rosen_der(x.T).T),
        "hessian": (partial(autodiff_hessian.hessian_error, curvatures), rosen_hess(x[0])),
        "taylor": (
            partial(autodiff_taylor.coefficients_error, autodiff_taylor.exact_coefficients(np.array(0.3), 2)),
            coefficients,
        ),
        "eigenpair": (partial(power_iteration.residual, symmetric[0]), power_iteration.plain(symmetric[0])),
    }


@pytest.mark.parametrize("name", NAMES)
def test_error_functions_see_wrong_answers(command: ModuleType, name: str) -> None:
    """The errors in the tables would show a contestant that is wrong in the seventh digit of one number."""
    error, right = answers()[name]
    parts = [np.array(part) for part in right] if isinstance(right, tuple) else [np.array(right)]
    wrong = [part.copy() for part in parts]
    wrong[0].reshape(-1)[-1] *= 1 + 1e-7

    def whole(parts: list[Any]) -> Any:
        return tuple(parts) if isinstance(right, tuple) else parts[0]

    small = error(whole(parts))
    assert np.isfinite(small)
    assert error(whole(wrong)) > max(1000 * small, 1e-9)


def test_training_is_the_same_for_everybody(command: ModuleType) -> None:
    """The reference pass, ours and scikit-learn's end at the same weights."""
    neural_network = pytest.importorskip("sklearn.neural_network")
    from bench.cases import backprop

    for sizes, output in (([2, 3, 2], "identity"), ([5, 4, 3], "softmax")):
        task = backprop.Task(sizes, 16, 4, output, np.float64, np.random.default_rng(0))
        assert task.error([w for w, _ in task.layers]) > 1e-3
        for epoch in (backprop.ours(task), backprop.with_sklearn(task, neural_network)):
            assert task.error(epoch()) < 1e-10


def test_real_case_in_a_fresh_process(tmp_path: Path) -> None:
    """As a user runs it; pins are removed before NumPy is loaded, and what was removed is recorded."""
    target = tmp_path / "r.json"
    subprocess.run(
        [sys.executable, str(BENCH / "run.py"), "--quick", "--only", "import", "--threads", "1", "--json", str(target)],
        env=os.environ | {"OPENBLAS_CORETYPE": "Prescott"},
        check=True,
        capture_output=True,
    )
    record = json.loads(target.read_text())
    assert "OPENBLAS_CORETYPE" in record["machine"]["removed from the environment"]
    assert record["machine"]["threads"] == 1
    assert not any("Prescott" in text for text in record["machine"]["blas"])
    assert {line["name"] for line in record["cases"][0]["lines"]} == {"mmlfast", "numpy"}


def test_curve(command: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every curve is timed beside NumPy, its error is small, and both files are written."""
    from bench.harness import curve

    offered = [c.name for c in curve.CURVES]
    options = SimpleNamespace(only=offered, sizes="1-2,33", dtype="float32", pairs=1, json=None, plot=None)
    options.json = tmp_path / "c.json"
    assert curve.run(options, 1) == 0
    out = capsys.readouterr().out
    assert len([line for line in out.splitlines() if " n = 33, float32" in line]) == len(offered)
    records = json.loads(options.json.read_text())["cases"]
    assert len(records) == 3 * len(offered)
    for record in records:
        ours = record["lines"][0]
        assert ours["name"] == "mmlfast"
        assert ours["error"] < 30, record["name"]
    options.only, options.json, options.plot = offered[:2], None, tmp_path / "c.png"
    assert curve.run(options, 1) == 0
    assert options.plot.stat().st_size > 4000


def test_curve_sizes(command: ModuleType) -> None:
    from bench.harness import curve

    assert curve.parse_sizes("1-4,7,64-65") == (1, 2, 3, 4, 7, 64, 65)
    assert curve.parse_sizes(None) == curve.SIZES


def test_stored_results_come_back(command: ModuleType, tmp_path: Path) -> None:
    from bench.harness import report
    from bench.harness.run_case import Line, Result

    line = Line("mmlfast", 1e-6, 1e-6, 2e-6, 5, 10, 0.5)
    peer = Line("numpy", 4e-6, 4e-6, 5e-6, 5, 10, 0.7, ratio=4.0, ratio_low=3.5, ratio_high=4.5)
    result = Result("solve-one", "solve, one", "solve", lines=[line, peer], goals=[("4x numpy", True)])
    report.write_json(tmp_path / "r.json", [result], {"processor": "P", "simd": "avx2", "threads": 2})
    results, machine = report.read_json(tmp_path / "r.json")
    assert results == [result]
    assert machine["processor"] == "P"
    assert any("**4x** (3.5 .. 4.5)" in row for row in report.summary(results, "##"))


def test_page_of_measurements_is_what_the_stored_ones_give(command: ModuleType) -> None:
    from bench import page

    _, _, shown = (page.DOCS / "benchmarks.md").read_text(encoding="utf-8").partition(page.HEADING)
    stored = list((page.DOCS / "measured").glob("*.json"))
    assert not stored or shown == page.measured()


def test_many_threads(command: ModuleType, tmp_path: Path) -> None:
    """Blocks are claimed in their order by whoever is free; times are read on from where the last reading ended."""
    from bench import threads

    assert threads.makespan([3, 3, 2, 2], 2) == 5
    assert threads.makespan([1, 1, 1, 9], 3) == 10
    assert threads.makespan([4], 16) == 4
    times = threads.BlockTimes(tmp_path / "times.txt")
    assert times.new() == []
    times.path.write_text("5 7 13\n")
    assert times.new() == [[5, 7, 13]]
    with times.path.open("a") as file:
        file.write("1 2\n3 4\n")
    assert times.new() == [[1, 2], [3, 4]]
    assert times.new() == []
