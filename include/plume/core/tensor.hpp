#pragma once
// Tensor<T>: a strided view of reference-counted storage on a device. It knows nothing of gradients.
//
// Copying a Tensor copies the view, not the numbers: both see the same storage. `clone()` copies numbers.
// A const Tensor gives out const pointers. Storage counts the changes that are made in place by fill, copy_from, add and
// elements, so that backward can tell when a value it needs is another one; who writes through data() calls changed(). Element access, printing and filling from literals are for the
// CPU; everything else works on every device that has a backend.

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <memory>
#include <utility>

#include "plume/core/device_kernel.hpp"
#include "plume/core/extern_template.hpp"
#include "plume/core/shape.hpp"
#include "plume/core/storage.hpp"
#include "plume/core/streaming.hpp"
#include "plume/core/strided.hpp"

namespace plume {

// Device kernels of core. Pointers are device pointers; outputs are overwritten; strides in elements.

/// y = x for elements of 1, 2, 4 or 8 bytes, both strided.
inline DeviceKernel<void(const void* x, void* y, int element_bytes, int rank, const index_t* sizes,
                         const index_t* x_strides, const index_t* y_strides)>
    strided_copy_cuda{"strided_copy"};
/// y[i] = To(x[i]), n contiguous elements.
template <class To, class From>
inline DeviceKernel<void(const From* x, To* y, index_t n)> cast_cuda{"cast"};
/// y[i] = value, n elements.
template <class T>
inline DeviceKernel<void(T* y, index_t n, T value)> fill_cuda{"fill"};
/// y[i] += alpha * x[i], n contiguous elements.
template <class T>
inline DeviceKernel<void(const T* x, T* y, index_t n, double alpha)> axpy_cuda{"axpy"};

template <Scalar T>
class Tensor {
 public:
  using value_type = T;

  /// No tensor at all: `defined()` is false, shape [0].
  Tensor() : shape_{0}, strides_{1} {}
  /// Uninitialised elements.
  [[gnu::noinline]] explicit Tensor(const Shape& shape, Device device = cpu)
      : shape_(shape), strides_(shape.row_major()) {
    const index_t bytes = checked_mul(shape.numel(), static_cast<index_t>(sizeof(T)));
    storage_ = make_ref<Storage>(static_cast<std::size_t>(bytes), device);
    data_ = static_cast<T*>(storage_->data());
  }
  /// The given elements, row-major: Tensor<float>({2, 2}, {1, 2, 3, 4}).
  Tensor(const Shape& shape, std::initializer_list<T> elements) : Tensor(shape) {
    if (shape.numel() != static_cast<index_t>(elements.size())) {
      fail<ShapeError>("tensor", cat(shape.numel(), " elements for shape ", shape),
                       elements.size());
    }
    std::copy(elements.begin(), elements.end(), data_);
  }
  /// A view of memory owned by somebody else (kept alive by `owner`), on the CPU.
  Tensor(T* data, const Shape& shape, std::shared_ptr<void> owner)
      : shape_(shape), strides_(shape.row_major()), data_(data) {
    storage_ = make_ref<Storage>(data, static_cast<std::size_t>(shape.numel()) * sizeof(T),
                                 std::move(owner));
  }

  [[nodiscard]] bool defined() const noexcept { return static_cast<bool>(storage_); }
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] const Strides& strides() const noexcept { return strides_; }
  [[nodiscard]] int rank() const noexcept { return shape_.rank(); }
  [[nodiscard]] index_t numel() const noexcept { return shape_.numel(); }
  [[nodiscard]] Device device() const noexcept { return storage_ ? storage_->device() : cpu; }
  /// Size along `axis`; negative axes count from the back.
  [[nodiscard]] index_t size(index_t axis) const {
    return shape_[normalize_axis("size", axis, rank())];
  }
  T* data() noexcept { return data_; }
  [[nodiscard]] const T* data() const noexcept { return data_; }
  /// True if no other tensor shares the storage.
  [[nodiscard]] bool unique() const noexcept { return storage_.use_count() == 1; }
  [[nodiscard]] bool shares_storage(const Tensor& other) const noexcept {
    return defined() && storage_ == other.storage_;
  }
  /// How often the storage was changed in place.
  [[nodiscard]] std::uint32_t version() const noexcept {
    return storage_ ? storage_->version() : 0;
  }
  /// Says that the storage was changed in place.
  void changed() noexcept {
    if (storage_) storage_->changed();
  }
  [[nodiscard]] bool is_contiguous() const noexcept {
    index_t step = 1;
    for (int axis = rank() - 1; axis >= 0; --axis) {
      if (shape_[axis] != 1 && strides_[axis] != step) return numel() == 0;
      step *= shape_[axis];
    }
    return true;
  }

