// Times edgetl beside the bare engine: the same library, model, settings and buffers.
//
//   overhead runs  ENGINE LIBRARY BUNDLE MODEL HEIGHT WIDTH CLASSES THREADS HINT ROUNDS
//   overhead start-edgetl | start-bare  (the same arguments)
//
// runs   one line per round: nanoseconds of one edgetl_run and of one bare run, in turns first
// start  one line: nanoseconds from the beginning of main to the first answer; a fresh process for each
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "edgetl/runtime.h"
#include "tools/bare_engine.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr int argument_count = 12;
constexpr int warm_up = 50;

struct Arguments {
  std::string mode, engine, bundle;
  bare::Spec spec;
  int rounds;
};

Arguments parse(char** argv) {
  Arguments arguments;
  arguments.mode = argv[1];
  arguments.engine = argv[2];
  arguments.bundle = argv[4];
  arguments.spec = {argv[3], argv[5], std::atoll(argv[6]), std::atoll(argv[7]), std::atoll(argv[8]), std::atoi(argv[9]),
                    argv[10]};
  arguments.rounds = std::atoi(argv[11]);
  return arguments;
}

// What the caller of either owns; the input is any picture.
struct Buffers {
  explicit Buffers(const bare::Spec& spec)
      : input(static_cast<size_t>(spec.height * spec.width * 3)), logits(static_cast<size_t>(spec.classes)) {
    uint32_t state = 1;
    for (uint8_t& value : input) value = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  }
  std::vector<uint8_t> input;
  std::vector<float> logits;
};

class Edgetl {
 public:
  Edgetl(const Arguments& arguments, Buffers& buffers) : buffers_(buffers) {
    edgetl_options options{};
    options.struct_size = sizeof options;
    options.threads = arguments.spec.threads;
    options.engine_library = arguments.spec.library.c_str();
    check(edgetl_open(arguments.bundle.c_str(), &options, &model_, &error_));
  }
  ~Edgetl() { edgetl_close(model_); }
  Edgetl(const Edgetl&) = delete;
  Edgetl& operator=(const Edgetl&) = delete;

  void run() {
    check(edgetl_run(model_, buffers_.input.data(), buffers_.input.size(), buffers_.logits.data(),
                     buffers_.logits.size(), &error_));
  }

 private:
  void check(edgetl_status status) const {
    if (status == EDGETL_OK) return;
    std::fprintf(stderr, "edgetl: %s\n", error_.message);
    std::exit(1);
  }
  Buffers& buffers_;
  edgetl_model* model_ = nullptr;
  edgetl_error error_{};
};

std::unique_ptr<bare::Engine> open_bare(const Arguments& arguments, Buffers& buffers) {
#if EDGETL_WITH_ONNXRUNTIME
  if (arguments.engine == "onnxruntime") {
    return std::make_unique<bare::OnnxRuntime>(arguments.spec, buffers.input.data(), buffers.logits.data());
  }
#endif
#if EDGETL_WITH_OPENVINO
  if (arguments.engine == "openvino") {
    return std::make_unique<bare::OpenVino>(arguments.spec, buffers.input.data(), buffers.logits.data());
  }
#endif
  bare::give_up("finding the engine: it was not built in, and that");
}

template <typename Engine>
int64_t nanoseconds(Engine& engine) {
  const Clock::time_point start = Clock::now();
  engine.run();
  return std::chrono::nanoseconds(Clock::now() - start).count();
}

int time_runs(const Arguments& arguments) {
  Buffers of_edgetl(arguments.spec);
  Buffers of_bare(arguments.spec);
  Edgetl edgetl(arguments, of_edgetl);
  const std::unique_ptr<bare::Engine> bare = open_bare(arguments, of_bare);
  for (int round = -warm_up; round < arguments.rounds; ++round) {
    const bool bare_first = round % 2 != 0;
    const int64_t early = bare_first ? nanoseconds(*bare) : 0;
    const int64_t ours = nanoseconds(edgetl);
    const int64_t theirs = bare_first ? early : nanoseconds(*bare);
    if (round >= 0) std::printf("%lld %lld\n", static_cast<long long>(ours), static_cast<long long>(theirs));
  }
  if (of_edgetl.logits == of_bare.logits) return 0;
  std::fprintf(stderr, "the logits differ\n");
  return 1;
}

int time_start(const Arguments& arguments, Clock::time_point start) {
  Buffers buffers(arguments.spec);
  if (arguments.mode == "start-edgetl") {
    Edgetl edgetl(arguments, buffers);
    edgetl.run();
    std::printf("%lld\n", static_cast<long long>(std::chrono::nanoseconds(Clock::now() - start).count()));
  } else {
    open_bare(arguments, buffers)->run();
    std::printf("%lld\n", static_cast<long long>(std::chrono::nanoseconds(Clock::now() - start).count()));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Clock::time_point start = Clock::now();
  if (argc != argument_count) {
    std::fprintf(stderr, "expected %d arguments; see the head of overhead.cpp\n", argument_count - 1);
    return 2;
  }
  const Arguments arguments = parse(argv);
  return arguments.mode == "runs" ? time_runs(arguments) : time_start(arguments, start);
}
