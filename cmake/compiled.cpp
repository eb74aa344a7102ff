// plume::compiled. PLUME_COMPILED_SOURCE turns every PLUME_EXTERN_TEMPLATE of the headers into an explicit
// instantiation, here and nowhere else; see plume/core/extern_template.hpp.
#include "plume_everything.hpp"
