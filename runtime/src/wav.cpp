#include "wav.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "fail.h"

namespace edgetl {
namespace {

constexpr uint16_t integers = 1, ieee_floats = 3, extensible = 0xFFFE;
constexpr uint8_t rest_of_guid[] = {0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71};
constexpr uint32_t placeholder = 0x7FFFF000;  // from here on: of a writer that could not go back to the header

uint16_t read_16(const uint8_t* bytes) { return static_cast<uint16_t>(bytes[0] | bytes[1] << 8); }

uint32_t read_32(const uint8_t* bytes) { return read_16(bytes) | static_cast<uint32_t>(read_16(bytes + 2)) << 16; }

bool is_name(const uint8_t* bytes, const char* name) { return std::memcmp(bytes, name, 4) == 0; }

constexpr const char* convert_it = "convert it: ffmpeg -i FILE -ac 1 -c:a pcm_s16le NEW.wav";
constexpr const char* replace_it = "replace or remove it";

// Why a file is refused; empty: it is not.
struct Reason {
  char text[200] = "";
  const char* remedy = replace_it;
  explicit operator bool() const { return text[0] != '\0'; }
};

[[gnu::format(printf, 2, 3)]] Reason reason(const char* remedy, const char* format, ...) {
  Reason made;
  made.remedy = remedy;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(made.text, sizeof made.text, format, arguments);
  va_end(arguments);
  return made;
}

struct Chunks {
  Bytes format, data;
  uint32_t data_size = 0;  // as the file says it
};

Reason find_chunks(Bytes file, Chunks& chunks) {
  if (file.size == 0) return reason(replace_it, "the file is empty");
  if (file.size < 12 || !is_name(file.data, "RIFF") || !is_name(file.data + 8, "WAVE")) {
    return reason(replace_it, "it is not a WAV file, the only format this program reads");
  }
  for (size_t at = 12; at <= file.size && file.size - at >= 8;) {
    const uint8_t* name = file.data + at;
    const uint32_t size = read_32(name + 4);
    const Bytes rest = {name + 8, file.size - at - 8};
    if (is_name(name, "data")) {
      chunks.data = rest;
      chunks.data_size = size;
      if (chunks.format.data != nullptr) return {};
      return reason(replace_it, "no `fmt ` chunk before its `data` chunk");
    }
    if (size > rest.size) {
      return reason(replace_it, "its chunk `%.4s` has %u bytes, but %zu follow: truncated",
                    reinterpret_cast<const char*>(name), size, rest.size);
    }
    if (is_name(name, "fmt ")) {
      if (chunks.format.data != nullptr) return reason(replace_it, "it has two `fmt ` chunks");
      chunks.format = {rest.data, size};
    }
    at += size_t{8} + size + size % 2;
  }
  return reason(replace_it, "it has no `data` chunk: truncated, or only a header");
}

bool is_known(unsigned tag, unsigned bits) {
  if (tag == ieee_floats) return bits == 32;
  return tag == integers && (bits == 8 || bits == 16 || bits == 24 || bits == 32);
}

Reason refused_format(unsigned tag, unsigned bits) {
  constexpr const char* expected = "expected integers of 8, 16, 24 or 32 bits or 32-bit floats, found";
  if (tag == integers) return reason(convert_it, "%s %u-bit integers", expected, bits);
  if (tag == ieee_floats) return reason(convert_it, "%s %u-bit floats", expected, bits);
  return reason(convert_it, "%s format 0x%04x", expected, tag);
}

Reason read_format(Bytes format, Wav& wav) {
  if (format.size < 16) {
    return reason(replace_it, "expected at least 16 bytes in its `fmt ` chunk, found %zu", format.size);
  }
  unsigned tag = read_16(format.data);
  const unsigned channels = read_16(format.data + 2), stated = read_16(format.data + 12);
  const unsigned rate = read_32(format.data + 4), bits = read_16(format.data + 14), frame = channels * bits / 8;
  if (tag == extensible) {
    if (format.size < 40 || std::memcmp(format.data + 26, rest_of_guid, sizeof rest_of_guid) != 0) {
      return reason(convert_it, "it has an unknown kind of WAVE_FORMAT_EXTENSIBLE");
    }
    tag = read_16(format.data + 24);
  }
  if (!is_known(tag, bits)) return refused_format(tag, bits);
  if (channels < 1 || channels > 16) return reason(replace_it, "expected 1 to 16 channels, found %u", channels);
  if (rate < 1000 || rate > 192'000) {
    return reason(replace_it, "expected 1000 to 192000 samples a second, found %u", rate);
  }
  if (stated != frame) {
    return reason(replace_it, "expected %u bytes a frame for %u x %u bits, found %u", frame, channels, bits, stated);
  }
  wav.rate_hz = static_cast<int32_t>(rate);
  wav.channels = static_cast<int32_t>(channels);
  wav.bits = static_cast<int32_t>(bits);
  wav.floats = tag == ieee_floats;
  return {};
}

Reason read_data(const Chunks& chunks, Wav& wav) {
  const auto frame = static_cast<size_t>(wav.channels) * static_cast<size_t>(wav.bits) / 8;
  const size_t left = chunks.data.size, size = chunks.data_size;
  const size_t bytes = size >= placeholder ? left - left % frame : size;
  if (bytes > left) {
    return reason(replace_it, "its header promises %zu bytes of samples, but %zu follow: truncated", bytes, left);
  }
  if (bytes % frame != 0) {
    return reason(replace_it, "its %zu bytes of samples are no multiple of %zu, the bytes a frame", bytes, frame);
  }
  wav.frames = chunks.data.data;
  wav.count = bytes / frame;
  if (wav.count > 0) return {};
  if (left == 0) return reason(replace_it, "it has no samples");
  return reason(convert_it, "its header promises no samples, but %zu bytes follow: it was never finished", left);
}

edgetl_status refuse(edgetl_error* error, const char* name, const Reason& why) {
  return fail(error, EDGETL_INVALID_ARGUMENT, "%s: not usable as a sound: %s; %s", name, why.text, why.remedy);
}

// --- values

int16_t saturated(int64_t value) { return static_cast<int16_t>(std::clamp<int64_t>(value, -32768, 32767)); }

int32_t from_8(const uint8_t* bytes) { return (bytes[0] - 128) * 256; }

int32_t from_16(const uint8_t* bytes) { return static_cast<int16_t>(read_16(bytes)); }

// Arithmetic shifts: every compiler that this code is for has them.
int32_t from_24(const uint8_t* bytes) {
  const auto value = static_cast<int32_t>(read_16(bytes) | static_cast<uint32_t>(static_cast<int8_t>(bytes[2])) << 16);
  return saturated((int64_t{value} + 128) >> 8);
}

int32_t from_32(const uint8_t* bytes) {
  return saturated((int64_t{static_cast<int32_t>(read_32(bytes))} + 32768) >> 16);
}

constexpr float loudest = 8;  // full scale is 1

bool is_float(const uint8_t* bytes) {
  const uint32_t bits = read_32(bytes);
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value >= -loudest && value <= loudest;
}

int32_t from_float(const uint8_t* bytes) {
  const uint32_t bits = read_32(bytes);
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return saturated(static_cast<int64_t>(std::floor(32768 * static_cast<double>(value) + 0.5)));
}

int32_t floor_divided(int32_t value, int32_t by) { return value / by - (value % by < 0 ? 1 : 0); }

template <int32_t (*From)(const uint8_t*)>
void convert_frames(const uint8_t* at, size_t bytes, int32_t channels, size_t count, int16_t* out) {
  for (int16_t* end = out + count; out != end; ++out) {
    int32_t sum = 0;
    for (int32_t channel = 0; channel < channels; ++channel, at += bytes) sum += From(at);
    *out = static_cast<int16_t>(floor_divided(2 * sum + channels, 2 * channels));
  }
}

}  // namespace

edgetl_status read_wav(const char* name, Bytes file, Wav& wav, edgetl_error* error) {
  wav = {};
  Chunks chunks;
  Reason why = file.size > max_wav_bytes ? reason(replace_it, "the file is larger than 1000000000 bytes")
                                         : find_chunks(file, chunks);
  if (!why) why = read_format(chunks.format, wav);
  if (!why) why = read_data(chunks, wav);
  return why ? refuse(error, name, why) : succeed(error);
}

bool convert(const Wav& wav, size_t first, size_t count, int16_t* out) {
  const auto bytes = static_cast<size_t>(wav.bits) / 8, frame = bytes * static_cast<size_t>(wav.channels);
  const uint8_t* at = wav.frames + first * frame;
  if (wav.floats) {
    for (size_t i = 0; i < count * static_cast<size_t>(wav.channels); ++i) {
      if (!is_float(at + i * bytes)) return false;
    }
    convert_frames<from_float>(at, bytes, wav.channels, count, out);
    return true;
  }
  const auto with = bytes == 1   ? convert_frames<from_8>
                    : bytes == 2 ? convert_frames<from_16>
                    : bytes == 3 ? convert_frames<from_24>
                                 : convert_frames<from_32>;
  with(at, bytes, wav.channels, count, out);
  return true;
}

edgetl_status refuse_floats(const char* name, edgetl_error* error) {
  return refuse(error, name,
                reason("scale them", "expected float samples from -1 to 1, found some above 8 or not finite"));
}

}  // namespace edgetl
