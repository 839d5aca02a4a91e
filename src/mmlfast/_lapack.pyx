# cython: language_level=3, embedsignature=False, freethreading_compatible=True
"""Addresses of SciPy's LAPACK for the C++ core: one table in a capsule, no linking to any LAPACK.

Each wrapper takes 64-bit sizes, converts them to the integer type of SciPy's build and calls the Fortran routine.
The drivers have checked that the sizes fit.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool
from scipy.linalg cimport cython_lapack as lp

include "_blas_int.pxi"


cdef extern from "runtime/lapack_table.hpp" namespace "mmlfast" nogil:
    cdef struct Double "mmlfast::LapackRoutines<double>":
        int64_t (*getrf)(int64_t, double*, void*) noexcept nogil
        int64_t (*getrs)(cbool, int64_t, int64_t, const double*, const void*, double*) noexcept nogil
        int64_t (*geqrf)(int64_t, int64_t, double*, double*, double*, int64_t) noexcept nogil
        int64_t (*orgqr)(int64_t, int64_t, double*, const double*, double*, int64_t) noexcept nogil
        cbool (*exchanged)(const void*, int64_t) noexcept nogil
    cdef struct Single "mmlfast::LapackRoutines<float>":
        int64_t (*getrf)(int64_t, float*, void*) noexcept nogil
        int64_t (*getrs)(cbool, int64_t, int64_t, const float*, const void*, float*) noexcept nogil
        int64_t (*geqrf)(int64_t, int64_t, float*, float*, float*, int64_t) noexcept nogil
        int64_t (*orgqr)(int64_t, int64_t, float*, const float*, float*, int64_t) noexcept nogil
        cbool (*exchanged)(const void*, int64_t) noexcept nogil
    cdef struct LapackTable:
        int version
        Double f64
        Single f32
    cdef int CURRENT_VERSION "mmlfast::LapackTable::current_version"


cdef cbool exchanged(const void* ipiv, int64_t i) noexcept nogil:
    return (<const blas_int*> ipiv)[i] != i + 1


cdef int64_t dgetrf(int64_t n, double* a, void* ipiv) noexcept nogil:
    cdef blas_int order = <blas_int> n, info = 0
    lp.dgetrf(&order, &order, a, &order, <blas_int*> ipiv, &info)
    return info


cdef int64_t sgetrf(int64_t n, float* a, void* ipiv) noexcept nogil:
    cdef blas_int order = <blas_int> n, info = 0
    lp.sgetrf(&order, &order, a, &order, <blas_int*> ipiv, &info)
    return info


cdef int64_t dgetrs(cbool transposed, int64_t n, int64_t nrhs, const double* a, const void* ipiv, double* b) noexcept nogil:
    cdef blas_int order = <blas_int> n, columns = <blas_int> nrhs, info = 0
    lp.dgetrs("T" if transposed else "N", &order, &columns, <double*> a, &order, <blas_int*> ipiv, b, &order, &info)
    return info


cdef int64_t sgetrs(cbool transposed, int64_t n, int64_t nrhs, const float* a, const void* ipiv, float* b) noexcept nogil:
    cdef blas_int order = <blas_int> n, columns = <blas_int> nrhs, info = 0
    lp.sgetrs("T" if transposed else "N", &order, &columns, <float*> a, &order, <blas_int*> ipiv, b, &order, &info)
    return info


cdef int64_t dgeqrf(int64_t m, int64_t n, double* a, double* tau, double* work, int64_t lwork) noexcept nogil:
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, length = <blas_int> lwork, info = 0
    lp.dgeqrf(&rows, &columns, a, &rows, tau, work, &length, &info)
    return info


cdef int64_t sgeqrf(int64_t m, int64_t n, float* a, float* tau, float* work, int64_t lwork) noexcept nogil:
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, length = <blas_int> lwork, info = 0
    lp.sgeqrf(&rows, &columns, a, &rows, tau, work, &length, &info)
    return info


cdef int64_t dorgqr(int64_t m, int64_t n, double* a, const double* tau, double* work, int64_t lwork) noexcept nogil:
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, length = <blas_int> lwork, info = 0
    lp.dorgqr(&rows, &columns, &columns, a, &rows, <double*> tau, work, &length, &info)
    return info


cdef int64_t sorgqr(int64_t m, int64_t n, float* a, const float* tau, float* work, int64_t lwork) noexcept nogil:
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, length = <blas_int> lwork, info = 0
    lp.sorgqr(&rows, &columns, &columns, a, &rows, <float*> tau, work, &length, &info)
    return info


cdef LapackTable table
table.version = CURRENT_VERSION
table.f64.getrf = dgetrf
table.f64.getrs = dgetrs
table.f64.geqrf = dgeqrf
table.f64.orgqr = dorgqr
table.f64.exchanged = exchanged
table.f32.getrf = sgetrf
table.f32.getrs = sgetrs
table.f32.geqrf = sgeqrf
table.f32.orgqr = sorgqr
table.f32.exchanged = exchanged

capsule = PyCapsule_New(&table, "mmlfast.lapack_table", NULL)
blas_int_bits = 8 * sizeof(blas_int)
