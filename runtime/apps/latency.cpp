#include "latency.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <random>

namespace edgetl {
namespace {

constexpr int32_t settle_runs = 2;
constexpr double shortest_ms = 1e-6;  // a coarse clock may not move during a run of the null engine

using Clock = std::chrono::steady_clock;

class TimedModel {
 public:
  TimedModel(edgetl_model* model, const std::vector<std::vector<uint8_t>>& inputs) : model_(model), inputs_(inputs) {
    edgetl_info info{};
    info.struct_size = sizeof info;
    edgetl_get_info(model, &info);
    logits_.resize(static_cast<size_t>(info.classes));
  }

  edgetl_status run(int32_t number, edgetl_error* error) {
    const auto count = static_cast<int32_t>(inputs_.size());
    // the runs that settle before the first block have negative numbers
    const std::vector<uint8_t>& input = inputs_[static_cast<size_t>(((number % count) + count) % count)];
    return edgetl_run(model_, input.data(), input.size(), logits_.data(), logits_.size(), error);
  }

  edgetl_status time_block(int32_t first, int32_t behind, std::vector<double>& times_ms, edgetl_error* error) {
    for (int32_t number = first - settle_runs; number < first; ++number) {
      if (const edgetl_status status = run(number, error)) return status;
    }
    for (int32_t number = first; number < behind; ++number) {
      const Clock::time_point start = Clock::now();
      const edgetl_status status = run(number, error);
      const Clock::time_point end = Clock::now();
      if (status != EDGETL_OK) return status;
      times_ms[static_cast<size_t>(number)] =
          std::max(shortest_ms, std::chrono::duration<double, std::milli>(end - start).count());
    }
    return EDGETL_OK;
  }

 private:
  edgetl_model* model_;
  const std::vector<std::vector<uint8_t>>& inputs_;
  std::vector<float> logits_;
};

}  // namespace

edgetl_status time_interleaved(const std::vector<edgetl_model*>& models,
                               const std::vector<std::vector<uint8_t>>& inputs, const Protocol& protocol,
                               std::vector<std::vector<double>>& times_ms, edgetl_error* error) {
  std::vector<TimedModel> timed;
  timed.reserve(models.size());
  for (edgetl_model* model : models) timed.emplace_back(model, inputs);
  times_ms.assign(models.size(), std::vector<double>(static_cast<size_t>(protocol.runs)));
  for (TimedModel& model : timed) {
    for (int32_t number = 0; number < protocol.warmup; ++number) {
      if (const edgetl_status status = model.run(number, error)) return status;
    }
  }
  std::vector<size_t> order(models.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::mt19937_64 generator(protocol.seed);
  for (int32_t first = 0; first < protocol.runs; first += block_runs) {
    const int32_t behind = std::min(first + block_runs, protocol.runs);
    std::shuffle(order.begin(), order.end(), generator);
    for (const size_t index : order) {
      if (const edgetl_status status = timed[index].time_block(first, behind, times_ms[index], error)) return status;
    }
  }
  return EDGETL_OK;
}

}  // namespace edgetl
