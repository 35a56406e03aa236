# Backends: our own vector kernels (src/backend/cpu) and oneDNN.
set(LMB_BACKEND_LIBS ${LMB_OPENMP} CACHE INTERNAL "")

# Own kernels: k_*.c once per CPU feature level (kernel.h), the rest once.
set(LMB_CPU_LEVELS base)
set(level_flags_base "")
# Fuzzing and the thread sanitizer look at what is around the kernels: there
# the lowest level serves, and the build takes a third of the time.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND
   NOT LMB_FUZZ AND NOT LMB_SANITIZE STREQUAL "thread")
  list(APPEND LMB_CPU_LEVELS v3 v4 v4bf16)
  set(level_flags_v3 -march=x86-64-v3)
  set(level_flags_v4 -march=x86-64-v4 -mprefer-vector-width=512)
  set(level_flags_v4bf16 ${level_flags_v4} -mavx512bf16)
endif()
# No errno, no traps: loops vectorise. Never -ffast-math: NaN is a result.
set(kernel_flags -O3 -fno-math-errno -fno-trapping-math -Wno-psabi)

set(cpu ${PROJECT_SOURCE_DIR}/src/backend/cpu)
file(GLOB kernel_sources CONFIGURE_DEPENDS ${cpu}/k_*.c)
file(GLOB cpu_sources CONFIGURE_DEPENDS ${cpu}/*.c)
if(kernel_sources)
  list(REMOVE_ITEM cpu_sources ${kernel_sources})
endif()
add_library(lmb_backend_cpu STATIC ${cpu_sources})
set_target_properties(lmb_backend_cpu PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_link_libraries(lmb_backend_cpu PUBLIC lmb_flags lmb_base lmb_tensor m
  ${LMB_BACKEND_LIBS})
foreach(use detect graph op)
  if(TARGET lmb_${use})
    target_link_libraries(lmb_backend_cpu PUBLIC lmb_${use})
  endif()
endforeach()
if(LMB_CPU_LEVELS MATCHES v3)
  target_compile_definitions(lmb_backend_cpu PRIVATE LMB_CPU_X86)
endif()
foreach(level ${LMB_CPU_LEVELS})
  add_library(lmb_cpu_${level} OBJECT ${kernel_sources})
  set_target_properties(lmb_cpu_${level} PROPERTIES
    POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(lmb_cpu_${level} PRIVATE LMB_LEVEL=${level})
  target_compile_options(lmb_cpu_${level} PRIVATE ${level_flags_${level}}
    ${kernel_flags})
  target_link_libraries(lmb_cpu_${level} PRIVATE lmb_flags
    ${LMB_BACKEND_LIBS})
  target_sources(lmb_backend_cpu PRIVATE $<TARGET_OBJECTS:lmb_cpu_${level}>)
  set(LMB_MODULES ${LMB_MODULES} lmb_cpu_${level} CACHE INTERNAL "")
endforeach()
set(LMB_MODULES ${LMB_MODULES} lmb_backend_cpu CACHE INTERNAL "")

# Convolutions and products: oneDNN, or nothing but the reference.
if(LMB_ONEDNN)
  # By name, not by oneDNN's CMake package: that one asks for OpenCL too.
  find_library(DNNL_LIBRARY dnnl REQUIRED)
  find_path(DNNL_INCLUDE_DIR dnnl.h REQUIRED)
  target_sources(lmb_backend_cpu PRIVATE
    ${PROJECT_SOURCE_DIR}/src/backend/onednn/dnn.c)
  target_include_directories(lmb_backend_cpu PRIVATE ${DNNL_INCLUDE_DIR})
  target_link_libraries(lmb_backend_cpu PUBLIC ${DNNL_LIBRARY})
  set(LMB_BACKEND_LIBS ${LMB_BACKEND_LIBS} ${DNNL_LIBRARY} CACHE INTERNAL "")
  # Batch norm against oneDNN's: ninja bench_kernels.
  add_executable(bench_kernels EXCLUDE_FROM_ALL
    ${PROJECT_SOURCE_DIR}/tools/bench/bench_kernels.c)
  target_include_directories(bench_kernels PRIVATE ${DNNL_INCLUDE_DIR})
  target_link_libraries(bench_kernels PRIVATE lmb_backend_cpu)
else()
  target_sources(lmb_backend_cpu PRIVATE
    ${PROJECT_SOURCE_DIR}/src/backend/none/dnn_none.c)
endif()
