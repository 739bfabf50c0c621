#include "resample.h"

#include <algorithm>
#include <numeric>

#include "fail.h"
#include "npy.h"

namespace edgetl {

bool Resampler::set(int32_t from_hz, int32_t to_hz, size_t taps) {
  const int32_t common = std::gcd(from_hz, to_hz);
  phases_ = to_hz / common;
  step_ = from_hz / common;
  taps_ = static_cast<int64_t>(taps);
  if (taps == 0) return true;
  table_ = make_buffer<int16_t>(static_cast<size_t>(phases_) * taps);
  return table_ != nullptr;
}

bool Resampler::open(int32_t from_hz, int32_t to_hz, const int16_t* table, size_t taps) {
  if (!set(from_hz, to_hz, taps)) return false;
  std::copy_n(table, static_cast<size_t>(phases_) * taps, table_.get());
  return true;
}

edgetl_status Resampler::open(const Bundle& bundle, edgetl_error* error) {
  const Audio& audio = bundle.manifest().audio;
  if (audio.rate_hz == audio.file_rate_hz) return EDGETL_OK;
  Array table;
  const bool readable = read_array(bundle.file(resampler_name), "<i2", 2, table);
  const int32_t phases = audio.rate_hz / std::gcd(audio.rate_hz, audio.file_rate_hz);
  if (!readable || table.shape[0] != phases || table.shape[1] % 2 != 0 || table.data.size / 2 > most_table_values) {
    return fail(error, EDGETL_BUNDLE_INVALID,
                "%s/%s: expected int16 (%d, an even number) in NumPy's format 1.0; build the bundle again",
                bundle.where().c_str(), resampler_name, static_cast<int>(phases));
  }
  if (!set(audio.file_rate_hz, audio.rate_hz, static_cast<size_t>(table.shape[1]))) {
    return fail(error, EDGETL_OUT_OF_MEMORY, "%s: no memory for %s", bundle.where().c_str(), resampler_name);
  }
  for (size_t i = 0; i < table.data.size / 2; ++i) {  // little-endian, at any address
    table_[i] = static_cast<int16_t>(table.data.data[2 * i] | table.data.data[2 * i + 1] << 8);
  }
  return EDGETL_OK;
}

Moment Resampler::next(Moment at) const {
  at.whole += step_ / phases_;
  at.phase += step_ % phases_;
  if (at.phase < phases_) return at;
  return {at.whole + 1, at.phase - phases_};
}

int16_t Resampler::sample(const int16_t* x, int64_t first, int64_t count, Moment at) const {
  if (taps_ == 0) return x[at.whole - first];
  const int64_t begin = first_of(at);
  const int64_t low = std::max(begin, first), high = std::min(begin + taps_, first + count);
  const int16_t* taps = table_.get() + at.phase * taps_;
  int64_t sum = 16384;
  for (int64_t i = low; i < high; ++i) {
    const int32_t product = int32_t{taps[i - begin]} * x[i - first];
    sum += product;
  }
  return static_cast<int16_t>(std::clamp<int64_t>(sum >> 15, -32768, 32767));
}

void cut_window(const Resampler& resampler, const int16_t* clip, int64_t count, int64_t samples, int16_t* out) {
  const int64_t length = resampler.length_of(count);
  const int64_t skipped = std::max<int64_t>(length - samples, 0) / 2,
                before = std::max<int64_t>(samples - length, 0) / 2;
  const int64_t kept = std::min(length, samples);
  std::fill_n(out, samples, int16_t{0});
  Moment at = resampler.moment_of(skipped);
  for (int64_t i = 0; i < kept; ++i, at = resampler.next(at)) out[before + i] = resampler.sample(clip, 0, count, at);
}

}  // namespace edgetl
