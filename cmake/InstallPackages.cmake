# cmake -DNPM=... -DWORK=... -P InstallPackages.cmake: the packages of WORK's lock file into WORK/node_modules.
execute_process(COMMAND ${NPM} ci --prefer-offline --no-audit --no-fund --loglevel=error WORKING_DIRECTORY ${WORK} RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "npm could not install the dashboard's packages: it needs its registry, or a cache that has had them before. "
                      "To build without the dashboard: cmake -DBRIDGEHEAD_DASHBOARD=OFF; the manager then serves its API only.")
endif()
