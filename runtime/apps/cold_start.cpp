#include "cold_start.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <vector>

#include "machine.h"
#include "model.h"
#include "stats.h"

extern "C" char** environ;

namespace edgetl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int timeout_ms = 300'000;
constexpr uint8_t gray = 128;
constexpr const char* answer_mark = "cold start:";

struct Answer {
  std::string text;
  int exit_code = -1;
};

// Reads all output of a child until it closes it. False if that takes too long.
bool read_all(int pipe, std::string& text) {
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd ready{pipe, POLLIN, 0};
    const int polled = poll(&ready, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (polled < 0 && errno == EINTR) continue;
    if (polled <= 0) return false;
    char block[512];
    const ssize_t got = read(pipe, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    text.append(block, static_cast<size_t>(got));
  }
}

int exit_code_of(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool run_self(const std::vector<std::string>& arguments, Answer& answer, std::string& problem) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    problem = std::string("cannot open a pipe: ") + std::strerror(errno);
    return false;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = -1;
  const int spawned = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (spawned == 0) {
    if (!read_all(ends[0], answer.text)) {
      kill(child, SIGKILL);
      problem = "did not end within " + std::to_string(timeout_ms / 1000) + " s";
    }
    answer.exit_code = exit_code_of(child);
  } else {
    problem = std::string("cannot start /proc/self/exe: ") + std::strerror(spawned);
  }
  close(ends[0]);
  return problem.empty();
}

bool parse(const Answer& answer, ColdStart& result, std::string& problem) {
  // engines may have written to stdout before
  const size_t at = answer.text.rfind(answer_mark);
  const char* told = at == std::string::npos ? "" : answer.text.c_str() + at + std::strlen(answer_mark);
  if (answer.exit_code == 0 && std::sscanf(told, "%lf %" SCNd64 " %" SCNd64, &result.cold_start_ms,
                                           &result.peak_rss_bytes, &result.baseline_rss_bytes) == 3) {
    return true;
  }
  problem = *told != '\0' ? std::string(told + 1) : "ended with status " + std::to_string(answer.exit_code);
  problem.erase(problem.find_last_not_of('\n') + 1);
  return false;
}

}  // namespace

int run_cold_start(const char* bundle, const edgetl_options& options) {
  reset_peak_rss();
  const int64_t baseline = peak_rss_bytes();
  const Clock::time_point start = Clock::now();
  edgetl_error error{};
  edgetl_model* model = nullptr;
  edgetl_status status = edgetl_open(bundle, &options, &model, &error);
  if (status == EDGETL_OK) {
    edgetl_info info{};
    info.struct_size = sizeof info;
    edgetl_get_info(model, &info);
    std::vector<uint8_t> input(info.input_bytes, gray);
    if (info.max_tokens > 0) std::fill(input.begin(), input.end(), uint8_t{0});  // gray bytes are no tokens
    status = infer(*model, {input.data(), input.size()}, &error);
  }
  const double elapsed_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  const int64_t peak = peak_rss_bytes();
  edgetl_close(model);
  if (status != EDGETL_OK) {
    std::printf("%s %s\n", answer_mark, error.message);
    return 1;
  }
  std::printf("%s %.6f %" PRId64 " %" PRId64 "\n", answer_mark, elapsed_ms, std::max<int64_t>(peak - baseline, 0),
              baseline);
  return 0;
}

bool measure_cold_start(const std::string& bundle, const edgetl_options& options, int32_t repeats, ColdStart& result,
                        std::string& problem) {
  std::vector<std::string> arguments = {"edgetl-bench", cold_start_option, "--threads",
                                        std::to_string(options.threads)};
  if (options.engine_library != nullptr) {
    arguments.emplace_back("--engine-library");
    arguments.emplace_back(options.engine_library);
  }
  arguments.emplace_back("--");
  arguments.push_back(bundle);
  std::vector<double> times, peaks, baselines;
  for (int32_t repeat = 0; repeat < repeats; ++repeat) {
    Answer answer;
    ColdStart once{};
    if (!run_self(arguments, answer, problem) || !parse(answer, once, problem)) {
      problem.insert(0, bundle + ": fresh process: ");
      return false;
    }
    times.push_back(once.cold_start_ms);
    peaks.push_back(static_cast<double>(once.peak_rss_bytes));
    baselines.push_back(static_cast<double>(once.baseline_rss_bytes));
  }
  result = {median(times), static_cast<int64_t>(median(peaks)), static_cast<int64_t>(median(baselines))};
  return true;
}

}  // namespace edgetl
