// What an opened bundle consists of.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "bundle.h"
#include "edgetl/runtime.h"
#include "engine.h"

struct edgetl_model {
  edgetl::Bundle bundle;
  std::unique_ptr<edgetl::Engine> engine;  // goes first: it may use the bundle's bytes
  int threads = 1;
  std::atomic<bool> running{false};  // an inference is under way: two at once would mix their numbers
};

namespace edgetl {

// `theirs` (may be null) as this version of the structure, whatever version the caller was compiled with.
edgetl_status take_options(const edgetl_options* theirs, edgetl_options& ours, edgetl_error* error);

// Opens the engine for a bundle that was read: right machine, finished, engine built in and found.
edgetl_status open_engine(const edgetl_options& options, edgetl_model& model, edgetl_error* error);

}  // namespace edgetl