  /// The element at the given indices (CPU). Throws ShapeError for a wrong count or range.
  template <class... I>
  T& operator()(I... indices) {
    changed();
    return data_[offset_of({static_cast<index_t>(indices)...})];
  }
  template <class... I>
  const T& operator()(I... indices) const {
    return data_[offset_of({static_cast<index_t>(indices)...})];
  }
  /// The only element, from any device.
  [[nodiscard]] T item() const {
    if (numel() != 1) fail<ShapeError>("item", "a tensor of one element", shape_);
    if (device().is_cpu()) return *data_;
    T value;
    device_backend(device()).copy_to_host(device().index, &value, data_, sizeof(T));
    return value;
  }

  // Views: no numbers are copied.

  /// Axes in a new order; `axes` must be a permutation of 0..rank-1.
  [[nodiscard]] Tensor permute(const Dims& axes) const {
    bool ok = axes.rank() == rank();
    unsigned seen = 0;
    Dims shape;
    Strides strides;
    for (int i = 0; ok && i < axes.rank(); ++i) {
      const int axis = normalize_axis("permute", axes[i], rank());
      ok = (seen & (1U << axis)) == 0;
      seen |= 1U << axis;
      shape.push_back(shape_[axis]);
      strides.push_back(strides_[axis]);
    }
    if (!ok) fail<ShapeError>("permute", cat("a permutation of ", rank(), " axes"), axes);
    return view_of(Shape(shape), strides, 0);
  }
  [[nodiscard]] Tensor transpose(index_t a, index_t b) const {
    Tensor out = *this;
    const int i = normalize_axis("transpose", a, rank());
    const int j = normalize_axis("transpose", b, rank());
    std::swap(out.shape_[i], out.shape_[j]);
    std::swap(out.strides_[i], out.strides_[j]);
    return out;
  }
  /// Elements begin, begin + step, ... below end along `axis`. 0 <= begin <= end <= size, step >= 1.
  [[nodiscard]] Tensor slice(index_t axis, index_t begin, index_t end, index_t step = 1) const {
    const int a = normalize_axis("slice", axis, rank());
    if (begin < 0 || end < begin || end > shape_[a] || step < 1) {
      fail<ShapeError>("slice", cat("0 <= begin <= end <= ", shape_[a], " and step >= 1"),
                       cat(begin, ":", end, ":", step));
    }
    Dims shape = shape_;
    Strides strides = strides_;
    shape[a] = (end - begin + step - 1) / step;
    strides[a] *= step;
    return view_of(Shape(shape), strides, begin < shape_[a] ? begin * strides_[a] : 0);
  }
  /// The sub-tensor at `index` of `axis`, which disappears.
  [[nodiscard]] Tensor select(index_t axis, index_t index) const {
    const int a = normalize_axis("select", axis, rank());
    if (index < 0 || index >= shape_[a]) {
      fail<ShapeError>("select", cat("an index in [0, ", shape_[a], ")"), index);
    }
    Dims shape = shape_;
    Strides strides = strides_;
    shape.erase(a);
    strides.erase(a);
    return view_of(Shape(shape), strides, index * strides_[a]);
  }
  /// A new axis of size 1 before `axis` (or after the last).
  [[nodiscard]] Tensor unsqueeze(index_t axis) const {
    const int a = normalize_axis("unsqueeze", axis, rank() + 1);
    Dims shape = shape_;
    Strides strides = strides_;
    shape.insert(a, 1);
    strides.insert(a, a < rank() ? strides_[a] * shape_[a] : 1);
    return view_of(Shape(shape), strides, 0);
  }
  /// Without `axis`, whose size must be 1.
  [[nodiscard]] Tensor squeeze(index_t axis) const {
    const int a = normalize_axis("squeeze", axis, rank());
    if (shape_[a] != 1) fail<ShapeError>("squeeze", cat("size 1 along axis ", axis), shape_);
    return select(a, 0);
  }
  /// Seen as the larger `shape`; stretched axes have stride 0.
  [[nodiscard]] Tensor broadcast_to(const Shape& shape) const {
    if (!(broadcast_shapes("broadcast_to", shape_, shape) == shape)) {
      fail<ShapeError>("broadcast_to", cat("a shape that ", shape_, " stretches to"), shape);
    }
    return view_of(shape, broadcast_strides(shape_, strides_, shape), 0);
  }
  /// The same elements in row-major order under another shape: a view where strides allow, else a copy.
  /// One size may be -1 and is then worked out.
  [[nodiscard]] Tensor reshape(Dims sizes) const {
    const Shape shape = infer(sizes);
    Strides strides;
    if (view_strides(shape, strides)) return view_of(shape, strides, 0);
    Tensor out = clone();
    out.shape_ = shape;
    out.strides_ = shape.row_major();
    return out;
  }

