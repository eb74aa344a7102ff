#pragma once
// Between Plume's scalar types and CUDA's: the same bits under another name.

#include "common.cuh"
#include "library.hpp"

namespace plume::gpu::detail::inline PLUME_LIBRARY {

template <class T>
struct DeviceType {
  using type = T;
};
template <>
struct DeviceType<plume::bfloat16> {
  using type = kernels::bfloat16;
};
template <>
struct DeviceType<plume::half> {
  using type = kernels::half;
};

template <class T>
auto raw(const T* p) {
  return reinterpret_cast<const typename DeviceType<T>::type*>(p);
}
template <class T>
auto raw(T* p) {
  return reinterpret_cast<typename DeviceType<T>::type*>(p);
}

}  // namespace plume::gpu::detail::inline PLUME_LIBRARY

/// Expands f(T) for every floating type of Plume; a test may define a shorter list first.
#ifndef PLUME_FOR_FLOATING
#define PLUME_FOR_FLOATING(f) f(float) f(double) f(plume::bfloat16) f(plume::half)
#endif
