// What the self-test reports, step by step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "edgetl/runtime.h"
#include "engine.h"
#include "golden.h"
#include "resample.h"
#include "tokenizer.h"

namespace edgetl {

constexpr size_t detail_bytes = 256;

struct Listener {
  edgetl_check_fn check;
  void* user;
};

struct Detail {
  char text[detail_bytes];
};

[[gnu::format(printf, 1, 2)]] Detail detail(const char* format, ...);

// Tells the listener every step, and keeps the first that failed.
class Checks {
 public:
  // noun: what an example is, "image", "clip", "window" or "text"
  Checks(const Listener& listener, const std::string& where, const char* noun)
      : listener_(listener), where_(where), noun_(noun) {}

  void add(int32_t image, const char* step, bool passed, double difference, double allowed, const Detail& detail);
  edgetl_status result(edgetl_error* error) const;

 private:
  Listener listener_;
  const std::string& where_;
  const char* noun_;
  bool failed_ = false;
  edgetl_check first_{};
  Detail first_detail_{};
};

// The steps before the network's input, of a recording.
edgetl_status check_sound(const Bundle& bundle, const Resampler& resampler, const GoldenImage& golden, int32_t index,
                          Checks& checks, edgetl_error* error);

// The same of a window.
edgetl_status check_series(const Series& series, const GoldenImage& golden, int32_t index, Checks& checks);

// The step before the network's input, of a text.
edgetl_status check_text(const Text& front, Tokenizer& tokenizer, const GoldenImage& golden, int32_t index,
                         Checks& checks, edgetl_error* error);

// The steps after the network's input, from the outputs in `engine`: of a classifier, and of a detector.
void check_logits(const Engine& engine, const Manifest& manifest, const GoldenImage& golden, int32_t index,
                  Checks& checks);
edgetl_status check_objects(const Engine& engine, const Manifest& manifest, const GoldenImage& golden, int32_t index,
                            Checks& checks, edgetl_error* error);

}  // namespace edgetl
