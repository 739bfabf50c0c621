#include "file_content.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "fail.h"

namespace edgetl {
namespace {

constexpr int64_t max_file_bytes = 1'000'000'000;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

bool starts_with(const uint8_t* file, size_t bytes, const char* magic, size_t length) {
  return bytes >= length && std::memcmp(file, magic, length) == 0;
}

}  // namespace

edgetl_status read_content(const char* path, const char* what, Content& content, edgetl_error* error) {
  const auto refuse = [&](edgetl_status status, const char* reason) {
    return refuse_content(error, status, path, what, reason);
  };
  content = Content();
  // O_NONBLOCK: opening a pipe would wait for its other end
  const int descriptor = ::open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const std::unique_ptr<std::FILE, CloseFile> file(descriptor < 0 ? nullptr : ::fdopen(descriptor, "rb"));
  if (file == nullptr && descriptor >= 0) ::close(descriptor);
  struct stat facts {};
  if (file == nullptr || fstat(fileno(file.get()), &facts) != 0) {
    return refuse(EDGETL_INVALID_ARGUMENT, std::strerror(errno));
  }
  if (!S_ISREG(facts.st_mode)) return refuse(EDGETL_INVALID_ARGUMENT, "not a regular file");
  if (facts.st_size > max_file_bytes) {
    return refuse(EDGETL_INVALID_ARGUMENT, "the file is larger than 1000000000 bytes");
  }
  const auto bytes = static_cast<size_t>(facts.st_size);
  std::unique_ptr<uint8_t[]> data(new (std::nothrow) uint8_t[bytes]);
  if (data == nullptr) return refuse(EDGETL_OUT_OF_MEMORY, "there is not enough memory to read it");
  if (std::fread(data.get(), 1, bytes, file.get()) != bytes) {
    return refuse(EDGETL_INVALID_ARGUMENT, "it could not be read to its end");
  }
  content = {std::move(data), bytes};
  return succeed(error);
}

bool is_jpeg(const uint8_t* file, size_t bytes) { return starts_with(file, bytes, "\xFF\xD8\xFF", 3); }

bool is_png(const uint8_t* file, size_t bytes) { return starts_with(file, bytes, "\x89PNG\r\n\x1A\n", 8); }

edgetl_status refuse_picture(const Content& content, const char* name, const char* what, edgetl_error* error) {
  const uint8_t* file = content.data.get();
  const char* reason = is_jpeg(file, content.bytes)  ? "it is a JPEG image"
                       : is_png(file, content.bytes) ? "it is a PNG image"
                                                     : nullptr;
  return reason == nullptr ? EDGETL_OK : refuse_content(error, EDGETL_INVALID_ARGUMENT, name, what, reason);
}

edgetl_status refuse_content(edgetl_error* error, edgetl_status status, const char* name, const char* what,
                             const char* reason) {
  return fail(error, status, "%s: not usable as %s: %s; replace or remove it", name, what, reason);
}

}  // namespace edgetl
