#include "resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "fail.h"
#include "frame.h"

// Contracting a * b + c into one rounding would give different coefficients on other processors. GCC: -ffp-contract=off.
#if defined(__clang__)
#pragma clang fp contract(off)
#endif

namespace edgetl {
namespace {

constexpr int fraction_bits = 22;  // of a coefficient: 8 bits for the pixel and 2 for overshoot make 32
constexpr size_t alignment = 8;
constexpr int32_t pixels_at_once = 4;

// One axis: `size` pixels become `resized`, of which `kept` from `first` on are computed.
struct Axis {
  int32_t size = 0, resized = 0, first = 0, kept = 0;
  bool same() const { return size == resized; }
};

struct Plan {
  Axis x, y;
  int32_t top = 0, left = 0;  // where the kept pixels lie in the output
};

// The input pixels that make one output pixel.
struct Window {
  int32_t first, count;
};

// Where the parts of the scratch memory begin, in bytes.
struct Layout {
  size_t x_windows = 0, x_weights = 0, y_weights = 0, exact = 0, sums = 0, line = 0, ring = 0, bytes = 0;
  int32_t x_taps = 0, ring_rows = 0;
};

// Layout, bound to memory.
struct Scratch {
  Window* x_windows;
  int32_t* x_weights;
  int32_t* y_weights;
  double* exact;
  int32_t* sums;
  uint8_t* line;
  uint8_t* ring;
};

int32_t channels_of(edgetl_pixels format) { return format == EDGETL_GREY ? 1 : 3; }

edgetl_status make_plan(const Preprocessing& p, int32_t width, int32_t height, Plan& plan, edgetl_error* error) {
  Frame frame;
  const edgetl_status status = make_frame(p, width, height, frame, error);
  if (status != EDGETL_OK) return status;
  plan.x = {width, frame.columns, std::max(0, -frame.left), std::min(frame.columns, p.width)};
  plan.y = {height, frame.rows, std::max(0, -frame.top), std::min(frame.rows, p.height)};
  plan.left = std::max(0, frame.left);
  plan.top = std::max(0, frame.top);
  return EDGETL_OK;
}

double reach_of(Interpolation filter) { return filter == Interpolation::bicubic ? 2.0 : 1.0; }

double triangle(double x) {
  x = std::fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

// Cubic convolution with a = -1/2 (Keys 1981).
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

// The filter as it lies over one axis: it widens with the reduction, which is the antialiasing.
struct Filter {
  Filter(Interpolation kind, const Axis& axis)
      : cubic_(kind == Interpolation::bicubic),
        scale_(static_cast<double>(axis.size) / axis.resized),
        stretch_(std::max(scale_, 1.0)),
        reach_(reach_of(kind) * stretch_),
        size_(axis.size) {}

  // No window is longer.
  int32_t taps() const { return std::min(static_cast<int32_t>(std::ceil(reach_)) * 2 + 1, size_); }

  Window window(int32_t position) const {
    const double centre = (position + 0.5) * scale_;
    const int32_t first = std::max(static_cast<int32_t>(centre - reach_ + 0.5), 0);
    const int32_t end = std::min(static_cast<int32_t>(centre + reach_ + 0.5), size_);
    return {first, end - first};
  }

  // Fixed-point weights that add up to about 1; `exact` holds window.count doubles meanwhile.
  void weigh(int32_t position, Window window, double* exact, int32_t* weights) const {
    const double centre = (position + 0.5) * scale_;
    const double shrink = 1.0 / stretch_;
    double sum = 0.0;
    for (int32_t i = 0; i < window.count; ++i) {
      const double at = (i + window.first - centre + 0.5) * shrink;
      exact[i] = cubic_ ? cubic(at) : triangle(at);
      sum += exact[i];
    }
    for (int32_t i = 0; i < window.count; ++i) {
      const double weight = (sum != 0.0 ? exact[i] / sum : exact[i]) * (1 << fraction_bits);
      weights[i] = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
  }

 private:
  bool cubic_;
  double scale_, stretch_, reach_;
  int32_t size_;
};

// In 64 bits, where nothing can overflow: at most 10^5 columns or rows times 10^5 taps.
class Allocator {
 public:
  size_t take(uint64_t count, size_t size) {
    const uint64_t at = bytes_;
    bytes_ += (count * size + alignment - 1) / alignment * alignment;
    return static_cast<size_t>(at);
  }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t bytes_ = 0;
};

edgetl_status lay_out(const Preprocessing& p, const Plan& plan, Layout& layout, edgetl_error* error) {
  const int32_t x_taps = Filter(p.interpolation, plan.x).taps();
  const int32_t y_taps = Filter(p.interpolation, plan.y).taps();
  const auto line = static_cast<uint64_t>(plan.x.kept) * 3;
  Allocator memory;
  layout.x_taps = x_taps;
  layout.ring_rows = plan.y.same() ? 1 : y_taps;
  if (!plan.x.same()) {
    layout.x_windows = memory.take(static_cast<uint64_t>(plan.x.kept), sizeof(Window));
    layout.x_weights = memory.take(static_cast<uint64_t>(plan.x.kept) * static_cast<uint64_t>(x_taps), sizeof(int32_t));
    layout.ring = memory.take(static_cast<uint64_t>(layout.ring_rows) * line, 1);
  }
  if (!plan.y.same()) {
    layout.y_weights = memory.take(static_cast<uint64_t>(y_taps), sizeof(int32_t));
    layout.sums = memory.take(line, sizeof(int32_t));
    layout.line = memory.take(line, 1);
  }
  layout.exact = memory.take(static_cast<uint64_t>(std::max(x_taps, y_taps)), sizeof(double));
  if (memory.bytes() > std::numeric_limits<size_t>::max() / 2) {
    return fail(error, EDGETL_OUT_OF_MEMORY, "an image of %dx%d pixels needs %llu bytes of scratch memory", plan.x.size,
                plan.y.size, static_cast<unsigned long long>(memory.bytes()));
  }
  layout.bytes = static_cast<size_t>(memory.bytes());
  return EDGETL_OK;
}

template <typename T>
T* part(void* scratch, size_t offset) {
  return reinterpret_cast<T*>(static_cast<uint8_t*>(scratch) + offset);
}

Scratch bind(const Layout& layout, void* scratch) {
  return {part<Window>(scratch, layout.x_windows),  part<int32_t>(scratch, layout.x_weights),
          part<int32_t>(scratch, layout.y_weights), part<double>(scratch, layout.exact),
          part<int32_t>(scratch, layout.sums),      part<uint8_t>(scratch, layout.line),
          part<uint8_t>(scratch, layout.ring)};
}

uint8_t to_pixel(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> fraction_bits, 0, 255)); }

constexpr int32_t half = 1 << (fraction_bits - 1);

// One output pixel along x. Four pixels at a time in as many sums as they have values, so that the compiler can keep
// them in vector registers; integers may be added in any order.
template <int channels>
void sample_pixel(const uint8_t* pixels, const int32_t* weights, int32_t count, uint8_t* out) {
  constexpr int lanes = channels * pixels_at_once;
  int32_t sums[lanes] = {};
  int32_t i = 0;
  for (; i + pixels_at_once <= count; i += pixels_at_once) {
    for (int lane = 0; lane < lanes; ++lane) sums[lane] += pixels[i * channels + lane] * weights[i + lane / channels];
  }
  for (; i < count; ++i) {
    for (int c = 0; c < channels; ++c) sums[c] += pixels[i * channels + c] * weights[i];
  }
  for (int c = 0; c < channels; ++c) {
    int32_t sum = half;
    for (int lane = c; lane < lanes; lane += channels) sum += sums[lane];
    out[c] = to_pixel(sum);
  }
}

template <int channels>
void sample_row(const uint8_t* pixels, const Window* windows, const int32_t* weights, int32_t taps, int32_t columns,
                uint8_t* out) {
  for (int32_t x = 0; x < columns; ++x) {
    sample_pixel<channels>(pixels + static_cast<size_t>(windows[x].first) * channels, weights, windows[x].count, out);
    weights += taps;
    out += channels;
  }
}

void add_row(const uint8_t* __restrict row, int32_t weight, int32_t* __restrict sums, size_t values) {
  for (size_t i = 0; i < values; ++i) sums[i] += row[i] * weight;
}

void round_row(const int32_t* __restrict sums, uint8_t* __restrict out, size_t values) {
  for (size_t i = 0; i < values; ++i) out[i] = to_pixel(sums[i]);
}

void store_row(const uint8_t* row, edgetl_pixels format, int32_t columns, uint8_t* out) {
  if (format == EDGETL_RGB) {
    std::memcpy(out, row, static_cast<size_t>(columns) * 3);
    return;
  }
  const int step = channels_of(format), red = format == EDGETL_BGR ? 2 : 0, green = format == EDGETL_BGR ? 1 : 0;
  for (int32_t x = 0; x < columns; ++x, row += step, out += 3) {
    out[0] = row[red];
    out[1] = row[green];
    out[2] = row[0];
  }
}

// Rows after the pass along x, for the pass along y. They are asked for from top to bottom, and the last `ring_rows`
// stay.
class Rows {
 public:
  Rows(const Plan& plan, const Layout& layout, const Scratch& scratch, const edgetl_image& image)
      : plan_(plan),
        layout_(layout),
        scratch_(scratch),
        image_(image),
        values_(static_cast<size_t>(plan.x.kept) * static_cast<size_t>(channels_of(image.format))) {}

