# The modules, lowest first, and what each may use (docs/layers.txt).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(LibLZMA REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(EXPAT REQUIRED)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
find_package(CURL REQUIRED)
# Without oneDNN there is no OpenMP either: sanitizer and fuzzing builds never
# mix two OpenMP runtimes.
set(LMB_OPENMP "")
if(LMB_ONEDNN)
  find_package(OpenMP REQUIRED COMPONENTS C)
  set(LMB_OPENMP OpenMP::OpenMP_C)
endif()

add_library(lmb_flags INTERFACE)
target_include_directories(lmb_flags INTERFACE
  ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(lmb_flags INTERFACE _POSIX_C_SOURCE=200809L
  LMB_VERSION="${PROJECT_VERSION}")
target_compile_options(lmb_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow
  -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
  -fvisibility=hidden -ffp-contract=off)
if(LMB_WERROR)
  target_compile_options(lmb_flags INTERFACE -Werror)
endif()
if(LMB_SANITIZE)
  target_compile_options(lmb_flags INTERFACE -fsanitize=${LMB_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(lmb_flags INTERFACE -fsanitize=${LMB_SANITIZE})
endif()
if(LMB_FUZZ)
  target_compile_options(lmb_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

set(LMB_MODULES "" CACHE INTERNAL "")
# lmb_module(NAME [modules and libraries it uses...]) compiles src/NAME/*.c.
function(lmb_module name)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.c)
  if(NOT sources)
    return()
  endif()
  string(REPLACE "/" "_" target lmb_${name})
  add_library(${target} STATIC ${sources})
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${target} PUBLIC lmb_flags)
  foreach(use ${ARGN})
    if(TARGET lmb_${use})
      target_link_libraries(${target} PUBLIC lmb_${use})
    elseif(NOT EXISTS ${PROJECT_SOURCE_DIR}/src/${use})
      target_link_libraries(${target} PUBLIC ${use})
    endif()
  endforeach()
  set(LMB_MODULES ${LMB_MODULES} ${target} CACHE INTERNAL "")
endfunction()

lmb_module(base m Threads::Threads)
lmb_module(tensor base)
lmb_module(detect base tensor m)
lmb_module(io base tensor ZLIB::ZLIB PkgConfig::JANSSON PkgConfig::YAML
  CURL::libcurl)
lmb_module(graph base tensor)
lmb_module(op base tensor graph detect)
lmb_module(nn base tensor graph detect op)
lmb_module(model base tensor graph detect op nn)
lmb_module(distill base tensor graph op nn)
lmb_module(optim base tensor graph backend_cpu)
lmb_module(metric base tensor detect)
lmb_module(data base tensor io detect ZLIB::ZLIB LibLZMA::LibLZMA JPEG::JPEG PNG::PNG
  EXPAT::EXPAT ${LMB_OPENMP})
include(cmake/backend.cmake)
if(LMB_SANITIZE) # at -O3 the sanitizers take minutes over a kernel
  foreach(level ${LMB_CPU_LEVELS})
    target_compile_options(lmb_cpu_${level} PRIVATE -O1)
  endforeach()
endif()
lmb_module(plan base tensor graph detect op backend_cpu)
lmb_module(train base tensor io graph detect op nn model distill optim data metric plan)

# Everything together: liblimbeck.a and liblimbeck.so.
set(objects "")
foreach(module ${LMB_MODULES})
  list(APPEND objects $<TARGET_OBJECTS:${module}>)
endforeach()
set(vendor ZLIB::ZLIB LibLZMA::LibLZMA JPEG::JPEG PNG::PNG EXPAT::EXPAT
  PkgConfig::JANSSON
  PkgConfig::YAML CURL::libcurl Threads::Threads m ${LMB_BACKEND_LIBS})
add_library(limbeck_shared SHARED ${objects})
add_library(limbeck_static STATIC ${objects})
set_target_properties(limbeck_shared limbeck_static PROPERTIES
  OUTPUT_NAME limbeck LINKER_LANGUAGE C)
set_target_properties(limbeck_shared PROPERTIES VERSION ${PROJECT_VERSION}
  SOVERSION 0)
# Only this build sees the vendors' targets; cmake/install.cmake says what an
# installed library needs.
list(TRANSFORM vendor REPLACE "(.+)" "$<BUILD_INTERFACE:\\1>")
target_link_libraries(limbeck_shared PRIVATE lmb_flags ${vendor})
target_link_libraries(limbeck_static PRIVATE $<BUILD_INTERFACE:lmb_flags>
  PUBLIC ${vendor})

file(GLOB cli_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cli/*.c)
if(cli_sources)
  add_executable(limbeck ${cli_sources})
  target_link_libraries(limbeck PRIVATE lmb_flags limbeck_static)
endif()
