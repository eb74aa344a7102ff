#include "examples/variants/all_previous.hpp"
#include "examples/variants/pooling_resampler.hpp"
#include "examples/variants/vector_gate.hpp"
#include "tests/models/model_suite.hpp"

using namespace plume;
using namespace plume::test;
using namespace variants;

namespace {

using Perceiver = nn::PerceiverResampler<double>;

MODEL_SUITE("Flamingo", models::Flamingo, resampler_of<Perceiver>(suite_perceiver()))
MODEL_SUITE("a gate per channel", VectorGateFlamingo, resampler_of<Perceiver>(suite_perceiver()))
MODEL_SUITE("all previous images", AllPreviousFlamingo, resampler_of<Perceiver>(suite_perceiver()),
            .blind_before_images = false)
MODEL_SUITE("pooling resampler", PoolingFlamingo,
            resampler_of<PoolingResampler<double>>(suite_width, index_t{2}))

}  // namespace