  size_t values() const { return values_; }

  // Makes rows [window.first, window.first + window.count) available to `row`.
  void prepare(Window window) {
    if (plan_.x.same()) return;
    for (next_ = std::max(next_, window.first); next_ < window.first + window.count; ++next_) {
      pass_along_x(source(next_), slot(next_));
    }
  }

  const uint8_t* row(int32_t y) const { return plan_.x.same() ? source(y) + offset() : slot(y); }

 private:
  const uint8_t* source(int32_t y) const { return image_.pixels + static_cast<size_t>(y) * image_.stride_bytes; }
  size_t offset() const { return static_cast<size_t>(plan_.x.first) * static_cast<size_t>(channels_of(image_.format)); }
  uint8_t* slot(int32_t y) const { return scratch_.ring + static_cast<size_t>(y % layout_.ring_rows) * values_; }

  void pass_along_x(const uint8_t* row, uint8_t* out) const {
    const auto pass = image_.format == EDGETL_GREY ? sample_row<1> : sample_row<3>;
    pass(row, scratch_.x_windows, scratch_.x_weights, layout_.x_taps, plan_.x.kept, out);
  }

  const Plan& plan_;
  const Layout& layout_;
  const Scratch& scratch_;
  const edgetl_image& image_;
  size_t values_;
  int32_t next_ = 0;
};

void weigh_columns(const Filter& filter, const Axis& axis, const Layout& layout, const Scratch& scratch) {
  for (int32_t i = 0; i < axis.kept; ++i) {
    const Window window = filter.window(axis.first + i);
    scratch.x_windows[i] = window;
    filter.weigh(axis.first + i, window, scratch.exact,
                 scratch.x_weights + static_cast<size_t>(i) * static_cast<size_t>(layout.x_taps));
  }
}

const uint8_t* sample_column(const Filter& filter, int32_t position, const Scratch& scratch, Rows& rows) {
  const Window window = filter.window(position);
  rows.prepare(window);
  filter.weigh(position, window, scratch.exact, scratch.y_weights);
  std::fill_n(scratch.sums, rows.values(), half);
  for (int32_t i = 0; i < window.count; ++i) {
    add_row(rows.row(window.first + i), scratch.y_weights[i], scratch.sums, rows.values());
  }
  round_row(scratch.sums, scratch.line, rows.values());
  return scratch.line;
}

void fill_output(const Preprocessing& p, uint8_t* out) {
  const size_t values = static_cast<size_t>(p.height) * static_cast<size_t>(p.width) * 3;
  for (size_t i = 0; i < values; ++i) out[i] = p.fill[i % 3];
}

void run_plan(const Preprocessing& p, const Plan& plan, const Layout& layout, const Scratch& scratch,
              const edgetl_image& image, uint8_t* out) {
  if (!plan.x.same()) weigh_columns(Filter(p.interpolation, plan.x), plan.x, layout, scratch);
  const Filter filter(p.interpolation, plan.y);
  Rows rows(plan, layout, scratch, image);
  for (int32_t y = 0; y < plan.y.kept; ++y) {
    const int32_t position = plan.y.first + y;
    const uint8_t* row = nullptr;
    if (plan.y.same()) {
      rows.prepare({position, 1});
      row = rows.row(position);
    } else {
      row = sample_column(filter, position, scratch, rows);
    }
    const size_t pixel =
        static_cast<size_t>(plan.top + y) * static_cast<size_t>(p.width) + static_cast<size_t>(plan.left);
    store_row(row, image.format, plan.x.kept, out + pixel * 3);
  }
}

edgetl_status check_image(const edgetl_image& image, edgetl_error* error) {
  if (image.pixels == nullptr) return fail(error, EDGETL_INVALID_ARGUMENT, "expected the image's pixels, found NULL");
  if (image.format != EDGETL_RGB && image.format != EDGETL_BGR && image.format != EDGETL_GREY) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "expected an image format of edgetl_pixels, found %d",
                static_cast<int>(image.format));
  }
  const auto row = static_cast<uint64_t>(image.width) * static_cast<uint64_t>(channels_of(image.format));
  if (image.stride_bytes < row) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "expected a stride of at least %llu bytes for %d pixels, found %llu",
                static_cast<unsigned long long>(row), image.width, static_cast<unsigned long long>(image.stride_bytes));
  }
  if (image.stride_bytes > std::numeric_limits<size_t>::max() / static_cast<size_t>(image.height)) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "%d rows of %llu bytes exceed the address space", image.height,
                static_cast<unsigned long long>(image.stride_bytes));
  }
  return EDGETL_OK;
}

