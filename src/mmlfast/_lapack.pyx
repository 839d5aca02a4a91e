# cython: language_level=3, embedsignature=False, freethreading_compatible=True
"""Addresses of SciPy's LAPACK for the C++ core: one table in a capsule, no linking to any LAPACK.

Each wrapper takes 64-bit sizes, converts them to the integer type of SciPy's build and calls the Fortran routine of
the type `real`. The drivers have checked that the sizes fit.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t, uintptr_t
from libcpp cimport bool as cbool
from scipy.linalg cimport cython_lapack as lp

from mmlfast._blas_threads import addresses as blas_thread_addresses

include "_blas_int.pxi"

ctypedef fused real:
    double
    float


cdef extern from "runtime/lapack_table.hpp" namespace "mmlfast" nogil:
    cdef cppclass Routines "mmlfast::LapackRoutines"[T]:
        int64_t (*geqrf)(int64_t, int64_t, T*, T*, T*, int64_t) noexcept nogil
        int64_t (*orgqr)(int64_t, int64_t, int64_t, T*, const T*, T*, int64_t) noexcept nogil
        int64_t (*ormqr)(cbool, int64_t, int64_t, int64_t, const T*, const T*, T*, T*, int64_t) noexcept nogil
        int64_t (*geqp3)(int64_t, int64_t, T*, void*, T*, T*, int64_t) noexcept nogil
        int64_t (*gelsd)(int64_t, int64_t, int64_t, T*, T*, T*, T, int64_t*, T*, int64_t, void*) noexcept nogil
        int64_t (*lasdq)(cbool, int64_t, T*, T*, T*, int64_t, T*, int64_t, T*) noexcept nogil
        int64_t (*gesdd)(char, int64_t, int64_t, T*, T*, T*, T*, T*, int64_t, void*) noexcept nogil
        int64_t (*index)(const void*, int64_t) noexcept nogil
    cdef struct LapackTable:
        int version
        Routines[double] f64
        Routines[float] f32
        int (*get_blas_threads)() noexcept nogil
        void (*set_blas_threads)(int) noexcept nogil
    cdef int CURRENT_VERSION "mmlfast::LapackTable::current_version"


cdef int64_t pivot_index(const void* pivots, int64_t i) noexcept nogil:
    return (<const blas_int*> pivots)[i] - 1


cdef int64_t geqrf(int64_t m, int64_t n, real* a, real* tau, real* work, int64_t lwork) noexcept nogil:
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, length = <blas_int> lwork, info = 0
    if real is double:
        lp.dgeqrf(&rows, &columns, a, &rows, tau, work, &length, &info)
    else:
        lp.sgeqrf(&rows, &columns, a, &rows, tau, work, &length, &info)
    return info


cdef int64_t orgqr(
    int64_t m, int64_t n, int64_t k, real* a, const real* tau, real* work, int64_t lwork
) noexcept nogil:
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, count = <blas_int> k, length = <blas_int> lwork
    cdef blas_int info = 0
    if real is double:
        lp.dorgqr(&rows, &columns, &count, a, &rows, <double*> tau, work, &length, &info)
    else:
        lp.sorgqr(&rows, &columns, &count, a, &rows, <float*> tau, work, &length, &info)
    return info


cdef int64_t ormqr(
    cbool transposed, int64_t m, int64_t n, int64_t k, const real* a, const real* tau, real* c, real* work,
    int64_t lwork
) noexcept nogil:
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, count = <blas_int> k, length = <blas_int> lwork
    cdef blas_int info = 0
    cdef char* trans = b"T" if transposed else b"N"
    if real is double:
        lp.dormqr(b"L", trans, &rows, &columns, &count, <double*> a, &rows, <double*> tau, c, &rows, work, &length,
                  &info)
    else:
        lp.sormqr(b"L", trans, &rows, &columns, &count, <float*> a, &rows, <float*> tau, c, &rows, work, &length,
                  &info)
    return info


cdef int64_t geqp3(
    int64_t m, int64_t n, real* a, void* jpvt, real* tau, real* work, int64_t lwork
) noexcept nogil:
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, length = <blas_int> lwork, info = 0
    if real is double:
        lp.dgeqp3(&rows, &columns, a, &rows, <blas_int*> jpvt, tau, work, &length, &info)
    else:
        lp.sgeqp3(&rows, &columns, a, &rows, <blas_int*> jpvt, tau, work, &length, &info)
    return info


cdef int64_t gelsd(
    int64_t m, int64_t n, int64_t nrhs, real* a, real* b, real* s, real rcond, int64_t* rank, real* work,
    int64_t lwork, void* iwork
) noexcept nogil:
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, right = <blas_int> nrhs, length = <blas_int> lwork
    cdef blas_int ldb = max(rows, columns, 1), found = 0, info = 0
    if real is double:
        lp.dgelsd(&rows, &columns, &right, a, &rows, b, &ldb, s, &rcond, &found, work, &length, <blas_int*> iwork,
                  &info)
    else:
        lp.sgelsd(&rows, &columns, &right, a, &rows, b, &ldb, s, &rcond, &found, work, &length, <blas_int*> iwork,
                  &info)
    rank[0] = found
    return info


cdef int64_t lasdq(
    cbool wide, int64_t n, real* d, real* e, real* vt, int64_t ldvt, real* u, int64_t ldu, real* work
) noexcept nogil:
    cdef blas_int order = <blas_int> n, more = 1 if wide else 0, columns = order + more, none = 0, one = 1, info = 0
    cdef blas_int vt_step = <blas_int> ldvt, u_step = <blas_int> ldu
    cdef blas_int right = none if vt == NULL else columns, left = none if u == NULL else order
    cdef real nothing[1]
    if real is double:
        lp.dlasdq(
            b"U", &more, &order, &right, &left, &none, d, e, vt, &vt_step, u, &u_step, nothing, &one, work, &info
        )
    else:
        lp.slasdq(
            b"U", &more, &order, &right, &left, &none, d, e, vt, &vt_step, u, &u_step, nothing, &one, work, &info
        )
    return info


cdef int64_t gesdd(
    char job, int64_t m, int64_t n, real* a, real* s, real* u, real* vt, real* work, int64_t lwork, void* iwork
) noexcept nogil:
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, length = <blas_int> lwork, info = 0
    cdef blas_int ldvt = columns if job == b"A" else max(min(rows, columns), 1)
    if real is double:
        lp.dgesdd(&job, &rows, &columns, a, &rows, s, u, &rows, vt, &ldvt, work, &length, <blas_int*> iwork, &info)
    else:
        lp.sgesdd(&job, &rows, &columns, a, &rows, s, u, &rows, vt, &ldvt, work, &length, <blas_int*> iwork, &info)
    return info


cdef void fill(Routines[real]* routines) noexcept:
    routines.geqrf = geqrf[real]
    routines.orgqr = orgqr[real]
    routines.ormqr = ormqr[real]
    routines.geqp3 = geqp3[real]
    routines.gelsd = gelsd[real]
    routines.lasdq = lasdq[real]
    routines.gesdd = gesdd[real]
    routines.index = pivot_index


cdef LapackTable table
table.version = CURRENT_VERSION
fill[double](&table.f64)
fill[float](&table.f32)

get_threads, set_threads = blas_thread_addresses()
table.get_blas_threads = <int (*)() noexcept nogil> <uintptr_t> get_threads
table.set_blas_threads = <void (*)(int) noexcept nogil> <uintptr_t> set_threads

capsule = PyCapsule_New(&table, "mmlfast.lapack_table", NULL)
blas_int_bits = 8 * sizeof(blas_int)
