// Small bundles of sound and of series over engines whose logits are three values of the window: of sound the first, the
// sixth and the last sample, of series the first time step and the last value.
#pragma once

#include <array>

#include "model.h"
#include "opened.h"

namespace small_bundle {

// Gives three values of its input, divided.
template <typename Value, size_t Count, size_t Second, int Divisor>
class ThreeOf : public edgetl::Engine {
 public:
  ThreeOf() {
    inputs_ = {{input_.data(), sizeof input_}};
    outputs_ = {{logits_.data(), sizeof logits_}};
  }
  edgetl_status run(edgetl_error* error) noexcept override {
    const auto logit = [this](size_t at) { return static_cast<float>(input_[at]) / Divisor; };
    logits_ = {logit(0), logit(Second), logit(Count - 1)};
    if (error != nullptr) *error = {};
    return EDGETL_OK;
  }
  const char* version() const noexcept override { return ""; }

 private:
  std::array<Value, Count> input_{};
  std::array<float, classes> logits_{};
};

using Sounding = ThreeOf<int16_t, size_t{window}, 5, 1000>;
using Sensing = ThreeOf<float, size_t{steps} * channels, 1, 1>;

inline Facts of_sound() {
  Facts facts;
  facts.audio = true;
  return facts;
}

inline Facts of_series() {
  Facts facts;
  facts.series = true;
  facts.golden = false;
  return facts;
}

template <typename Engine>
Opened open_over(const Folder& folder) {
  Opened model = open(folder);
  model->engine.reset(new Engine);
  return model;
}

inline Opened open_sounding(const Folder& folder) { return open_over<Sounding>(folder); }

inline Opened open_sensing(const Folder& folder) { return open_over<Sensing>(folder); }

}  // namespace small_bundle
