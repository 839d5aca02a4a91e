# Every file of cpp/kernels is compiled once per SIMD level, with the flags of that level and into the namespace
# of that level (MMLFAST_LEVEL). Only the run-time choice in cpp/simd/level.cpp knows more than one.
function(mmlfast_add_kernels flags)
  file(GLOB kernels CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/cpp/kernels/*.cpp")
  string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
  if(CMAKE_OSX_ARCHITECTURES)
    string(TOLOWER "${CMAKE_OSX_ARCHITECTURES}" processor)
  endif()

  if(processor MATCHES "x86_64|amd64")
    set(levels baseline avx2 avx512)
    set(flags_baseline -march=x86-64-v2)
    set(flags_avx2 -march=x86-64-v3)
    set(flags_avx512 -march=x86-64-v4)
  else()
    set(levels baseline)  # NEON on aarch64: what the compiler assumes anyway
    set(flags_baseline "")
  endif()

  if(MMLFAST_CLANG_PREFIX)
    set(no_exceptions /EHs-c- /GR-)
  else()
    set(no_exceptions -fno-exceptions -fno-rtti)
  endif()

  set(objects "")
  foreach(level IN LISTS levels)
    add_library(mmlfast_kernels_${level} OBJECT ${kernels})
    target_link_libraries(mmlfast_kernels_${level} PRIVATE ${flags})
    list(TRANSFORM flags_${level} PREPEND "${MMLFAST_CLANG_PREFIX}")
    target_compile_options(mmlfast_kernels_${level} PRIVATE ${flags_${level}} ${no_exceptions}
      $<$<CONFIG:Release>:${MMLFAST_CLANG_PREFIX}-O3>)
    target_compile_definitions(mmlfast_kernels_${level} PRIVATE MMLFAST_LEVEL=${level})
    list(APPEND objects $<TARGET_OBJECTS:mmlfast_kernels_${level}>)
  endforeach()
  set(MMLFAST_KERNEL_OBJECTS ${objects} PARENT_SCOPE)
endfunction()