edgetl_status check_buffers(const Layout& layout, const void* scratch, size_t scratch_bytes, const uint8_t* out,
                            edgetl_error* error) {
  if (scratch == nullptr || scratch_bytes < layout.bytes) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "expected %llu bytes of scratch memory, found %llu",
                static_cast<unsigned long long>(layout.bytes),
                static_cast<unsigned long long>(scratch == nullptr ? 0 : scratch_bytes));
  }
  if (reinterpret_cast<uintptr_t>(scratch) % alignment != 0) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "expected scratch memory aligned to %d bytes",
                static_cast<int>(alignment));
  }
  if (out == nullptr)
    return fail(error, EDGETL_INVALID_ARGUMENT, "expected memory for the network's input, found NULL");
  return EDGETL_OK;
}

}  // namespace

edgetl_status resize_scratch_bytes(const Preprocessing& p, int32_t width, int32_t height, size_t& bytes,
                                   edgetl_error* error) {
  bytes = 0;
  Plan plan;
  edgetl_status status = make_plan(p, width, height, plan, error);
  if (status != EDGETL_OK) return status;
  Layout layout;
  status = lay_out(p, plan, layout, error);
  if (status != EDGETL_OK) return status;
  bytes = layout.bytes;
  return succeed(error);
}

edgetl_status resize(const Preprocessing& p, const edgetl_image& image, void* scratch, size_t scratch_bytes,
                     uint8_t* out, edgetl_error* error) {
  Plan plan;
  Layout layout;
  edgetl_status status = make_plan(p, image.width, image.height, plan, error);
  if (status == EDGETL_OK) status = lay_out(p, plan, layout, error);
  if (status == EDGETL_OK) status = check_image(image, error);
  if (status == EDGETL_OK) status = check_buffers(layout, scratch, scratch_bytes, out, error);
  if (status != EDGETL_OK) return status;
  if (p.resize == Resize::letterbox || p.resize == Resize::letterbox_corner) fill_output(p, out);
  run_plan(p, plan, layout, bind(layout, scratch), image, out);
  return succeed(error);
}

}  // namespace edgetl
