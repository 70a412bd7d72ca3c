# sl_library(NAME SOURCES... LIBS ...): the modules of one folder.
# sl_program(NAME LIBS ...): sluice-NAME from main.c and the folder's library.
# sl_test(x ...): x_test.c beside x.c, one cmocka program, run by ctest.
function(sl_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${A_LIBS})
endfunction()

function(sl_program name)
  cmake_parse_arguments(A "" "" "LIBS" ${ARGN})
  add_executable(sluice-${name} main.c)
  target_link_libraries(sluice-${name} PRIVATE ${A_LIBS})
  set_target_properties(sluice-${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS sluice-${name} RUNTIME DESTINATION bin)
endfunction()

# Without SLUICE_TESTS its target is known, but never built and needs no cmocka.
function(sl_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "LIBS;SOURCES" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 60)
  endif()
  get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  add_executable(${folder}_${name}_test ${name}_test.c ${A_SOURCES})
  if(NOT SLUICE_TESTS)
    set_target_properties(${folder}_${name}_test PROPERTIES
      EXCLUDE_FROM_ALL TRUE)
    return()
  endif()
  target_link_libraries(${folder}_${name}_test PRIVATE ${A_LIBS}
    PkgConfig::CMOCKA)
  add_test(NAME ${folder}/${name} COMMAND ${folder}_${name}_test)
  set_tests_properties(${folder}/${name} PROPERTIES TIMEOUT ${A_TIMEOUT}
    LABELS unit)
endfunction()
