# What `cmake --install` puts where: the program, both libraries, the public
# headers, limbeck.pc, the CMake package (limbeck::limbeck, the shared library,
# and limbeck::limbeck_static), the man page and shell completion.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/limbeck)

# What a program needs that links liblimbeck.a; the shared library has it all.
set(private_libs z lzma jpeg png expat jansson yaml curl pthread m)
if(LMB_ONEDNN)
  # The compiler's own: gomp of gcc, omp of clang.
  list(APPEND private_libs dnnl ${OpenMP_C_LIB_NAMES})
  list(REMOVE_DUPLICATES private_libs)
endif()
target_link_libraries(limbeck_static INTERFACE
  "$<INSTALL_INTERFACE:${private_libs}>")
set_target_properties(limbeck_shared PROPERTIES EXPORT_NAME limbeck)
foreach(lib limbeck_shared limbeck_static)
  target_include_directories(${lib} INTERFACE
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

install(TARGETS limbeck_shared limbeck_static EXPORT limbeck
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET limbeck)
  install(TARGETS limbeck RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")

install(EXPORT limbeck NAMESPACE limbeck:: FILE limbeckTargets.cmake
  DESTINATION ${package_dir})
configure_package_config_file(cmake/limbeckConfig.cmake.in limbeckConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(limbeckConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/limbeckConfig.cmake
  ${PROJECT_BINARY_DIR}/limbeckConfigVersion.cmake DESTINATION ${package_dir})

# The .pc file names its prefix relative to itself, so that an installed tree
# may be moved.
file(RELATIVE_PATH pc_prefix /x/${CMAKE_INSTALL_LIBDIR}/pkgconfig /x)
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
list(TRANSFORM private_libs PREPEND "-l" OUTPUT_VARIABLE pc_libs)
list(JOIN pc_libs " " pc_libs)
configure_file(cmake/limbeck.pc.in limbeck.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/limbeck.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES docs/man/limbeck.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES tools/completion/limbeck.bash RENAME limbeck
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES tools/completion/_limbeck
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
