"""The environment the libraries start in: no pinned kernels, one number of threads for all.

Nothing here imports NumPy: BLAS libraries read the environment when they are loaded.
"""

from __future__ import annotations

import os
import subprocess
import sys

# Settings that make a BLAS use kernels for another processor than the one it runs on: peers would look slow.
PINS = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "OPENBLAS_VERBOSE",
    "NVPL_BLAS_DEBUG_CPU_TYPE",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_CBWR",
    "BLIS_ARCH_TYPE",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
    "NUMBA_DISABLE_JIT",
    "JAX_DISABLE_JIT",
    "MMLFAST_SIMD",
    "FAISS_OPT_LEVEL",
)
# Settings that hold peers at a level below the processor's, as on a processor that has no more: --peers LEVEL.
_X86_V4 = "X86_V4 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"  # NumPy's names, new and old
LEVELS = {
    "avx2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "BLIS_ARCH_TYPE": "haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": _X86_V4,
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+movbe,+popcnt",
        "FAISS_OPT_LEVEL": "avx2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    }
}
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",  # JAX
    "MMLFAST_NUM_THREADS",
)
REMOVED = "MMLFAST_BENCH_REMOVED"  # set in the second process: the names of what the first one removed
PEERS_AT = "MMLFAST_BENCH_PEERS"  # likewise: the level that peers are held at, if at one


def available_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def restart(threads: int, simd: str | None = None, peers: str | None = None) -> None:
    """Run this program again in a clean environment, unless it already is in one.

    mmlfast at the level `simd`, the others at the level `peers`; each at its best where there is none.
    """
    if hasattr(os, "sched_setaffinity") and threads < available_cpus():
        # JAX sizes its pool from the affinity mask: the one setting that binds everybody.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    if REMOVED in os.environ:
        return
    environment = {k: v for k, v in os.environ.items() if k not in PINS}
    environment |= dict.fromkeys(THREADS, str(threads))
    if simd is not None:
        environment["MMLFAST_SIMD"] = simd
    if peers is not None:
        environment |= LEVELS[peers] | {PEERS_AT: peers}
    environment[REMOVED] = " ".join(sorted(k for k in PINS if k in os.environ))
    command = [sys.executable, *sys.orig_argv[1:]]
    sys.stdout.flush()
    if os.name == "nt":  # exec on Windows lets the shell go on before the new process has ended
        sys.exit(subprocess.run(command, env=environment).returncode)
    os.execve(sys.executable, command, environment)


def peers_level() -> str:
    return os.environ.get(PEERS_AT, "their best")


def removed_pins() -> list[str]:
    return os.environ.get(REMOVED, "").split()
