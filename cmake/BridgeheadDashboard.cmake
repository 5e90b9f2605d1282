# The dashboard (web/) as C++ sources of the caller's directory. npm works in the build tree, on copies: several build trees
# don't meet, and the source tree may be read-only. Packages come by the lock file and npm's cache first, so that a second
# build needs no network; what is unchanged isn't built again.

# bridgehead_dashboard(<variable>): the sources that define page_files().
function(bridgehead_dashboard variable)
  if(NOT BRIDGEHEAD_DASHBOARD)
    set(${variable} pages/no_pages.cpp PARENT_SCOPE)
    return()
  endif()
  find_program(NODE NAMES node nodejs)
  find_program(NPM npm)
  if(NOT NODE OR NOT NPM)
    message(FATAL_ERROR "The dashboard needs Node.js and npm: tools/install-packages build. "
                        "Without it: -DBRIDGEHEAD_DASHBOARD=OFF; the manager then serves its API only.")
  endif()
  set(source ${CMAKE_SOURCE_DIR}/web)
  set(work ${CMAKE_BINARY_DIR}/web)
  set(packages package.json package-lock.json .npmrc)
  list(TRANSFORM packages PREPEND ${source}/ OUTPUT_VARIABLE package_files)
  add_custom_command(
    OUTPUT ${work}/packages.stamp
    COMMAND ${CMAKE_COMMAND} -E make_directory ${work}
    COMMAND ${CMAKE_COMMAND} -E copy ${package_files} ${work}
    COMMAND ${CMAKE_COMMAND} -DNPM=${NPM} -DWORK=${work} -P ${CMAKE_SOURCE_DIR}/cmake/InstallPackages.cmake
    COMMAND ${CMAKE_COMMAND} -E touch ${work}/packages.stamp
    DEPENDS ${package_files}
    COMMENT "Installing the dashboard's npm packages" VERBATIM)
  # All of web/ but its packages.
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${source} ${source}/src/* ${source}/public/*)
  list(FILTER files EXCLUDE REGEX "src/api/schema.d.ts")  # made from api/openapi.yaml, by whoever works in web/
  list(APPEND files index.html vite.config.ts svelte.config.js tsconfig.json embed.mjs)
  list(TRANSFORM files PREPEND ${source}/ OUTPUT_VARIABLE inputs)
  set(pages ${CMAKE_BINARY_DIR}/generated/pages.cpp)
  add_custom_command(
    OUTPUT ${pages}
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${work}/src ${work}/public ${work}/dist
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${source} -DWORK=${work} "-DFILES=${files}" -P ${CMAKE_SOURCE_DIR}/cmake/CopyFiles.cmake
    COMMAND ${CMAKE_COMMAND} -E chdir ${work} ${NPM} run --silent api -- ${CMAKE_SOURCE_DIR}/api/openapi.yaml
    COMMAND ${CMAKE_COMMAND} -E chdir ${work} ${NPM} run --silent check
    COMMAND ${CMAKE_COMMAND} -E chdir ${work} ${NPM} run --silent build
    COMMAND ${NODE} ${work}/embed.mjs ${work}/dist ${work}/embedded ${pages}
    DEPENDS ${work}/packages.stamp ${inputs} ${CMAKE_SOURCE_DIR}/api/openapi.yaml
    COMMENT "Building the dashboard" VERBATIM)
  set_source_files_properties(${pages} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  set(${variable} ${pages} PARENT_SCOPE)
endfunction()
