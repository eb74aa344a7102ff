#pragma once
// Every op of Plume. Tests, benches and the support table go through this list: an op that is missing in
// any of them fails the build, and so does a header of ops/ that declares an OpInfo not listed here.

#include <array>

#include "plume/ops/add.hpp"
#include "plume/ops/attention.hpp"
#include "plume/ops/broadcast_to.hpp"
#include "plume/ops/concat.hpp"
#include "plume/ops/cross_entropy.hpp"
#include "plume/ops/div.hpp"
#include "plume/ops/dropout.hpp"
#include "plume/ops/embedding.hpp"
#include "plume/ops/exp.hpp"
#include "plume/ops/gated_residual.hpp"
#include "plume/ops/gather.hpp"
#include "plume/ops/gelu.hpp"
#include "plume/ops/layer_norm.hpp"
#include "plume/ops/linear.hpp"
#include "plume/ops/linear_cross_entropy.hpp"
#include "plume/ops/log.hpp"
#include "plume/ops/log_softmax.hpp"
#include "plume/ops/matmul.hpp"
#include "plume/ops/max.hpp"
#include "plume/ops/mean.hpp"
#include "plume/ops/media_attention.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/patch_embedding.hpp"
#include "plume/ops/permute.hpp"
#include "plume/ops/quick_gelu.hpp"
#include "plume/ops/relu.hpp"
#include "plume/ops/reshape.hpp"
#include "plume/ops/rms_norm.hpp"
#include "plume/ops/rotary.hpp"
#include "plume/ops/scale.hpp"
#include "plume/ops/sigmoid.hpp"
#include "plume/ops/silu.hpp"
#include "plume/ops/slice.hpp"
#include "plume/ops/softmax.hpp"
#include "plume/ops/split.hpp"
#include "plume/ops/sub.hpp"
#include "plume/ops/sum.hpp"
#include "plume/ops/tanh.hpp"

namespace plume {

inline constexpr std::array all_ops{
    add_info,
    attention_info,
    broadcast_to_info,
    concat_info,
    cross_entropy_info,
    div_info,
    dropout_info,
    embedding_info,
    exp_info,
    gated_residual_info,
    gather_info,
    gelu_info,
    layer_norm_info,
    linear_info,
    linear_cross_entropy_info,
    log_info,
    log_softmax_info,
    matmul_info,
    max_info,
    mean_info,
    media_attention_info,
    mul_info,
    patch_embedding_info,
    permute_info,
    quick_gelu_info,
    relu_info,
    reshape_info,
    rms_norm_info,
    rotary_info,
    scale_info,
    sigmoid_info,
    silu_info,
    slice_info,
    softmax_info,
    split_info,
    sub_info,
    sum_info,
    tanh_info,
};

}  // namespace plume
