"""Parts of tools/platforms.py for systems that this machine is not: by zig (PyPI), a Clang with headers of all."""

from __future__ import annotations

import shlex
import shutil
import sysconfig
import time
from pathlib import Path

from platform_debian import debian_package, debian_source, wheels_for
from platform_part import ROOT, TEST_NEEDS, Part, part

# Of each system: the names of its wheels, whose NumPy has the headers that the bindings need.
TARGETS = {
    "aarch64-macos": ["macosx_14_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64"],
    "x86_64-macos": ["macosx_14_0_x86_64", "macosx_10_13_x86_64", "macosx_10_9_x86_64"],
    "x86_64-linux-musl": ["musllinux_1_2_x86_64"],
    "aarch64-linux-musl": ["musllinux_1_2_aarch64"],
    "x86_64-windows-gnu": ["win_amd64"],
    "wasm32-wasi": [],
}
PYTHON_FREE = ("kernels", "kernels/common", "drivers", "drivers/common", "runtime", "simd")
SYSTEM_HEADERS = ("-isystem", "-nostdinc", "-D_", "-mmacos", "-fhosted")


def zig_of(p: Part) -> tuple[Path, Path]:
    python = p.venv("ziglang", "pybind11>=3.1")
    return python, next(p.folder.glob("venv/lib/python*/site-packages/ziglang/zig"))


def clang_of(p: Part, zig: Path, target: str) -> list[str]:
    """The Clang command behind `zig c++ -target ...`: `zig c++` itself adds -c to what it is asked."""
    probe = p.folder / f"probe_{target}_{time.time_ns()}.cpp"  # of a file that it knows it says nothing
    probe.write_text(f"int at_{time.time_ns()};\n")
    said = p.run(zig, "c++", "-target", target, "-std=c++20", "-c", probe, "-o", "probe.o", ZIG_VERBOSE_CC="1")
    probe.unlink()
    words = next(line for line in said.splitlines() if " clang " in line).split()
    command = [*words[:2], "--no-default-config"]
    for i, word in enumerate(words):
        if word in ("-target", "-isystem"):
            command += [word, words[i + 1]]
        elif word.startswith(SYSTEM_HEADERS) and word != "-isystem":
            command.append(word)
    return command


def python_headers(p: Part, target: str) -> Path:
    """Python.h as that system has it. What differs is pyconfig.h, and there what Linux and macOS say differently
    decides nothing that an extension sees."""
    if "windows" not in target:
        return Path(sysconfig.get_path("include"))
    source, headers = debian_source(p, "python3.13"), p.folder / f"python-{target}"
    if not headers.exists():
        shutil.copytree(source / "Include", headers)
        shutil.copy2(source / "PC/pyconfig.h.in", headers / "pyconfig.h")
    return headers


def parse(p: Part, zig: Path, pybind: str, target: str) -> int:
    """How many sources there are, after Clang has accepted every one, with warnings as errors."""
    command = [*clang_of(p, zig, target), "-std=c++20", "-fsyntax-only", f"-I{ROOT / 'cpp'}"]
    command += ["-Wall", "-Wextra", "-Wshadow", "-Wpointer-arith", "-Werror"]
    command += ["-DMMLFAST_LEVEL=baseline", "-DMMLFAST_TABLE_LEVEL=baseline", '-DMMLFAST_VERSION="0"']
    folders = [*PYTHON_FREE]
    if target.startswith("x86_64"):
        command.append("-march=x86-64-v2")
    if target.startswith("wasm32"):
        command += ["-msimd128", "-D_WASI_EMULATED_SIGNAL", "-D_WASI_EMULATED_MMAN"]
    if "windows" in target:
        command += ["-DNOMINMAX", "-D_CRT_SECURE_NO_WARNINGS"]
    if TARGETS[target]:
        folders.append("bind")
        site = p.folder / f"numpy-{target}"
        if not site.exists():
            wheels_for(p, "313", TARGETS[target], ["numpy"], site)
        for headers in (pybind, python_headers(p, target), site / "numpy/_core/include"):
            command += ["-isystem", str(headers)]
    sources = [str(path) for folder in folders for path in sorted((ROOT / "cpp" / folder).glob("*.cpp"))]
    p.run("sh", "-c", f'printf "%s\\n" {shlex.join(sources)} | xargs -P {p.jobs} -n 1 {shlex.join(command)}')
    return len(sources)


@part("f", "macOS, musl, Windows, WebAssembly: every source, by Clang with their headers")
def other_systems(p: Part) -> str:
    python, zig = zig_of(p)
    pybind = p.run(python, "-c", "import pybind11; print(pybind11.get_include())").strip()
    return "sources: " + ", ".join(f"{target} {parse(p, zig, pybind, target)}" for target in TARGETS)


