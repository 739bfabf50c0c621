// The C function of windows, and how they are read.
#include "series.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string>
#include <string_view>

#include "edgetl/series.h"
#include "fail.h"
#include "model.h"
#include "npy.h"

namespace edgetl {
namespace {

constexpr size_t most_steps = size_t{1} << 20;
constexpr size_t most_channels = 4096;

edgetl_status refuse(const char* name, const std::string& reason, edgetl_error* error) {
  return fail(error, EDGETL_INVALID_ARGUMENT, "%s: not usable as a window: %s; replace or remove it", name,
              reason.c_str());
}

// --- NumPy

template <typename Stored>
void convert(Bytes data, std::vector<float>& out) {
  out.resize(data.size / sizeof(Stored));
  for (size_t i = 0; i < out.size(); ++i) {
    Stored value;
    std::memcpy(&value, data.data + i * sizeof(Stored), sizeof(Stored));
    out[i] = static_cast<float>(value);
  }
}

struct Type {
  const char* name;
  void (*convert)(Bytes, std::vector<float>&);
};

constexpr Type types[] = {{"<f4", convert<float>},   {"<f8", convert<double>},  {"<i2", convert<int16_t>},
                          {"<i4", convert<int32_t>}, {"<i8", convert<int64_t>}, {"|i1", convert<int8_t>},
                          {"|u1", convert<uint8_t>}, {"<u2", convert<uint16_t>}};

bool take_array(Bytes file, Window& window) {
  Array array;
  for (const Type& type : types) {
    for (const size_t rank : {size_t{2}, size_t{1}}) {
      if (!read_array(file, type.name, rank, array)) continue;
      window.steps = static_cast<size_t>(array.shape[0]);
      window.channels = rank == 2 ? static_cast<size_t>(array.shape[1]) : 1;
      type.convert(array.data, window.values);
      return true;
    }
  }
  return false;
}

// --- text

std::string_view stripped(std::string_view cell) {
  while (!cell.empty() && cell.front() == ' ') cell.remove_prefix(1);
  while (!cell.empty() && cell.back() == ' ') cell.remove_suffix(1);
  return cell;
}

// Cells of a line; one pair of double quotes around a cell does not count.
std::vector<std::string_view> cells_of(std::string_view line, char separator) {
  std::vector<std::string_view> cells;
  size_t begin = 0;
  bool quoted = false;
  for (size_t i = 0; i <= line.size(); ++i) {
    if (i < line.size() && line[i] == '"') quoted = !quoted;
    if (i < line.size() && (quoted || line[i] != separator)) continue;
    std::string_view cell = line.substr(begin, i - begin);
    if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
    cells.push_back(stripped(cell));
    begin = i + 1;
  }
  return cells;
}

size_t digits(std::string_view text) {
  const size_t end = text.find_first_not_of("0123456789");
  return end == text.npos ? text.size() : end;
}

// [+-]?(digits[.digits?] | .digits)([eE][+-]?digits)?
bool is_value(std::string_view cell) {
  if (!cell.empty() && (cell.front() == '+' || cell.front() == '-')) cell.remove_prefix(1);
  const size_t whole = digits(cell);
  cell.remove_prefix(whole);
  size_t part = 0;
  if (!cell.empty() && cell.front() == '.') {
    cell.remove_prefix(1);
    part = digits(cell);
    cell.remove_prefix(part);
  }
  if (whole + part == 0) return false;
  if (cell.empty()) return true;
  if (cell.front() != 'e' && cell.front() != 'E') return false;
  cell.remove_prefix(1);
  if (!cell.empty() && (cell.front() == '+' || cell.front() == '-')) cell.remove_prefix(1);
  return !cell.empty() && digits(cell) == cell.size();
}

// Of a number; not strtod, which obeys the locale's decimal point.
float value_of(std::string_view cell) {
  if (cell.front() == '+') cell.remove_prefix(1);
  double value = 0;
  const auto result = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (result.ec == std::errc::result_out_of_range) {
    const bool tiny = cell.find("e-") != cell.npos || cell.find("E-") != cell.npos || cell.find('.') <= 1;
    value = tiny ? 0 : HUGE_VAL;
  }
  return static_cast<float>(value);
}

bool is_left_out(std::string_view header) {
  std::string lower(header);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return lower == "time" || lower == "timestamp" || lower == "t";
}

std::string shown(std::string_view cell) {
  if (cell.empty()) return "nothing";
  std::string text = "`" + std::string(cell.substr(0, 40)) + "`";
  make_printable(text.data(), text.size());
  return text;
}

edgetl_status take_text(const char* name, std::string_view text, Window& window, edgetl_error* error) {
  StepReader reader(name);
  while (!text.empty()) {
    const size_t end = text.find_first_of("\r\n");
    const std::string_view line = text.substr(0, end);
    const size_t skipped = end == text.npos ? 0 : text.substr(end, 2) == "\r\n" ? 2 : 1;
    text.remove_prefix(line.size() + skipped);
    if (const edgetl_status status = reader.take(line, window.values, error)) return status;
  }
  window.channels = reader.channels();
  if (window.channels == 0) return refuse(name, "it is empty", error);
  window.steps = window.values.size() / window.channels;
  return window.steps > 0 ? EDGETL_OK : refuse(name, "it has a header and no time steps", error);
}

edgetl_status check_values(const char* name, const Window& window, edgetl_error* error) {
  if (window.steps > most_steps || window.channels > most_channels) {
    return refuse(name, "expected at most 1048576 steps of 4096 channels", error);
  }
  const size_t bad = first_not_finite(window.values.data(), window.values.size());
  if (bad == window.values.size() || window.channels == 0) return EDGETL_OK;  // without channels there are no values
  return refuse(name,
                "the value of channel " + std::to_string(bad % window.channels + 1) + " at step " +
                    std::to_string(bad / window.channels + 1) +
                    (std::isnan(window.values[bad]) ? " is not a number" : " is infinite") + "; fill or cut gaps first",
                error);
}

edgetl_status check_call(const edgetl_model& model, const float* values, size_t steps, size_t channels, size_t classes,
                         edgetl_error* error) {
  const Manifest& manifest = model.bundle.manifest();
  const edgetl_status status = check_front(model, Front::series, error);
  if (status != EDGETL_OK) return status;
  if (channels != static_cast<size_t>(manifest.series.channels)) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "window: expected %d channels, found %zu",
                static_cast<int>(manifest.series.channels), channels);
  }
  if (steps < 1 || steps > most_steps) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "window: expected 1 to %zu steps; found %zu", most_steps, steps);
  }
  if (classes != manifest.labels.size()) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "logits: expected info.classes, %zu; found %zu", manifest.labels.size(),
                classes);
  }
  const size_t bad = first_not_finite(values, steps * channels);
  if (bad == steps * channels) return EDGETL_OK;
  return fail(error, EDGETL_INVALID_ARGUMENT,
              "window: the value of channel %zu at step %zu is not finite; fill or cut gaps first", bad % channels + 1,
              bad / channels + 1);
}

}  // namespace

