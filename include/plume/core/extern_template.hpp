#pragma once
// PLUME_EXTERN_TEMPLATE: how a header offers its common instantiations to plume::compiled.
//
// A header whose templates are dear to compile ends with one line per scalar type:
//
//   #if defined(PLUME_EXTERN_TEMPLATE)
//   PLUME_EXTERN_TEMPLATE void gemm<float>(const float*, const float*, float*, index_t);
//   PLUME_EXTERN_TEMPLATE void gemm<double>(const double*, const double*, double*, index_t);
//   #endif
//
// plain header-only use    neither macro defined: the lines vanish, nothing changes
// a user of the library    PLUME_COMPILED (set by linking plume::compiled): `extern template`, so the
//                          compiler instantiates nothing and the linker takes the library's copy
// the library itself       also PLUME_COMPILED_SOURCE: `template`, the instantiation
//
// The declaration must repeat the template's signature exactly; a template that is `inline` or `constexpr`
// may still be inlined where it is called.

#if defined(PLUME_COMPILED_SOURCE)
#define PLUME_EXTERN_TEMPLATE template
#elif defined(PLUME_COMPILED)
#define PLUME_EXTERN_TEMPLATE extern template
#endif
