"""Parts of tools/platforms.py that take something of Debian: a newer system, Python's source, another processor."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from platform_part import BUILD_NEEDS, STRICT, TEST_NEEDS, Part, last_line, part, test_needs, usual_python

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
OLD = 'Acquire::Check-Valid-Until "false"'  # a mirror may stand still; signatures are checked all the same


def debian_mirror(p: Part) -> str:
    if "ID=debian" not in Path("/etc/os-release").read_text():
        return "http://deb.debian.org/debian"
    return p.run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").splitlines()[0]


def other_debian(p: Part, folder: Path, suite: str, kind: str) -> list[str]:
    """apt-get for a release of Debian that this machine need not be of; kind: deb or deb-src."""
    p.packages("debian-archive-keyring", "xz-utils", "dpkg-dev")
    for needed in ("lists/partial", "cache/archives/partial", "unpacked.part"):
        (folder / needed).mkdir(parents=True, exist_ok=True)
    (folder / "source.list").write_text(f"{kind} [signed-by={KEYRING}] {debian_mirror(p)} {suite} main\n")
    options = {"Dir::Etc::SourceList": folder / "source.list", "Dir::Etc::SourceParts": "/dev/null",
               "Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache"}  # fmt: skip
    apt = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in options.items())]
    p.run(*apt, "update")
    return apt


def debian_source(p: Part, name: str, suite: str = "trixie") -> Path:
    """The unpacked source of a package."""
    folder = p.work / "sources" / name
    if not (folder / "unpacked").exists():
        p.run(*other_debian(p, folder, suite, "deb-src"), "source", "--download-only", name, cwd=folder)
        # Beside it there may be its signature.
        (packed,) = (path for path in folder.glob(f"{name}_*.orig.tar.*") if path.suffix in (".bz2", ".gz", ".xz"))
        p.run("tar", "xf", packed, "--strip-components=1", "-C", folder / "unpacked.part")
        (folder / "unpacked.part").rename(folder / "unpacked")
    return folder / "unpacked"


def debian_package(p: Part, name: str, suite: str = "trixie") -> Path:
    """The files of a package, beside those of this machine."""
    folder = p.work / "packages" / name
    if not (folder / "unpacked").exists():
        p.run(*other_debian(p, folder, suite, "deb"), "download", name, cwd=folder)
        (packed,) = folder.glob(f"{name}_*.deb")
        p.run("dpkg", "-x", packed, folder / "unpacked.part")
        (folder / "unpacked.part").rename(folder / "unpacked")
    return folder / "unpacked"


def chroot(p: Part, suite: str, *packages: str) -> tuple[Path, Callable[..., str]]:
    """A Debian of its own, and what runs a command in it."""
    p.packages("mmdebstrap", "ca-certificates", "debian-archive-keyring")
    root = p.folder / suite
    if not (root / "usr/bin/apt-get").exists():
        p.run("mmdebstrap", "--variant=minbase", "--include=ca-certificates", "--components=main",
              f"--keyring={KEYRING}", f"--aptopt={OLD}", suite, root, debian_mirror(p))  # fmt: skip
    for name in ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(f"/{name}", root / name)

    def inside(command: str, allowed: tuple[int, ...] = (0,)) -> str:
        mounts = "for i in proc dev sys; do mount --bind /$i $i; done; "  # in a namespace: they end with it
        return p.run("unshare", "--mount", "sh", "-c", f"{mounts} exec chroot . env -u PIP_FIND_LINKS HOME=/root "
                     f"PATH=/usr/sbin:/usr/bin:/sbin:/bin CCACHE_DIR=/ccache sh -ec {shlex.quote(command)}",
                     cwd=root, allowed=allowed)  # fmt: skip

    inside("apt-get update -q && apt-get install -y -q --no-install-recommends " + shlex.join(packages))
    return root, inside


@part("a", "the newest Python and GCC of Debian, whole suite")
def newest(p: Part) -> str:
    root, inside = chroot(p, "sid", "g++", "python3-dev", "python3-venv", "git", "ccache")
    p.checkout(root / "src")
    versions = inside("python3 --version; g++ -dumpfullversion").split()
    build = f"--no-build-isolation {STRICT} --config-settings=build-dir=/src/build/kept"
    inside("test -e /v || python3 -m venv /v; /v/bin/pip install -q " + shlex.join(BUILD_NEEDS))
    inside(f"export CMAKE_CXX_COMPILER_LAUNCHER=ccache; /v/bin/pip install -q {build} '/src[test]'")
    numpy = inside("/v/bin/python -c 'import numpy, scipy; print(numpy.__version__, scipy.__version__)'").split()
    inside("MMLFAST_SIMD=avx2 /v/bin/python /src/tools/bits.py > /bits.txt")
    bits = p.compared(root / "bits.txt")
    found = p.counted(inside("cd /src && /v/bin/python -m pytest -q -p no:cacheprovider", allowed=(0, 1)))
    with_what = f"Python {versions[1]}, GCC {versions[2]}, NumPy {numpy[0]}, SciPy {numpy[1]}"
    return f"{with_what}: {found}; bits {bits}"


@part("b", "a Python without the GIL, built from Debian's source, whole suite")
def free_threaded(p: Part) -> str:
    p.packages("g++", "make", "zlib1g-dev", "libssl-dev", "libffi-dev", "libbz2-dev", "liblzma-dev")
    python = p.folder / "python/bin/python3.13t"
    if not python.exists():
        build = p.folder / "build-of-python"
        build.mkdir(exist_ok=True)
        p.run(debian_source(p, "python3.13") / "configure", "-q", f"--prefix={p.folder}/python", "--disable-gil",
              "--disable-test-modules", "--with-ensurepip=install", "OPT=-O1 -DNDEBUG", cwd=build)  # fmt: skip
        p.run("make", "-s", f"-j{p.jobs}", "install", cwd=build)
    ours = p.venv(python=python)
    # The newest of what is large, or in Rust, may have no wheel for it any more, and would be compiled.
    pip = (ours, "-m", "pip", "install", "-q", f"--only-binary={LARGE}")
    p.run(*pip, *BUILD_NEEDS, *TEST_NEEDS)
    missing = [name for name in test_needs() if "ERROR" in p.run(*pip, name, allowed=(0, 1))]
    source = p.checkout()
    p.install(ours, source, CC="cc", CXX="c++")
    told = p.run(ours, "-W", "error", "-c", "import sys, platform, mmlfast, mmlfast._core, mmlfast._lapack as _; "
                 "assert not sys._is_gil_enabled(); print(platform.python_version())")  # fmt: skip
    hammer = last_line(p.run(ours, source / "tools/hammer.py"))
    # A library of the tests that says nothing of threads would switch the GIL on for all.
    found = p.suite(ours, cwd=source, PYTHON_GIL="0")
    return f"Python {told.strip()}t; {hammer}; {found}; no wheel of {', '.join(missing) or 'nothing'}"


LARGE = "numpy,scipy,scikit-learn,pandas,matplotlib,hypothesis,polars,polars-runtime-32,polars-runtime-compat"

ARM_PACKAGES = [
    "python3.11", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libpython3.11-dev",
    "libc6", "libstdc++6", "libgcc-s1", "zlib1g", "libexpat1", "libffi8", "libssl3", "libbz2-1.0", "liblzma5",
    "libsqlite3-0", "libuuid1", "libtinfo6", "libncursesw6", "libreadline8", "libcrypt1",
]  # fmt: skip
ARM_TESTS = ["tests/test_elimination.py", "tests/test_pagerank.py", "tests/test_eigen.py"]


def arm_python(p: Part) -> Path:
    """Debian's Python for aarch64, run by QEMU, with NumPy, SciPy and what tests need."""
    root, site = p.folder / "root", p.folder / "site"
    if not (root / "usr/include/python3.11/aarch64-linux-gnu").exists():
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
    return p.script("python-arm", site, f"qemu-aarch64 -L {root} {root}/usr/bin/python3.11")


