# imprint_library(NAME SOURCES a.cc … USES folder … EXTERNAL target …): one folder, one library. USES is the list of
# folders whose headers this one may include; `./dev check` holds the includes against it.
function(imprint_library name)
  cmake_parse_arguments(A "" "" "SOURCES;USES;EXTERNAL" ${ARGN})
  add_library(imprint_${name} STATIC ${A_SOURCES})
  target_include_directories(imprint_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  list(TRANSFORM A_USES PREPEND imprint_)
  target_link_libraries(imprint_${name} PUBLIC ${A_USES} PRIVATE ${A_EXTERNAL})
endfunction()

# Code full of templates, as tests and whatever handles JSON, costs clang twice as long under the sanitizers with
# optimisation as without, and none of it is hot: the sanitizer build leaves it out there.
set(IMPRINT_PLAIN_DEBUG $<$<CONFIG:Debug>:-O0>)
function(imprint_plain_debug)  # sources of the same folder
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS ${IMPRINT_PLAIN_DEBUG})
endfunction()

# imprint_test(NAME SOURCES a_test.cc … USES folder …): the folder's tests, one GoogleTest binary `NAME_tests`.
function(imprint_test name)
  cmake_parse_arguments(A "" "" "SOURCES;USES;EXTERNAL" ${ARGN})
  add_executable(${name}_tests EXCLUDE_FROM_ALL ${A_SOURCES})
  list(TRANSFORM A_USES PREPEND imprint_)
  target_link_libraries(${name}_tests PRIVATE ${A_USES} ${A_EXTERNAL} GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name}_tests PRIVATE IMPRINT_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  target_compile_options(${name}_tests PRIVATE ${IMPRINT_PLAIN_DEBUG})
  set_target_properties(${name}_tests PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_dependencies(all_tests ${name}_tests)
endfunction()

# imprint_fuzz(NAME SOURCES a_fuzz.cc USES folder …): a libFuzzer target, built only with clang and -DIMPRINT_FUZZ=ON.
function(imprint_fuzz name)
  cmake_parse_arguments(A "" "" "SOURCES;USES" ${ARGN})
  if(NOT IMPRINT_FUZZ)
    return()
  endif()
  add_executable(fuzz_${name} EXCLUDE_FROM_ALL ${A_SOURCES})
  list(TRANSFORM A_USES PREPEND imprint_)
  target_link_libraries(fuzz_${name} PRIVATE ${A_USES})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  add_dependencies(all_fuzz fuzz_${name})
endfunction()
