# _lapack: the Cython module that reads the addresses of SciPy's BLAS and LAPACK. It links to neither.
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c
    "import importlib.util as u, pathlib as p; print(p.Path(u.find_spec('cython_cmake').origin).parent / 'cmake')"
  OUTPUT_VARIABLE _cython_cmake OUTPUT_STRIP_TRAILING_WHITESPACE)
list(APPEND CMAKE_MODULE_PATH "${_cython_cmake}")
find_package(Cython MODULE REQUIRED)
include(UseCython)

# SciPy 1.18 names the integer type of its Cython interface, and it may be 64 bits wide there.
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c
    "import importlib.util as u, pathlib as p; print('blas_int' in (p.Path(u.find_spec('scipy').origin).parent / 'linalg/cython_lapack.pxd').read_text())"
  OUTPUT_VARIABLE _has_blas_int OUTPUT_STRIP_TRAILING_WHITESPACE)
if(_has_blas_int STREQUAL "True")
  set(_blas_int "from scipy.linalg.cython_lapack cimport blas_int\n")
else()
  set(_blas_int "ctypedef int blas_int\n")
endif()
file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/_blas_int.pxi" CONTENT "${_blas_int}" @ONLY)

cython_transpile("${CMAKE_CURRENT_SOURCE_DIR}/src/mmlfast/_lapack.pyx"
  LANGUAGE CXX MODULE_NAME mmlfast._lapack
  INCLUDE_DIRECTORIES "${CMAKE_CURRENT_BINARY_DIR}" OUTPUT_VARIABLE _lapack_cpp)
python_add_library(_lapack MODULE WITH_SOABI ${_lapack_cpp})
target_include_directories(_lapack PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/cpp")
target_compile_options(_lapack PRIVATE -w)  # generated code; clang-cl knows -w too