  // Copies.

  /// Row-major and compact: *this if it is already, else a copy.
  [[nodiscard]] Tensor contiguous() const { return is_contiguous() ? *this : clone(); }
  /// A compact copy on the same device.
  [[nodiscard]] Tensor clone() const { return convert<T>(); }
  /// Converted element by element, the only way from one scalar type to another. Floating to bool is
  /// x != 0; to integers it truncates, what lies beyond the range becomes the nearest end of it, and NaN
  /// becomes 0. To 16-bit floats it rounds to nearest even. Integers to narrower ones wrap around.
  template <Scalar U>
  [[nodiscard]] Tensor<U> cast() const {
    if constexpr (std::is_same_v<T, U>) {
      return *this;
    } else {
      return convert<U>();
    }
  }
  /// On `device`: *this if it is there already, else a compact copy.
  [[nodiscard, gnu::noinline]] Tensor to(Device device) const {
    if (device == this->device()) return *this;
    const Tensor from = contiguous();
    Tensor out(shape_, device);
    const std::size_t bytes = static_cast<std::size_t>(numel()) * sizeof(T);
    if (device.is_cpu()) {
      device_backend(this->device())
          .copy_to_host(this->device().index, out.data_, from.data_, bytes);
    } else if (this->device().is_cpu()) {
      device_backend(device).copy_from_host(device.index, out.data_, from.data_, bytes);
    } else {
      fail<DeviceError>("to", "a copy to or from the CPU", cat(this->device(), " to ", device));
    }
    return out;
  }

  // Writing into the viewed storage.

