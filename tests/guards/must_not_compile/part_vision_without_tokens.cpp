// expect: plume: the vision encoder must be callable as encoder(pixels) const and give something with a member `tokens`
#include "plume/models/flamingo.hpp"

using namespace plume;

struct Encoder : nn::Module {
  struct Seen {
#ifdef CONTROL
    Var<float> tokens;
#else
    Var<float> pooled;
#endif
  };
  Seen operator()(const Var<float>& pixels) const { return {pixels}; }
};

int main() {
  using Model = models::VisionLanguageModel<float, Encoder>;
  return static_cast<int>(sizeof(Model));
}
