# INPUT (a text file) -> OUTPUT (a C++ file with it as a string).
file(READ ${INPUT} text)
string(FIND "${text}" ")openapi\"" end)
if(NOT end EQUAL -1)
  message(FATAL_ERROR "${INPUT} contains the delimiter of the raw string it is put into")
endif()
file(WRITE ${OUTPUT} "#include \"control_api/openapi.h\"

namespace bridgehead::control_api {

std::string_view openapi_yaml() {
  static constexpr char text[] = R\"openapi(")
file(APPEND ${OUTPUT} "${text}")
file(APPEND ${OUTPUT} ")openapi\";
  return {text, sizeof text - 1};
}

}  // namespace bridgehead::control_api
")
