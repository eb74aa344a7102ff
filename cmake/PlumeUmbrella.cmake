# Writes plume_everything.hpp into the build tree: the headers of include/plume that need the standard library
# alone. For plume::compiled; users include what they use.

set(PLUME_UMBRELLA_DIR "${PROJECT_BINARY_DIR}/generated")

file(GLOB_RECURSE plume_headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include"
     "${PROJECT_SOURCE_DIR}/include/plume/*.hpp")
list(FILTER plume_headers INCLUDE REGEX "^plume/(core|autograd|ops|nn|optim)/")
list(REMOVE_ITEM plume_headers plume/core/eigen.hpp)
list(SORT plume_headers)
set(plume_includes "#pragma once\n")
foreach(header IN LISTS plume_headers)
  string(APPEND plume_includes "#include \"${header}\"\n")
endforeach()
file(CONFIGURE OUTPUT "${PLUME_UMBRELLA_DIR}/plume_everything.hpp" CONTENT "${plume_includes}" @ONLY)
