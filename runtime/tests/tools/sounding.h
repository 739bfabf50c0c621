// Small bundles of sound and of series over engines whose logits are three values of the window: of sound the first, the
// sixth and the last sample, of series the first time step and the last value.
#pragma once

#include <array>

#include "model.h"
#include "opened.h"

namespace small_bundle {

class Sounding : public edgetl::Engine {
 public:
  Sounding() {
    inputs_ = {{input_.data(), sizeof input_}};
    outputs_ = {{logits_.data(), sizeof logits_}};
  }
  edgetl_status run(edgetl_error* error) noexcept override {
    logits_ = {static_cast<float>(input_[0]) / 1000, static_cast<float>(input_[5]) / 1000,
               static_cast<float>(input_[window - 1]) / 1000};
    if (error != nullptr) *error = {};
    return EDGETL_OK;
  }
  const char* version() const noexcept override { return ""; }

 private:
  std::array<int16_t, window> input_{};
  std::array<float, classes> logits_{};
};

inline Facts of_sound() {
  Facts facts;
  facts.audio = true;
  return facts;
}

inline Opened open_sounding(const Folder& folder) {
  Opened model = open(folder);
  model->engine.reset(new Sounding);
  return model;
}

class Sensing : public edgetl::Engine {
 public:
  Sensing() {
    inputs_ = {{input_.data(), sizeof input_}};
    outputs_ = {{logits_.data(), sizeof logits_}};
  }
  edgetl_status run(edgetl_error* error) noexcept override {
    logits_ = {input_[0], input_[1], input_.back()};
    if (error != nullptr) *error = {};
    return EDGETL_OK;
  }
  const char* version() const noexcept override { return ""; }

 private:
  std::array<float, size_t{steps} * channels> input_{};
  std::array<float, classes> logits_{};
};

inline Facts of_series() {
  Facts facts;
  facts.series = true;
  facts.golden = false;
  return facts;
}

inline Opened open_sensing(const Folder& folder) {
  Opened model = open(folder);
  model->engine.reset(new Sensing);
  return model;
}

}  // namespace small_bundle