  /// Every element becomes `value`.
  [[gnu::noinline]] Tensor& fill(T value) {
    changed();
    if (!device().is_cpu()) {
      // Device kernels write to contiguous memory; a strided view takes a detour through a copy.
      if (!is_contiguous()) return copy_from(Tensor(shape_, device()).fill(value));
      fill_cuda<T>(data_, numel(), value);
      return *this;
    }
    strided_loop<1>(shape_, {strides_}, 1, [&](index_t n, const auto& offset, const auto& step) {
      T* to = data_ + offset[0];
      if (step[0] == 1) {
        write_constant(to, n, kernel::streams<T>(numel()), value);
        return;
      }
      for (index_t i = 0; i < n; ++i) to[i * step[0]] = value;
    });
    return *this;
  }
  /// Every element becomes that of `from`, which must have the same shape and device.
  [[gnu::noinline]] Tensor& copy_from(const Tensor& from) {
    if (!(from.shape_ == shape_)) fail<ShapeError>("copy_from", cat("shape ", shape_), from.shape_);
    require_same_device("copy_from", from);
    changed();
    if (!device().is_cpu()) {
      strided_copy_cuda(from.data_, data_, sizeof(T), rank(), shape_.begin(), from.strides_.begin(),
                        strides_.begin());
      return *this;
    }
    copy_elements(data_, strides_, from.data_, from.strides_, shape_);
    return *this;
  }
  /// this += alpha * from, element by element; same shape and device.
  [[gnu::noinline]] Tensor& add(const Tensor& from,
                                accumulate_t<T> alpha = 1) requires Floating<T> {
    if (!(from.shape_ == shape_)) fail<ShapeError>("add", cat("shape ", shape_), from.shape_);
    require_same_device("add", from);
    changed();
    if (!device().is_cpu()) {
      if (!is_contiguous()) return copy_from(clone().add(from, alpha));
      axpy_cuda<T>(from.contiguous().data(), data_, numel(), static_cast<double>(alpha));
      return *this;
    }
    strided_loop<2>(
        shape_, {strides_, from.strides_}, 1, [&](index_t n, const auto& offset, const auto& step) {
          T* to = data_ + offset[0];
          const T* x = from.data_ + offset[1];
          using A = accumulate_t<T>;
          if (step[0] == 1 && step[1] == 1) {
            for (index_t i = 0; i < n; ++i) {
              to[i] = static_cast<T>(static_cast<A>(to[i]) + alpha * static_cast<A>(x[i]));
            }
            return;
          }
          for (index_t i = 0; i < n; ++i) {
            T& t = to[i * step[0]];
            t = static_cast<T>(static_cast<A>(t) + alpha * static_cast<A>(x[i * step[1]]));
          }
        });
    return *this;
  }

  /// Throws DeviceError unless `other` lives on the same device.
  template <Scalar U>
  void require_same_device(std::string_view op, const Tensor<U>& other) const {
    if (!(device() == other.device())) {
      fail<DeviceError>(op, cat("tensors on one device, ", device()), other.device());
    }
  }

 private:
  template <Scalar>
  friend class Tensor;