# ---- musl, built and run ----

# What Clang itself calls them; zig has names of its own, without "-".
ZIG = """#!/bin/sh
for word do
  shift
  case $word in
    -march=*) word=-mcpu=$(printf %s "${{word#-march=}}" | tr - _) ;;
  esac
  set -- "$@" "$word"
done
exec {zig} {kind} -target x86_64-linux-musl -dynamic "$@"
"""
# zig's headers are of musl 1.2.5, Debian's library may be older.
NEWER = ["ac_cv_func_preadv2=no", "ac_cv_func_pwritev2=no", "ac_cv_func_statx=no"]


def compilers(p: Part) -> tuple[str, str]:
    _, zig = zig_of(p)
    for name, kind in (("clang", "cc"), ("clang++", "c++")):
        (p.folder / name).write_text(ZIG.format(zig=zig, kind=kind))
        (p.folder / name).chmod(0o755)
    return f"{p.folder}/clang", f"{p.folder}/clang++"


def musl_library(p: Part, name: str, suite: str, *options: str) -> None:
    """What Python's own modules are linked with, of Debian's source: SciPy needs ctypes and zlib."""
    build, done = p.folder / f"build-of-{name}", p.folder / f"libraries/{name}.done"
    if not done.exists():
        shutil.rmtree(build, ignore_errors=True)
        shutil.copytree(debian_source(p, name, suite), build, symlinks=True)
        c, cxx = compilers(p)
        flags = {"CC": c, "CXX": cxx, "CFLAGS": "-O1 -fPIC"}
        if not (build / "configure").exists():
            p.run("autoreconf", "-i", cwd=build)
        p.run(build / "configure", f"--prefix={p.folder}/libraries", *options, cwd=build, **flags)
        p.run("make", f"-j{p.jobs}", "install", cwd=build, **flags)
        done.touch()


def musl_python(p: Part) -> Path:
    """A Python that is linked with musl, as wheels for Alpine Linux expect it, with those of NumPy and SciPy."""
    site, prefix = p.folder / "site", p.folder / "python"
    if not (prefix / "bin/python3.13").exists():
        build = p.folder / "build-of-python"
        build.mkdir(exist_ok=True)
        musl_library(p, "libffi", "trixie", "--disable-shared", "--disable-docs", "--disable-exec-static-tramp")
        musl_library(p, "zlib", "bookworm", "--static")
        less = ["--disable-test-modules", "--without-ensurepip", "--disable-ipv6", "OPT=-O1 -DNDEBUG -Wno-date-time"]
        c, cxx = compilers(p)
        # Of the libraries of this machine, which are linked with glibc, nothing is to be found.
        # CPython knows musl by a macro of musl's own stdarg.h, which zig's takes the place of.
        p.run(debian_source(p, "python3.13") / "configure", "-q", f"--prefix={prefix}", *less, *NEWER, f"CC={c}",
              f"CXX={cxx}", f"CPP={c} -E -D__DEFINED_va_list", cwd=build,
              PKG_CONFIG_LIBDIR=f"{p.folder}/libraries/lib/pkgconfig")  # fmt: skip
        p.run("make", "-s", f"-j{p.jobs}", "install", cwd=build)
        shutil.rmtree(p.folder / "source", ignore_errors=True)  # built for another one
        # The loader of musl 1.2.5, as zig's headers are: wheels have relocations that 1.2.3 does not know.
        loader = debian_package(p, "musl") / "usr/lib/x86_64-linux-musl/libc.so"
        p.run("patchelf", "--set-interpreter", loader, prefix / "bin/python3.13")
    if not site.exists():
        needs = ["numpy", "scipy", "pybind11", "cython", "cython-cmake", *TEST_NEEDS]
        wheels_for(p, "313", ["musllinux_1_2_x86_64"], needs, site)
    return p.script("python-musl", site, f"{prefix}/bin/python3.13")


@part("musl", "musl: Python of Debian's source and the package, built by zig, run under musl's own loader")
def musl(p: Part) -> str:
    p.packages(
        "patchelf", "make", "cmake", "ninja-build", "pkg-config", "autoconf", "automake", "libtool", "libltdl-dev"
    )
    python, source = musl_python(p), p.checkout()
    p.build(python, source, source / "build/kept", compilers(p))
    loaded = p.run(python, "-c", "import mmlfast, scipy.linalg; print(open('/proc/self/maps').read())")
    libraries = {Path(line.split()[-1]).name for line in loaded.splitlines() if "/" in line}
    if "libc.so" not in libraries or "libc.so.6" in libraries:
        raise RuntimeError(f"not musl's loader: {sorted(libraries)}")
    return f"{p.smoke(python)}; {p.bits(python, levels=('avx2', ''))}"
