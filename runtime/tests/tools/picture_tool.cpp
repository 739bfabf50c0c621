// Lets Python compare: reads commands from stdin, writes results to stdout.
//
//   resize <w> <h> <rgb|bgr|gray> <padding of a row> <squash|crop|letterbox|letterbox-corner> <H> <W> <bilinear|bicubic> <crop_pct>
//          <r> <g> <b>, all in one line, then the rows' bytes
//   decode <bytes> <name>, then the file's bytes
//
// Answers "ok <w> <h>" and the uint8 RGB pixels, or "error <status> <message>".
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "decode.h"
#include "resize.h"

namespace {

bool read_exactly(std::vector<uint8_t>& bytes) {
  return bytes.empty() || std::fread(bytes.data(), 1, bytes.size(), stdin) == bytes.size();
}

void answer(edgetl_status status, const edgetl_error& error, int32_t width, int32_t height, const uint8_t* rgb) {
  if (status != EDGETL_OK) {
    std::printf("error %d %s\n", static_cast<int>(status), error.message);
  } else {
    std::printf("ok %d %d\n", width, height);
    std::fwrite(rgb, 3, static_cast<size_t>(width) * static_cast<size_t>(height), stdout);
  }
  std::fflush(stdout);
}

struct Command {
  edgetl::Preprocessing p;
  edgetl_image image{};
};

bool parse(const char* line, Command& command) {
  char format[16], policy[32], filter[16];
  size_t padding = 0;
  unsigned fill[3];
  edgetl::Preprocessing& p = command.p;
  edgetl_image& image = command.image;
  if (std::sscanf(line, "resize %d %d %15s %zu %31s %d %d %15s %lf %u %u %u", &image.width, &image.height, format,
                  &padding, policy, &p.height, &p.width, filter, &p.crop_pct, &fill[0], &fill[1], &fill[2]) != 12) {
    return false;
  }
  image.format = std::strcmp(format, "gray") == 0  ? EDGETL_GREY
                 : std::strcmp(format, "bgr") == 0 ? EDGETL_BGR
                                                   : EDGETL_RGB;
  image.stride_bytes = static_cast<size_t>(image.width) * (image.format == EDGETL_GREY ? 1 : 3) + padding;
  p.resize = std::strcmp(policy, "crop") == 0               ? edgetl::Resize::crop
             : std::strcmp(policy, "letterbox") == 0        ? edgetl::Resize::letterbox
             : std::strcmp(policy, "letterbox-corner") == 0 ? edgetl::Resize::letterbox_corner
                                                            : edgetl::Resize::squash;
  p.interpolation =
      std::strcmp(filter, "bicubic") == 0 ? edgetl::Interpolation::bicubic : edgetl::Interpolation::bilinear;
  for (size_t c = 0; c < 3; ++c) p.fill[c] = static_cast<uint8_t>(fill[c]);
  return true;
}

bool resize(const char* line) {
  Command command;
  if (!parse(line, command)) return false;
  edgetl_image& image = command.image;
  std::vector<uint8_t> pixels(static_cast<size_t>(image.height) * image.stride_bytes);
  if (!read_exactly(pixels)) return false;
  image.pixels = pixels.data();

  const edgetl::Preprocessing& p = command.p;
  edgetl_error error{};
  size_t bytes = 0;
  edgetl_status status = edgetl::resize_scratch_bytes(p, image.width, image.height, bytes, &error);
  std::vector<uint8_t> scratch(bytes), out(static_cast<size_t>(p.height) * static_cast<size_t>(p.width) * 3);
  if (status == EDGETL_OK) status = edgetl::resize(p, image, scratch.data(), bytes, out.data(), &error);
  answer(status, error, p.width, p.height, out.data());
  return true;
}

bool decode(const char* line) {
  size_t bytes = 0;
  int name = 0;
  if (std::sscanf(line, "decode %zu %n", &bytes, &name) != 1 || name == 0) return false;
  std::vector<uint8_t> file(bytes);
  if (!read_exactly(file)) return false;
  edgetl::Picture picture;
  edgetl_error error{};
  const edgetl_status status = edgetl::decode(line + name, file.data(), bytes, picture, &error);
  answer(status, error, picture.width, picture.height, picture.rgb.get());
  return true;
}

bool read_line(std::string& line) {
  line.clear();
  for (int c = std::getchar(); c != EOF; c = std::getchar()) {
    if (c == '\n') return true;
    line.push_back(static_cast<char>(c));
  }
  return false;
}

}  // namespace

int main() {
  std::string line;
  while (read_line(line)) {
    if (!resize(line.c_str()) && !decode(line.c_str())) {
      std::fprintf(stderr, "expected a command `resize` or `decode` and its bytes, found %s\n", line.c_str());
      return 2;
    }
  }
  return 0;
}