  [[nodiscard]] Tensor view_of(const Shape& shape, const Strides& strides, index_t offset) const {
    Tensor out = *this;
    out.shape_ = shape;
    out.strides_ = strides;
    out.data_ += offset;
    return out;
  }
  [[nodiscard]] index_t offset_of(std::initializer_list<index_t> indices) const {
    const Dims at(indices);
    bool ok = at.rank() == rank();
    index_t offset = 0;
    for (int axis = 0; ok && axis < rank(); ++axis) {
      ok = at[axis] >= 0 && at[axis] < shape_[axis];
      offset += at[axis] * strides_[axis];
    }
    if (!ok) fail<ShapeError>("index", cat("indices inside shape ", shape_), at);
    return offset;
  }
  [[nodiscard]] Shape infer(Dims sizes) const {
    index_t known = 1;
    int open = -1;
    for (int i = 0; i < sizes.rank(); ++i) {
      if (sizes[i] == -1 && open < 0) {
        open = i;
      } else {
        known = checked_mul(known, sizes[i]);
      }
    }
    if (open >= 0 && known > 0 && numel() % known == 0) sizes[open] = numel() / known;
    if (open >= 0 && sizes[open] == -1) {
      fail<ShapeError>("reshape", cat("a shape of ", numel(), " elements"), sizes);
    }
    const Shape shape(sizes);
    if (shape.numel() != numel()) {
      fail<ShapeError>("reshape", cat("a shape of ", numel(), " elements"), shape);
    }
    return shape;
  }
  // Strides under which `shape` walks the same elements, if there are such.
  [[nodiscard]] bool view_strides(const Shape& shape, Strides& strides) const {
    if (is_contiguous()) {
      strides = shape.row_major();
      return true;
    }
    Dims sizes = shape_;
    std::array<Strides, 1> steps{strides_};
    detail::collapse(sizes, steps);
    strides = shape;
    int group = sizes.rank() - 1;
    index_t left = group >= 0 ? sizes[group] : 1;
    index_t step = group >= 0 ? steps[0][group] : 1;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      strides[axis] = step;
      if (shape[axis] == 1) continue;
      if (left == 1) {
        --group;
        left = sizes[group];
        step = steps[0][group];
        strides[axis] = step;
      }
      if (left % shape[axis] != 0) return false;
      left /= shape[axis];
      step *= shape[axis];
    }
    return true;
  }
  template <Scalar U>
  [[nodiscard, gnu::noinline]] Tensor<U> convert() const {
    Tensor<U> out(shape_, device());
    if (device().is_cpu()) {
      copy_elements(out.data(), out.strides_, data_, strides_, shape_);
    } else if constexpr (std::is_same_v<T, U>) {
      out.copy_from(*this);
    } else {
      cast_cuda<U, T>(contiguous().data(), out.data(), numel());
    }
    return out;
  }
  template <class U>
  static void copy_elements(U* to, const Strides& to_strides, const T* from,
                            const Strides& from_strides, const Shape& shape) {
    const bool streaming = kernel::streams<U>(shape.numel());
    strided_loop<2>(shape, {to_strides, from_strides}, 1,
                    [=](index_t n, const auto& offset, const auto& step) {
                      U* y = to + offset[0];
                      const T* x = from + offset[1];
                      if (step[0] == 1 && step[1] == 1) {
                        kernel::write_elements(
                            y, n, streaming,
                            [x](U* out, index_t begin, index_t end) {
                              for (index_t i = begin; i < end; ++i)
                                out[i - begin] = convert_scalar<U>(x[i]);
                            },
                            x);
                        return;
                      }
                      if (step[0] == 1 && step[1] == 0) {
                        write_constant(y, n, streaming, convert_scalar<U>(*x));
                        return;
                      }
                      for (index_t i = 0; i < n; ++i) {
                        y[i * step[0]] = convert_scalar<U>(x[i * step[1]]);
                      }
                    });
  }
  template <class U>
  static void write_constant(U* to, index_t n, bool streaming, U value) {
    kernel::write_elements(to, n, streaming, [value](U* out, index_t begin, index_t end) {
      std::fill_n(out, end - begin, value);
    });
  }
  template <class U>
  static U convert_scalar(T value) {
    if constexpr (std::is_same_v<U, T>) {
      return value;
    } else if constexpr (std::is_same_v<U, bool>) {
      return static_cast<accumulate_t<T>>(value) != accumulate_t<T>{0};
    } else if constexpr (std::is_same_v<U, bfloat16> || std::is_same_v<U, half>) {
      return U(static_cast<float>(value));
    } else if constexpr (Floating<T> && !Floating<U>) {
      // Both ends as floating numbers: the lower is exact, the upper exact or rounded up to the power of two.
      using A = accumulate_t<T>;
      constexpr U least = std::numeric_limits<U>::min(), most = std::numeric_limits<U>::max();
      const A x = static_cast<A>(value);
      if (x != x) return 0;
      if (x <= static_cast<A>(least)) return least;
      return x >= static_cast<A>(most) ? most : static_cast<U>(x);
    } else {
      return static_cast<U>(static_cast<accumulate_t<T>>(value));
    }
  }

  Shape shape_;
  Strides strides_;
  Ref<Storage> storage_;
  T* data_ = nullptr;
};

template <Scalar T>
Tensor<T> full(const Shape& shape, T value, Device device = cpu) {
  Tensor<T> out(shape, device);
  out.fill(value);
  return out;
}
template <Scalar T>
Tensor<T> zeros(const Shape& shape, Device device = cpu) {
  return full(shape, T{}, device);
}
template <Scalar T>
Tensor<T> ones(const Shape& shape, Device device = cpu) {
  return full(shape, static_cast<T>(1.0F), device);
}
/// 0, 1, ..., n - 1.
template <Scalar T>
Tensor<T> arange(index_t n) {
  Tensor<T> out(Shape{n});
  for (index_t i = 0; i < n; ++i) out.data()[i] = static_cast<T>(i);
  return out;
}
/// One element, rank 0.
template <Scalar T>
Tensor<T> scalar(T value) {
  return Tensor<T>(Shape{}, {value});
}

#if defined(PLUME_EXTERN_TEMPLATE)
PLUME_EXTERN_TEMPLATE class Tensor<float>;
PLUME_EXTERN_TEMPLATE class Tensor<double>;
#endif

}  // namespace plume
