#include "time_steps.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "fail.h"
#include "series.h"
#include "sounds.h"

namespace edgetl {
namespace {

constexpr size_t read_at_once = 1 << 16, longest_line = 1 << 20;

using Take = std::function<edgetl_status(const float* values, size_t time_steps)>;

// Pieces of a file -> time steps.
class Parser {
 public:
  virtual ~Parser() = default;
  virtual edgetl_status read(std::string_view bytes, edgetl_error* error) = 0;
  virtual edgetl_status end(edgetl_error* error) = 0;
};

class RawParser : public Parser {
 public:
  RawParser(const std::string& path, size_t channels, const Take& take)
      : path_(path), channels_(channels), take_(take) {}

  edgetl_status read(std::string_view bytes, edgetl_error*) override {
    held_.append(bytes);
    const size_t size = channels_ * sizeof(float), time_steps = held_.size() / size;
    values_.resize(time_steps * channels_);
    if (time_steps == 0) return EDGETL_OK;
    std::memcpy(values_.data(), held_.data(), time_steps * size);
    held_.erase(0, time_steps * size);
    return take_(values_.data(), time_steps);
  }
  edgetl_status end(edgetl_error* error) override {
    if (held_.empty()) return EDGETL_OK;
    return fail(error, EDGETL_INVALID_ARGUMENT, "%s: ends within a time step of %zu float32 values: %zu of %zu bytes",
                path_.c_str(), channels_, held_.size(), channels_ * sizeof(float));
  }

 private:
  const std::string& path_;
  size_t channels_;
  const Take& take_;
  std::string held_;
  std::vector<float> values_;
};

class TextParser : public Parser {
 public:
  TextParser(const std::string& path, size_t channels, const Take& take)
      : path_(path), channels_(channels), take_(take), reader_(path_.c_str()) {}

  edgetl_status read(std::string_view bytes, edgetl_error* error) override {
    values_.clear();
    for (const char c : bytes) {
      const bool ends = c == '\r' || c == '\n', second = c == '\n' && after_return_;
      after_return_ = c == '\r';
      if (second) continue;
      if (!ends) line_ += c;
      if (line_.size() > longest_line) {
        return fail(error, EDGETL_INVALID_ARGUMENT, "%s: expected lines of at most %zu bytes", path_.c_str(),
                    longest_line);
      }
      if (!ends) continue;
      if (const edgetl_status status = end_line(error)) return status;
    }
    return give();
  }
  edgetl_status end(edgetl_error* error) override {
    values_.clear();
    const edgetl_status status = end_line(error);
    return status == EDGETL_OK ? give() : status;
  }

 private:
  edgetl_status end_line(edgetl_error* error) {
    const edgetl_status status = reader_.take(line_, values_, error);
    line_.clear();
    if (status != EDGETL_OK || reader_.channels() == 0 || reader_.channels() == channels_) return status;
    return fail(error, EDGETL_INVALID_ARGUMENT, "%s: expected %zu channels, found %zu", path_.c_str(), channels_,
                reader_.channels());
  }
  edgetl_status give() { return values_.empty() ? EDGETL_OK : take_(values_.data(), values_.size() / channels_); }

  const std::string& path_;
  size_t channels_;
  const Take& take_;
  StepReader reader_;
  std::string line_;
  bool after_return_ = false;
  std::vector<float> values_;
};

edgetl_status read_all(int file, const std::string& path, Parser& parser, edgetl_error* error) {
  std::vector<char> bytes(read_at_once);
  for (;;) {
    const ssize_t got = ::read(file, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(error, EDGETL_INVALID_ARGUMENT, "%s: cannot read: %s", path.c_str(), std::strerror(errno));
    if (got == 0) return parser.end(error);
    if (const edgetl_status status = parser.read({bytes.data(), static_cast<size_t>(got)}, error)) return status;
  }
}

edgetl_status read_array_file(const std::string& path, size_t channels, const Take& take, edgetl_error* error) {
  Window window;
  const edgetl_status status = read_window_file(path, static_cast<int32_t>(channels), window, error);
  return status == EDGETL_OK ? take(window.values.data(), window.steps) : status;
}

}  // namespace

edgetl_status read_time_steps(const std::string& path, size_t channels, bool raw, const Take& take,
                              edgetl_error* error) {
  const bool array = path.size() > 4 && path.compare(path.size() - 4, 4, ".npy") == 0;
  if (array && !raw) return read_array_file(path, channels, take, error);
  const int file = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return fail(error, EDGETL_INVALID_ARGUMENT, "%s: cannot open: %s", path.c_str(), std::strerror(errno));
  RawParser of_raw(path, channels, take);
  TextParser of_text(path, channels, take);
  Parser& parser = raw ? static_cast<Parser&>(of_raw) : of_text;
  const edgetl_status status = read_all(file, path, parser, error);
  if (file != STDIN_FILENO) ::close(file);
  return status;
}

}  // namespace edgetl
