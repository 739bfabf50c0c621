// JPEG by libjpeg-turbo with its defaults (accurate integer DCT, smooth upsampling), as Pillow decodes it.
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <jpeglib.h>

#include "decoders.h"
#include "orientation.h"

namespace edgetl {
namespace {

constexpr unsigned max_marker_bytes = 0xFFFF;
constexpr char truncated[] = "damaged or truncated (the data ends before the image is complete)";

// All that lives across a longjmp; holds nothing that has a destructor.
struct Job {
  jpeg_decompress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg_source_mgr source;
  std::jmp_buf failed;
  uint8_t* row;  // of the four inks
  char* reason;
};

void say(Job& job, const char* reason) { std::snprintf(job.reason, max_reason_bytes, "%s", reason); }

[[noreturn]] void on_error(j_common_ptr jpeg) {
  Job& job = *static_cast<Job*>(jpeg->client_data);
  char text[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, text);
  std::snprintf(job.reason, max_reason_bytes, "damaged or truncated (%s)", text);
  std::longjmp(job.failed, 1);
}

void on_message(j_common_ptr) {}
void on_warning(j_common_ptr, int) {}
void on_source(j_decompress_ptr) {}

// The library suspends, and every call below takes that for a truncated file.
boolean on_end(j_decompress_ptr) { return FALSE; }

void on_skip(j_decompress_ptr jpeg, long count) {
  const auto wanted = count < 0 ? 0 : static_cast<size_t>(count);
  const size_t step = wanted < jpeg->src->bytes_in_buffer ? wanted : jpeg->src->bytes_in_buffer;
  jpeg->src->next_input_byte += step;
  jpeg->src->bytes_in_buffer -= step;
}

void prepare(Job& job, const uint8_t* file, size_t bytes) {
  job.jpeg.err = jpeg_std_error(&job.errors);
  job.errors.error_exit = on_error;
  job.errors.output_message = on_message;
  job.errors.emit_message = on_warning;
  job.jpeg.client_data = &job;
  job.source.next_input_byte = file;
  job.source.bytes_in_buffer = bytes;
  job.source.init_source = on_source;
  job.source.fill_input_buffer = on_end;
  job.source.skip_input_data = on_skip;
  job.source.resync_to_restart = jpeg_resync_to_restart;
  job.source.term_source = on_source;
}

// False when it failed; `job.reason` says why.
bool read_header(Job& job) {
  if (setjmp(job.failed) != 0) return false;
  jpeg_create_decompress(&job.jpeg);
  job.jpeg.src = &job.source;
  jpeg_save_markers(&job.jpeg, JPEG_APP0 + 1, max_marker_bytes);
  if (jpeg_read_header(&job.jpeg, TRUE) != JPEG_HEADER_OK) {
    say(job, truncated);
    return false;
  }
  const int components = job.jpeg.num_components;
  if (components != 1 && components != 3 && components != 4) {
    std::snprintf(job.reason, max_reason_bytes, "it has %d color components, expected 1, 3 or 4", components);
    return false;
  }
  job.jpeg.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
  return true;
}

// a * b / 255, rounded.
unsigned scaled(unsigned a, unsigned b) {
  const unsigned product = a * b + 128;
  return (product + (product >> 8)) >> 8;
}

// Inks are stored inverted (Adobe), so that `ink` is what is left of the light.
void cmyk_to_rgb(const uint8_t* ink, size_t pixels, uint8_t* rgb) {
  for (size_t i = 0; i < pixels; ++i, ink += 4, rgb += 3) {
    const unsigned light = ink[3];
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>(light - scaled(255U - ink[c], light));
  }
}

void gray_to_rgb(const uint8_t* gray, size_t pixels, uint8_t* rgb) {
  for (size_t i = 0; i < pixels; ++i) std::memset(rgb + i * 3, gray[i], 3);
}

bool read_rows(Job& job, uint8_t* rgb) {
  const size_t width = job.jpeg.output_width;
  while (job.jpeg.output_scanline < job.jpeg.output_height) {
    uint8_t* out = rgb + static_cast<size_t>(job.jpeg.output_scanline) * width * 3;
    JSAMPROW row = job.jpeg.out_color_space == JCS_RGB ? out : job.row;
    if (jpeg_read_scanlines(&job.jpeg, &row, 1) != 1) return false;
    if (job.jpeg.out_color_space == JCS_CMYK) cmyk_to_rgb(row, width, out);
    if (job.jpeg.out_color_space == JCS_GRAYSCALE) gray_to_rgb(row, width, out);
  }
  return true;
}

bool read_pixels(Job& job, uint8_t* rgb) {
  if (setjmp(job.failed) != 0) return false;
  if (jpeg_start_decompress(&job.jpeg) && read_rows(job, rgb)) return true;
  say(job, truncated);
  return false;
}

int find_orientation(const jpeg_decompress_struct& jpeg) {
  using namespace std::string_view_literals;
  constexpr std::string_view exif = "Exif\0\0"sv, xmp = "http://ns.adobe.com/xap/1.0/\0"sv;
  int from_exif = no_orientation, from_xmp = upright;
  for (const jpeg_marker_struct* marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view text(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (text.substr(0, exif.size()) == exif && from_exif == no_orientation) {
      from_exif = exif_orientation(marker->data + exif.size(), marker->data_length - exif.size());
    } else if (text.substr(0, xmp.size()) == xmp) {
      from_xmp = xmp_orientation(text.data() + xmp.size(), text.size() - xmp.size());
    }
  }
  return from_exif != no_orientation ? from_exif : from_xmp;
}

edgetl_status decode_with(Job& job, Decoded& decoded) {
  if (!read_header(job)) return EDGETL_INVALID_ARGUMENT;
  if (!size_is_allowed(job.jpeg.image_width, job.jpeg.image_height, decoded.reason)) return EDGETL_INVALID_ARGUMENT;
  Picture& picture = decoded.picture;
  picture.width = static_cast<int32_t>(job.jpeg.image_width);
  picture.height = static_cast<int32_t>(job.jpeg.image_height);
  picture.rgb = allocate(picture.bytes());
  const std::unique_ptr<uint8_t[]> row = allocate(static_cast<size_t>(picture.width) * 4);
  if (picture.rgb == nullptr || row == nullptr) return EDGETL_OUT_OF_MEMORY;
  job.row = row.get();
  decoded.orientation = find_orientation(job.jpeg);
  return read_pixels(job, picture.rgb.get()) ? EDGETL_OK : EDGETL_INVALID_ARGUMENT;
}

}  // namespace

edgetl_status decode_jpeg(const uint8_t* file, size_t bytes, Decoded& decoded) {
  Job job;
  std::memset(&job, 0, sizeof job);
  job.reason = decoded.reason;
  prepare(job, file, bytes);
  const edgetl_status status = decode_with(job, decoded);
  jpeg_destroy_decompress(&job.jpeg);
  return status;
}

}  // namespace edgetl
