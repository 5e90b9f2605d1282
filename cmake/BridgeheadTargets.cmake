# How every target of the project is built: one place for warnings, the precompiled header, tests and their labels.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(tl-expected REQUIRED)
find_package(nlohmann_json REQUIRED)

find_program(CCACHE ccache)
if(CCACHE)
  # pch_defines and time_macros let ccache serve files that use the precompiled header; base directory and no directory
  # hash let one checkout use what another has compiled.
  set(_launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${_launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${_launcher})
endif()

find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(bridgehead_warnings INTERFACE)
target_compile_options(bridgehead_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wnull-dereference -Werror
  # Designated initializers leave the rest at its default on purpose.
  -Wno-missing-field-initializers
  # g++ 12 reports these inside its own headers at -O1 and above (GCC bugs 105562, 105651, 107852).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-null-dereference -Wno-maybe-uninitialized -Wno-dangling-pointer
    -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -fpch-preprocess>)

add_library(bridgehead_build_flags INTERFACE)
target_compile_options(bridgehead_build_flags INTERFACE -fstack-protector-strong -fPIE)
target_link_options(bridgehead_build_flags INTERFACE -pie -Wl,-z,relro,-z,now)
if(BRIDGEHEAD_SANITIZE)
  target_compile_options(bridgehead_build_flags INTERFACE -fsanitize=${BRIDGEHEAD_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(bridgehead_build_flags INTERFACE -fsanitize=${BRIDGEHEAD_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_definitions(bridgehead_build_flags INTERFACE _FORTIFY_SOURCE=2)
endif()

# One precompiled header for all: the standard library, fmt, expected, nlohmann-json.
file(WRITE ${CMAKE_BINARY_DIR}/pch_anchor.cpp.new "// Holds the precompiled header that all targets reuse.\n")
configure_file(${CMAKE_BINARY_DIR}/pch_anchor.cpp.new ${CMAKE_BINARY_DIR}/pch_anchor.cpp COPYONLY)
add_library(bridgehead_pch OBJECT ${CMAKE_BINARY_DIR}/pch_anchor.cpp)
target_link_libraries(bridgehead_pch PUBLIC fmt::fmt tl::expected nlohmann_json::nlohmann_json Threads::Threads
                      PRIVATE bridgehead_warnings bridgehead_build_flags)  # the same flags, or g++ refuses to use it
set(BRIDGEHEAD_PRECOMPILED
  <algorithm> <atomic> <chrono> <compare> <condition_variable> <cstdint> <deque> <filesystem> <functional> <map> <memory>
  <mutex> <optional> <span> <string> <string_view> <thread> <unordered_map> <utility> <variant> <vector>
  <fmt/format.h> <tl/expected.hpp> <nlohmann/json.hpp>)
target_precompile_headers(bridgehead_pch PRIVATE ${BRIDGEHEAD_PRECOMPILED})

# Release and fuzz builds compile a library's files together: a quarter of the time of one by one. The other presets don't,
# so that a change compiles one file, and a missing #include shows.
set(CMAKE_UNITY_BUILD_BATCH_SIZE 15)

function(_bridgehead_common target)
  target_link_libraries(${target} PRIVATE bridgehead_warnings bridgehead_build_flags)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  if(ARG_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE ${BRIDGEHEAD_PRECOMPILED} ${ARG_PRECOMPILE})
  else()
    target_precompile_headers(${target} REUSE_FROM bridgehead_pch)
  endif()
endfunction()

# bridgehead_library(<name> SOURCES a.cpp ... DEPENDS <public libs> PRIVATE <private libs> [PRECOMPILE <heavy headers>])
# PRECOMPILE: the library gets a precompiled header of its own with these added; worth it from about ten sources.
function(bridgehead_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE;PRECOMPILE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC fmt::fmt tl::expected nlohmann_json::nlohmann_json Threads::Threads ${ARG_DEPENDS}
                        PRIVATE ${ARG_PRIVATE})
  _bridgehead_common(${name})
endfunction()

# bridgehead_program(<name> SOURCES ... PRIVATE <libs>)
function(bridgehead_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PRIVATE" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE fmt::fmt tl::expected nlohmann_json::nlohmann_json Threads::Threads ${ARG_PRIVATE})
  _bridgehead_common(${name})
endfunction()

# tools/check gives ctest two places a CPU. A test that computes, or emulates a machine, takes two; what waits
# for more than half of its time (for agents to come back, for leases to end, for slow NICs), as most unit tests do, one.
set(BRIDGEHEAD_COMPUTES PROCESSORS 2)
set(BRIDGEHEAD_WAITS PROCESSORS 1)

# bridgehead_test(<name> SOURCES ... PRIVATE <libs> [LABEL quick|root] [TIMEOUT seconds])
# `quick`: rootless, part of `tools/check --quick`. `root`: needs root, makes its own namespaces.
function(bridgehead_test name)
  if(NOT BRIDGEHEAD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;PRIVATE" ${ARGN})
  find_package(GTest REQUIRED)
  bridgehead_program(${name} SOURCES ${ARG_SOURCES} PRIVATE ${ARG_PRIVATE} GTest::gtest GTest::gmock GTest::gtest_main)
  if(NOT ARG_LABEL)
    set(ARG_LABEL quick)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  # One ctest entry per program: a process start per case would cost more than the cases.
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT} ${BRIDGEHEAD_WAITS})
  if(ARG_LABEL STREQUAL root)
    set_tests_properties(${name} PROPERTIES COST 700 ${BRIDGEHEAD_COMPUTES})  # before the short ones
  endif()
endfunction()