@part("d", "aarch64, cross compiled, emulated")
def aarch64(p: Part) -> str:
    p.packages("g++-aarch64-linux-gnu", "qemu-user", "cmake", "ninja-build")
    python, source = arm_python(p), p.checkout()
    p.build(python, source, p.folder / "build", ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++"),
            "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
            "-DCMAKE_CROSSCOMPILING_EMULATOR=/usr/bin/env")  # fmt: skip
    said = p.smoke(python)
    # Under emulation the products of NumPy's BLAS leave flags, of which NumPy warns: its own affair.
    flags = ("-W", "ignore:divide by zero encountered in matmul:RuntimeWarning")
    which = ("-k", "test_every_size or test_singular_item or test_error_of_one or test_eig")
    tests = p.suite(python, more=(*flags, *ARM_TESTS, *which), cwd=source)
    return f"{said}; selected tests {tests}; {p.bits(python, levels=('',))}"


@part("e", "a processor of 2008, emulated")
def old_processor(p: Part) -> str:
    p.packages("qemu-user")
    emulated = ("qemu-x86_64", "-cpu", "Nehalem", usual_python(p))
    level = p.run(*emulated, "-c", "import mmlfast; c = mmlfast.show_config(mode='dicts'); "
                  "assert c['SIMD detected'] == c['SIMD in use'] == 'baseline'; print(c['SIMD in use'])")  # fmt: skip
    return f"level {level.strip()}, {p.smoke(*emulated)}"


def wheels_for(p: Part, version: str, platforms: list[str], names: list[str], to: Path) -> None:
    """Unpacked wheels of another platform."""
    asked = [word for platform in platforms for word in ("--platform", platform)]
    packed, unpacked = p.folder / "wheels", to.with_name(to.name + ".part")
    shutil.rmtree(packed, ignore_errors=True)
    p.run(sys.executable, "-m", "pip", "download", "-q", "-d", packed, "--only-binary=:all:",
          "--python-version", version, *asked, *names)  # fmt: skip
    for wheel in packed.glob("*.whl"):
        shutil.unpack_archive(wheel, unpacked, "zip")
    unpacked.rename(to)
    shutil.rmtree(packed)
