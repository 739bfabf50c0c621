// What an opened bundle consists of.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "bundle.h"
#include "edgetl/runtime.h"
#include "engine.h"
#include "postprocess.h"
#include "resample.h"
#include "tokenizer.h"

struct edgetl_model {
  edgetl::Bundle bundle;
  std::unique_ptr<edgetl::Engine> engine;  // goes first: it may use the bundle's bytes
  edgetl::Postprocessor postprocessor;     // of a detector
  edgetl::Resampler resampler;             // of the audio front
  edgetl::Tokenizer tokenizer;             // of the text front
  int threads = 1;
  std::atomic<bool> running{false};  // an inference is under way: two at once would mix their numbers
};

namespace edgetl {

// One inference: as long as it lives, others of the same model are refused.
class Running {
 public:
  explicit Running(edgetl_model& model)
      : model_(model), alone_(!model.running.exchange(true, std::memory_order_acquire)) {}
  ~Running() {
    if (alone_) model_.running.store(false, std::memory_order_release);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  bool alone() const { return alone_; }
  edgetl_status refuse(edgetl_error* error) const;

 private:
  edgetl_model& model_;
  bool alone_;
};

// One inference; the outputs are then in `model.engine`. Not for two threads at once.
// input  the bytes of the input port; of a text as many as one of its lengths has
edgetl_status infer(edgetl_model& model, Bytes input, edgetl_error* error);

// EDGETL_INVALID_ARGUMENT for a function of another front than the bundle's.
edgetl_status check_front(const edgetl_model& model, Front front, edgetl_error* error);

// `theirs` (may be null) as this version of the structure, whatever version the caller was compiled with.
edgetl_status take_options(const edgetl_options* theirs, edgetl_options& ours, edgetl_error* error);

// Opens the engine for a bundle that was read: right machine, finished, engine built in and found.
edgetl_status open_engine(const edgetl_options& options, edgetl_model& model, edgetl_error* error);

}  // namespace edgetl
