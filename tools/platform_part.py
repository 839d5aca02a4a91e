"""What the parts of tools/platforms.py work with: a folder, commands, a log; and the build of this machine itself."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STRICT = "--config-settings=cmake.define.MMLFAST_WARNINGS_AS_ERRORS=ON"
BUILD_NEEDS = ["numpy>=2", "scipy>=1.13", "pybind11>=3.1", "cython>=3.1", "cython-cmake>=0.2", "scikit-build-core>=1.0"]
BUILD_NEEDS += ["cmake", "ninja"]
TEST_NEEDS = ["pytest>=8", "hypothesis", "mpmath", "threadpoolctl", "scipy-doctest>=2"]
SMOKE = "tests/test_wheel_smoke.py"

PARTS: dict[str, tuple[str, Callable[[Part], str]]] = {}


def part(name: str, title: str) -> Callable[[Callable[[Part], str]], Callable[[Part], str]]:
    def keep(function: Callable[[Part], str]) -> Callable[[Part], str]:
        PARTS[name] = (title, function)
        return function

    return keep


class Part:
    """What a part works with: its folder, its commands, its log."""

    def __init__(self, name: str, work: Path, jobs: int) -> None:
        self.name, self.work, self.jobs = name, work.resolve(), jobs
        self.folder = self.work / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "log.txt"
        self.log.write_text("")
        self.faults: list[str] = []  # what came out otherwise than it should, and did not stop the part

    def run(
        self, *command: str | Path, cwd: Path | None = None, allowed: tuple[int, ...] = (0,), **environment: str
    ) -> str:
        """The output of a command, which is in the log too. RuntimeError with the end of it if it fails."""
        words = [str(word) for word in command]
        # A kernel of OpenBLAS that is forced by the environment would be run by emulated processors too.
        without = ("MMLFAST_SIMD", "MMLFAST_NUM", "OPENBLAS_", "PYTHONPATH")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(without)}
        with self.log.open("a") as log:
            log.write(f"\n$ {shlex.join(words)}\n")
            log.flush()
            begin = log.tell()
            code = subprocess.run(
                words, cwd=cwd or self.folder, env=kept | {"CMAKE_BUILD_PARALLEL_LEVEL": str(self.jobs)} | environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False,
            ).returncode  # fmt: skip
        with self.log.open(errors="replace") as log:
            log.seek(begin)
            said = log.read()
        if code not in allowed:
            raise RuntimeError(f"{shlex.join(words)[:200]}: exit code {code}\n{said[-2000:]}")
        return said

    def packages(self, *names: str) -> None:
        """Debian packages of this machine."""
        installed = {path.stem.split(":")[0] for path in Path("/var/lib/dpkg/info").glob("*.list")}
        missing = [name for name in names if name not in installed]
        if missing:
            self.run("apt-get", "update", "-q")
            self.run("apt-get", "install", "-y", "-q", "--no-install-recommends", *missing)

    def checkout(self, to: Path | None = None) -> Path:
        """What a fresh clone would hold, and the folder `build` of the last time."""
        to = to or self.folder / "source"
        to.mkdir(parents=True, exist_ok=True)
        for old in to.iterdir():
            if old.name != "build":
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for name in tracked(self):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
        return to

    def venv(self, *needs: str, python: str | Path = sys.executable, name: str = "venv") -> Path:
        """The Python of a virtual environment of this part."""
        folder = self.folder / name
        if not (folder / "bin/python").exists():
            self.run(python, "-m", "venv", folder)
        if needs:
            self.run(folder / "bin/python", "-m", "pip", "install", "-q", *needs)
        return folder / "bin/python"

    def script(self, name: str, site: Path, interpreter: str) -> Path:
        """A Python that sees what this part has built, and the packages in `site`."""
        python = self.folder / name
        python.write_text(f'#!/bin/sh\nexport PYTHONPATH={self.folder}/built:{site}\nexec {interpreter} "$@"\n')
        python.chmod(0o755)
        return python

    def build(self, python: Path, source: Path, to: Path, compilers: tuple[str, str], *options: str) -> None:
        """By compilers of C and C++ for another system, with the Python of `script`, which then sees it."""
        settings = {
            "CMAKE_BUILD_TYPE": "Release", "MMLFAST_WARNINGS_AS_ERRORS": "ON", "CMAKE_C_COMPILER": compilers[0],
            "CMAKE_CXX_COMPILER": compilers[1], "Python_EXECUTABLE": python,
            "pybind11_DIR": f"{self.folder}/site/pybind11/share/cmake/pybind11",
        }  # fmt: skip
        said = [f"-D{name}={value}" for name, value in settings.items()]
        # Afresh: the Python may be another than the last time.
        self.run("cmake", "--fresh", "-S", source, "-B", to, "-G", "Ninja", *said, *options)
        # Cython reads SciPy's declarations, which are to be those of the SciPy that will be called.
        declarations = self.folder / "declarations"
        declarations.mkdir(exist_ok=True)
        if not (declarations / "scipy").exists():
            (declarations / "scipy").symlink_to(self.folder / "site/scipy")
        self.run("cmake", "--build", to, f"-j{self.jobs}", PYTHONPATH=str(declarations))
        built = self.folder / "built/mmlfast"
        shutil.rmtree(built, ignore_errors=True)
        shutil.copytree(source / "src/mmlfast", built)
        for module in to.glob("*.so"):
            shutil.copy2(module, built)

    def install(self, python: str | Path, source: Path, *more: str, **environment: str) -> None:
        """Of a checkout, in an environment with what the build needs. The next time only what changed is compiled."""
        self.run(python, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--force-reinstall", source,
                 STRICT, f"--config-settings=build-dir={source}/build/kept", *more, **environment)  # fmt: skip

    def smoke(self, *python: str | Path, **environment: str) -> str:
        """The words of pyproject.toml and of .ci/run: the file alone, without conftest.py."""
        alone = self.folder / "alone"
        alone.mkdir(exist_ok=True)
        shutil.copy2(ROOT / SMOKE, alone)
        name = Path(SMOKE).name
        found = self.run(*python, "-m", "pytest", "-q", "-p", "no:cacheprovider", name, cwd=alone, **environment)
        return "smoke test " + last_line(found)

    def bits(self, *python: str | Path, levels: tuple[str, ...] = ("avx2",)) -> str:
        """The hashes of this build at some SIMD levels ("": the best that there is) beside those of the usual one."""
        said = []
        for level in levels:
            own = self.folder / f"bits_{level or 'best'}.txt"
            own.write_text(self.run(*python, ROOT / "tools/bits.py", **({"MMLFAST_SIMD": level} if level else {})))
            said.append(f"{level or 'best level'} {self.compared(own)}")
        return "bits: " + "; ".join(said)

    def compared(self, own: Path) -> str:
        # The baseline has no fused multiply-add; all other levels have the bits of AVX2.
        level = "baseline" if own.stem.endswith("baseline") else "avx2"
        python, usual = usual_python(self), self.work / f"usual/bits_of_{level}.txt"
        if not usual.exists():
            usual.write_text(self.run(python, ROOT / "tools/bits.py", MMLFAST_SIMD=level))
        said = self.run(python, ROOT / "tools/bits.py", "--compare", usual, own, allowed=(0, 1)).strip().splitlines()
        if len(said) > 1 or not said[0].endswith("others: []"):
            self.faults.append("bits that should be equal differ")
        return " ".join(said)[:600]

    def suite(self, *python: str | Path, cwd: Path, more: tuple[str, ...] = (), **environment: str) -> str:
        """The whole suite."""
        ask = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *more)
        return self.counted(self.run(*python, *ask, cwd=cwd, allowed=(0, 1), **environment))

    def counted(self, said: str) -> str:
        """The last line of pytest. Tests that failed are named; they do not stop the part."""
        self.faults += [line.split(" - ")[0] for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
        last = last_line(said)
        if " passed" not in last:  # a sanitizer ends the process, whatever the exit code says then
            raise RuntimeError(f"pytest did not come to its end:\n{said[-2000:]}")
        return last


def test_needs() -> list[str]:
    """The extra `test`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return list(project["optional-dependencies"]["test"])


def tracked(p: Part) -> list[str]:
    names = p.run(
        "git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT
    )
    return [name for name in names.splitlines() if (ROOT / name).is_file()]


def last_line(text: str) -> str:
    return next((line.strip(" =") for line in reversed(text.splitlines()) if line.strip()), "")


def usual_python(p: Part) -> Path:
    """The usual build, of this machine's Python and compiler, from the sources as they are now."""
    total = hashlib.sha256()
    for name in tracked(p):
        if name.startswith(("cpp/", "src/", "cmake/", "CMakeLists", "pyproject")):
            total.update(f"{name}\n".encode() + (ROOT / name).read_bytes())
    usual = Part("usual", p.work, p.jobs) if p.name != "usual" else p
    built = usual.folder / "built.txt"
    python = usual.venv()
    if not built.exists() or built.read_text() != total.hexdigest():
        for bits in usual.folder.glob("bits_of_*.txt"):
            bits.unlink()
        usual.venv(*BUILD_NEEDS, "pytest>=8")
        usual.install(python, usual.checkout(), CC="cc", CXX="c++")  # by the names that CMake itself would choose
        built.write_text(total.hexdigest())
    return python
