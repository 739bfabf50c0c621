// PNG by libpng. What Pillow does with each kind of pixel was measured, also where it is not what one would expect.
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <png.h>

#include "decoders.h"
#include "orientation.h"

namespace edgetl {
namespace {

constexpr png_uint_32 max_side = 0x7FFFFFFF;
constexpr unsigned white = 255;

struct Header {
  png_uint_32 width, height;
  int depth, color, channels;
};

// All that lives across a longjmp; holds nothing that has a destructor.
struct Job {
  png_structp png;
  png_infop info;
  Header header;
  const uint8_t* next;
  size_t left;
  char* reason;
};

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  Job& job = *static_cast<Job*>(png_get_error_ptr(png));
  std::snprintf(job.reason, max_reason_bytes, "damaged or truncated (%s)", text);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep out, size_t count) {
  Job& job = *static_cast<Job*>(png_get_io_ptr(png));
  if (count > job.left) png_error(png, "the data ends before the image is complete");
  std::memcpy(out, job.next, count);
  job.next += count;
  job.left -= count;
}

// False when it failed; `job.reason` says why.
bool read_header(Job& job) {
  if (setjmp(png_jmpbuf(job.png)) != 0) return false;
  png_set_read_fn(job.png, &job, on_read);
  png_set_user_limits(job.png, max_side, max_side);
  png_set_crc_action(job.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_check_for_invalid_index(job.png, -1);
  png_read_info(job.png, job.info);
  Header& header = job.header;
  png_get_IHDR(job.png, job.info, &header.width, &header.height, &header.depth, &header.color, nullptr, nullptr,
               nullptr);
  header.channels = png_get_channels(job.png, job.info);
  return true;
}

bool is_16_bit_gray(const Header& header) { return header.color == PNG_COLOR_TYPE_GRAY && header.depth == 16; }

size_t pixel_bytes(const Header& header) { return is_16_bit_gray(header) ? 2 : static_cast<size_t>(header.channels); }

// Values of 1, 2 and 4 bits become bytes; of 16 bits, only gray keeps the lower half.
bool read_pixels(Job& job, png_bytepp rows) {
  if (setjmp(png_jmpbuf(job.png)) != 0) return false;
  png_set_packing(job.png);
  if (job.header.depth == 16 && !is_16_bit_gray(job.header)) png_set_strip_16(job.png);
  png_set_interlace_handling(job.png);
  png_read_update_info(job.png, job.info);
  png_read_image(job.png, rows);
  return true;
}

// Chunks behind the pixels. The picture is complete without them.
void read_end(Job& job) {
  if (setjmp(png_jmpbuf(job.png)) != 0) return;
  png_read_end(job.png, job.info);
}

int find_orientation(const Job& job) {
  png_bytep exif = nullptr;
  png_uint_32 exif_bytes = 0;
  if (png_get_eXIf_1(job.png, job.info, &exif_bytes, &exif) != 0) {
    const int orientation = exif_orientation(exif, exif_bytes);
    if (orientation != no_orientation) return orientation;
  }
  png_textp texts = nullptr;
  int count = 0, orientation = upright;
  png_get_text(job.png, job.info, &texts, &count);
  for (int i = 0; i < count; ++i) {
    if (std::strcmp(texts[i].key, "XML:com.adobe.xmp") == 0 && texts[i].text != nullptr) {
      orientation = xmp_orientation(texts[i].text, std::strlen(texts[i].text));
    }
  }
  return orientation;
}

uint8_t over_white(unsigned value, unsigned alpha) {
  return static_cast<uint8_t>((value * alpha + white * (255 - alpha) + 127) / 255);
}

struct Transparency {
  bool given = false;
  int count = 0;
  png_bytep alphas = nullptr;     // of palette entries
  png_color_16p color = nullptr;  // the one that is transparent
};

Transparency find_transparency(const Job& job) {
  Transparency t;
  t.given = png_get_tRNS(job.png, job.info, &t.alphas, &t.count, &t.color) != 0;
  return t;
}

void palette_to_rgb(const Job& job, const Transparency& t, const uint8_t* in, size_t pixels, uint8_t* out) {
  png_colorp palette = nullptr;
  int entries = 0;
  png_get_PLTE(job.png, job.info, &palette, &entries);
  uint8_t table[256][3];
  for (int i = 0; i < 256; ++i) {
    const png_color color = i < entries ? palette[i] : png_color{0, 0, 0};  // behind its end
    const unsigned alpha = t.given && i < t.count ? t.alphas[i] : 255;
    table[i][0] = over_white(color.red, alpha);
    table[i][1] = over_white(color.green, alpha);
    table[i][2] = over_white(color.blue, alpha);
  }
  for (size_t i = 0; i < pixels; ++i) std::memcpy(out + i * 3, table[in[i]], 3);
}

void gray16_to_rgb(const Transparency& t, const uint8_t* in, size_t pixels, uint8_t* out) {
  for (size_t i = 0; i < pixels; ++i, in += 2, out += 3) {
    const unsigned value = static_cast<unsigned>(in[0]) << 8 | in[1];
    const bool hidden = t.given && value == t.color->gray;
    std::memset(out, static_cast<int>(hidden ? white : (value + 128) / 257), 3);
  }
}

// For 2 and 4 bits Pillow compares the widened value with the unwidened transparent one.
void gray_to_rgb(const Header& header, const Transparency& t, const uint8_t* in, size_t pixels, uint8_t* out) {
  const unsigned widen = header.depth < 8 ? 255U / ((1U << header.depth) - 1) : 1;
  unsigned transparent = t.given ? t.color->gray : 0;
  if (header.depth == 1) transparent = transparent != 0 ? 255 : 0;
  for (size_t i = 0; i < pixels; ++i) {
    const unsigned value = in[i] * widen;
    std::memset(out + i * 3, static_cast<int>(t.given && value == (transparent & 255U) ? white : value), 3);
  }
}

// For 16 bits Pillow compares the upper half of the value with the lower half of the transparent one.
void rgb_to_rgb(const Transparency& t, const uint8_t* in, size_t pixels, uint8_t* out) {
  std::memcpy(out, in, pixels * 3);
  if (!t.given) return;
  const uint8_t hidden[3] = {static_cast<uint8_t>(t.color->red), static_cast<uint8_t>(t.color->green),
                             static_cast<uint8_t>(t.color->blue)};
  for (size_t i = 0; i < pixels; ++i) {
    if (std::memcmp(out + i * 3, hidden, 3) == 0) std::memset(out + i * 3, static_cast<int>(white), 3);
  }
}

void alpha_to_rgb(const Header& header, const uint8_t* in, size_t pixels, uint8_t* out) {
  const int colours = header.channels - 1;
  for (size_t i = 0; i < pixels; ++i, in += header.channels, out += 3) {
    for (int c = 0; c < 3; ++c) out[c] = over_white(in[colours == 1 ? 0 : c], in[colours]);
  }
}

void to_rgb(const Job& job, const uint8_t* in, Picture& picture) {
  const size_t pixels = picture.bytes() / 3;
  const Transparency t = find_transparency(job);
  uint8_t* out = picture.rgb.get();
  switch (job.header.color) {
    case PNG_COLOR_TYPE_PALETTE: return palette_to_rgb(job, t, in, pixels, out);
    case PNG_COLOR_TYPE_RGB: return rgb_to_rgb(t, in, pixels, out);
    case PNG_COLOR_TYPE_GRAY:
      return is_16_bit_gray(job.header) ? gray16_to_rgb(t, in, pixels, out)
                                        : gray_to_rgb(job.header, t, in, pixels, out);
    default: return alpha_to_rgb(job.header, in, pixels, out);
  }
}

edgetl_status decode_with(Job& job, Decoded& decoded) {
  const Header& header = job.header;
  if (!read_header(job) || !size_is_allowed(header.width, header.height, decoded.reason)) {
    return EDGETL_INVALID_ARGUMENT;
  }
  Picture& picture = decoded.picture;
  picture.width = static_cast<int32_t>(header.width);
  picture.height = static_cast<int32_t>(header.height);
  picture.rgb = allocate(picture.bytes());
  const size_t row_bytes = header.width * pixel_bytes(header);
  const std::unique_ptr<uint8_t[]> raw = allocate(row_bytes * header.height);
  const std::unique_ptr<png_bytep[]> rows(new (std::nothrow) png_bytep[header.height]);
  if (picture.rgb == nullptr || raw == nullptr || rows == nullptr) return EDGETL_OUT_OF_MEMORY;
  for (size_t y = 0; y < header.height; ++y) rows[y] = raw.get() + y * row_bytes;
  if (!read_pixels(job, rows.get())) return EDGETL_INVALID_ARGUMENT;
  read_end(job);
  decoded.orientation = find_orientation(job);
  to_rgb(job, raw.get(), picture);
  return EDGETL_OK;
}

}  // namespace

edgetl_status decode_png(const uint8_t* file, size_t bytes, Decoded& decoded) {
  Job job = {};
  job.next = file;
  job.left = bytes;
  job.reason = decoded.reason;
  job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
  job.info = job.png != nullptr ? png_create_info_struct(job.png) : nullptr;
  const edgetl_status status = job.info != nullptr ? decode_with(job, decoded) : EDGETL_OUT_OF_MEMORY;
  png_destroy_read_struct(&job.png, &job.info, nullptr);
  return status;
}

}  // namespace edgetl
