# imprint_library(NAME SOURCES a.cc … USES folder … EXTERNAL target …): one folder, one library. USES is the list of
# folders whose headers this one may include; `./dev check` holds the includes against it. PLAIN: nothing in it is hot.
function(imprint_library name)
  cmake_parse_arguments(A "PLAIN" "" "SOURCES;USES;EXTERNAL" ${ARGN})
  add_library(imprint_${name} STATIC ${A_SOURCES})
  target_include_directories(imprint_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  list(TRANSFORM A_USES PREPEND imprint_)
  target_link_libraries(imprint_${name} PUBLIC ${A_USES} PRIVATE ${A_EXTERNAL})
  if(A_PLAIN)
    target_compile_options(imprint_${name} PRIVATE ${IMPRINT_PLAIN_DEBUG})
    imprint_common_headers(imprint_${name} plain)
  else()
    imprint_common_headers(imprint_${name} optimised)
  endif()
endfunction()

# Code full of templates, as tests and whatever handles JSON, costs clang twice as long under the sanitizers with
# optimisation as without, and none of it is hot: the sanitizer build leaves it out there.
set(IMPRINT_PLAIN_DEBUG $<$<CONFIG:Debug>:-O0>)
function(imprint_plain_debug)  # sources of the same folder
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS ${IMPRINT_PLAIN_DEBUG})
  set_property(SOURCE ${ARGN} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# What tests need less of: the fuzzer's counters, and the two checks that UBSan makes at each access to a member (a null
# pointer ends in ASan's report as well). Half of what a test costs to compile.
set(IMPRINT_TEST_OPTIONS ${IMPRINT_PLAIN_DEBUG} $<$<BOOL:${IMPRINT_SANITIZE}>:-fno-sanitize=null,alignment>
                         $<$<BOOL:${IMPRINT_FUZZ}>:-fno-sanitize=fuzzer-no-link>)

# imprint_common_headers(TARGET optimised|plain|tests): the sanitizer build parses the standard library once for each of these
# three kinds and not once a file, a second of each. The release build does not, so a file still has to include what it uses.
set(IMPRINT_HEADERS <algorithm> <array> <chrono> <cstdint> <functional> <map> <memory> <optional> <set> <span>
                    <string> <string_view> <unordered_map> <utility> <variant> <vector>)
function(imprint_common_headers target kind)
  if(NOT IMPRINT_SANITIZE)
    return()
  endif()
  if(NOT TARGET headers_${kind})
    file(WRITE ${PROJECT_BINARY_DIR}/headers.cc "")
    add_library(headers_${kind} OBJECT ${PROJECT_BINARY_DIR}/headers.cc)
    target_compile_options(headers_${kind} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
    target_precompile_headers(headers_${kind} PRIVATE ${IMPRINT_HEADERS})
    if(kind STREQUAL plain)
      target_compile_options(headers_${kind} PRIVATE ${IMPRINT_PLAIN_DEBUG})
      target_precompile_headers(headers_${kind} PRIVATE <filesystem> <nlohmann/json.hpp>)
    elseif(kind STREQUAL tests)
      target_compile_options(headers_${kind} PRIVATE ${IMPRINT_TEST_OPTIONS})
      target_precompile_headers(headers_${kind} PRIVATE <gtest/gtest.h>)
      target_link_libraries(headers_${kind} PRIVATE GTest::gtest)
    endif()
  endif()
  target_precompile_headers(${target} REUSE_FROM headers_${kind})
endfunction()

# imprint_test(NAME SOURCES a_test.cc … USES folder …): the folder's tests, one GoogleTest binary `NAME_tests`.
function(imprint_test name)
  cmake_parse_arguments(A "" "" "SOURCES;USES;EXTERNAL" ${ARGN})
  add_executable(${name}_tests EXCLUDE_FROM_ALL ${A_SOURCES})
  list(TRANSFORM A_USES PREPEND imprint_)
  target_link_libraries(${name}_tests PRIVATE ${A_USES} ${A_EXTERNAL} GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name}_tests PRIVATE IMPRINT_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  target_compile_options(${name}_tests PRIVATE ${IMPRINT_TEST_OPTIONS})
  imprint_common_headers(${name}_tests tests)
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