edgetl_status StepReader::take(std::string_view line, std::vector<float>& values, edgetl_error* error) {
  if (++line_ == 1) {
    if (line.substr(0, 3) == "\xEF\xBB\xBF") line.remove_prefix(3);
    separator_ = line.find('\t') == line.npos ? ',' : '\t';
  }
  const std::vector<std::string_view> cells = cells_of(line, separator_);
  if (std::all_of(cells.begin(), cells.end(), [](std::string_view cell) { return cell.empty(); })) return EDGETL_OK;
  if (width_ == 0) {
    width_ = cells.size();
    const bool header = !std::all_of(cells.begin(), cells.end(), is_value);
    first_ = header && is_left_out(cells[0]) ? 1 : 0;
    if (channels() == 0) return refuse(name_, "it has no channel beside its time", error);
    if (header) return EDGETL_OK;
  }
  const std::string where = "line " + std::to_string(line_) + ": ";
  if (cells.size() != width_) {
    const std::string counts = std::to_string(width_) + " cells, found " + std::to_string(cells.size());
    return refuse(name_, where + "expected " + counts, error);
  }
  for (size_t i = 0; i < width_; ++i) {
    if (!is_value(cells[i])) {
      const std::string column = std::to_string(i + 1);
      return refuse(name_, where + "expected a number in column " + column + ", found " + shown(cells[i]), error);
    }
    if (i >= first_) values.push_back(value_of(cells[i]));
  }
  return EDGETL_OK;
}

edgetl_status read_window(const char* name, Bytes file, Window& window, edgetl_error* error) {
  constexpr uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  window = Window();
  if (file.size >= sizeof magic && std::memcmp(file.data, magic, sizeof magic) == 0) {
    if (!take_array(file, window)) {
      return refuse(name, "expected numbers (steps, channels) in NumPy's format 1.0, in C order", error);
    }
  } else {
    const std::string_view text{reinterpret_cast<const char*>(file.data), file.size};
    if (const edgetl_status status = take_text(name, text, window, error)) return status;
  }
  return check_values(name, window, error);
}

void fit_window(const float* values, size_t steps, size_t channels, size_t wanted, float* out) {
  const size_t kept = std::min(steps, wanted);
  std::copy_n(values, kept * channels, out);
  const float* last = values + (kept - 1) * channels;
  for (size_t step = kept; step < wanted; ++step) std::copy_n(last, channels, out + step * channels);
}

size_t first_not_finite(const float* values, size_t count) {
  const float* found = std::find_if(values, values + count, [](float value) { return !std::isfinite(value); });
  return static_cast<size_t>(found - values);
}

}  // namespace edgetl

using edgetl::null_argument;

edgetl_status edgetl_classify_window(edgetl_model* model, const float* values, size_t steps, size_t channels,
                                     float* logits, size_t classes, edgetl_error* error) {
  if (model == nullptr) return null_argument(error, "an open model");
  if (values == nullptr) return null_argument(error, "values");
  if (logits == nullptr) return null_argument(error, "a buffer for the logits");
  edgetl_status status = edgetl::check_call(*model, values, steps, channels, classes, error);
  if (status != EDGETL_OK) return status;
  const edgetl::Running running(*model);
  if (!running.alone()) return running.refuse(error);
  edgetl::Engine& engine = *model->engine;
  edgetl::fit_window(values, steps, channels, static_cast<size_t>(model->bundle.manifest().series.steps),
                     static_cast<float*>(engine.inputs()[0].data));
  status = engine.run(error);
  if (status == EDGETL_OK) std::memcpy(logits, engine.outputs()[0].data, classes * sizeof(float));
  return status;
}
