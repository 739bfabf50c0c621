#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>

#include "fail.h"

namespace edgetl {
namespace {

static_assert(sizeof(off_t) >= 8, "compile with _FILE_OFFSET_BITS=64: models may have more than 2 GB");

constexpr size_t most_files = 1001;  // of a manifest, and the manifest
constexpr size_t max_entries = 4 * most_files;
constexpr int max_levels = 4;

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return value_; }
  void reset(int value) {
    if (value_ >= 0) ::close(value_);
    value_ = value;
  }

 private:
  int value_;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

edgetl_status unreadable(edgetl_error* error, const std::string& path, int code) {
  if (code == ELOOP) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s: a symbolic link; a bundle has only plain files", path.c_str());
  }
  if (code == ENOMEM) return fail(error, EDGETL_OUT_OF_MEMORY, "%s: not enough memory to open it", path.c_str());
  return fail(error, EDGETL_BUNDLE_UNREADABLE, "%s: cannot be read: %s", path.c_str(), std::strerror(code));
}

// Opens folder by folder: O_NOFOLLOW looks at the last part of a path only.
edgetl_status open_file(int folder, const std::string& name, const std::string& path, Descriptor& file,
                        edgetl_error* error) {
  Descriptor parent(-1);
  size_t begin = 0;
  for (size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', begin)) {
    const std::string part = name.substr(begin, slash - begin);
    const int from = parent.get() < 0 ? folder : parent.get();
    parent.reset(::openat(from, part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (parent.get() < 0) return unreadable(error, path, errno);
    begin = slash + 1;
  }
  const int from = parent.get() < 0 ? folder : parent.get();
  // O_NONBLOCK: opening a pipe would wait for its other end
  file.reset(::openat(from, name.c_str() + begin, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  return file.get() < 0 ? unreadable(error, path, errno) : EDGETL_OK;
}

edgetl_status regular_size(int file, const std::string& path, uint64_t& bytes, edgetl_error* error) {
  struct stat found = {};
  if (::fstat(file, &found) != 0) return unreadable(error, path, errno);
  if (!S_ISREG(found.st_mode)) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s: not a regular file; a bundle has only plain files", path.c_str());
  }
  bytes = static_cast<uint64_t>(found.st_size);
  return EDGETL_OK;
}

// Bytes that were read, fewer than `capacity` at the end of the file only; -1 with errno.
int64_t read_fully(int file, uint8_t* out, size_t capacity) {
  constexpr size_t piece = size_t{1} << 30;
  size_t done = 0;
  while (done < capacity) {
    const ssize_t got = ::read(file, out + done, std::min(capacity - done, piece));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return static_cast<int64_t>(done);
}

edgetl_status other_size(edgetl_error* error, const std::string& path, uint64_t found, uint64_t expected) {
  return fail(error, EDGETL_BUNDLE_CHANGED,
              "%s: %llu bytes, the manifest says %llu; truncated or changed: copy it again", path.c_str(),
              static_cast<unsigned long long>(found), static_cast<unsigned long long>(expected));
}

class Listing {
 public:
  Listing(const std::string& path, std::set<std::string>& names, edgetl_error* error)
      : path_(path), names_(names), error_(error) {}

  // `prefix`: "" or "golden/"
  edgetl_status add(int folder, const std::string& prefix, int level) {
    Directory directory(::fdopendir(folder));
    if (directory == nullptr) {
      const int code = errno;
      ::close(folder);
      return unreadable(error_, path_ + "/" + prefix, code);
    }
    errno = 0;
    while (const dirent* entry = ::readdir(directory.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      const edgetl_status status = add_entry(::dirfd(directory.get()), name, prefix + name, level);
      if (status != EDGETL_OK) return status;
      errno = 0;
    }
    return errno == 0 ? EDGETL_OK : unreadable(error_, path_ + "/" + prefix, errno);
  }

 private:
  edgetl_status add_entry(int folder, const std::string& name, const std::string& full, int level) {
    const std::string path = path_ + "/" + full;
    if (++entries_ > max_entries || names_.size() >= most_files) {
      return fail(error_, EDGETL_BUNDLE_INVALID, "%s: more files than a bundle has (%zu)", path_.c_str(), most_files);
    }
    struct stat found = {};
    if (::fstatat(folder, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) return unreadable(error_, path, errno);
    if (S_ISREG(found.st_mode)) {
      names_.insert(full);
      return EDGETL_OK;
    }
    if (S_ISLNK(found.st_mode)) return unreadable(error_, path, ELOOP);
    if (!S_ISDIR(found.st_mode)) {
      return fail(error_, EDGETL_BUNDLE_INVALID, "%s: not a regular file; a bundle has only plain files", path.c_str());
    }
    if (level == max_levels) {
      return fail(error_, EDGETL_BUNDLE_INVALID, "%s: folders nested deeper than a bundle's (%d)", path.c_str(),
                  max_levels - 1);
    }
    const int inner = ::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return inner < 0 ? unreadable(error_, path, errno) : add(inner, full + "/", level + 1);
  }

  const std::string& path_;
  std::set<std::string>& names_;
  edgetl_error* error_;
  size_t entries_ = 0;
};

}  // namespace

Folder::~Folder() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

edgetl_status Folder::open(const char* path, edgetl_error* error) {
  path_ = path;
  descriptor_ = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ >= 0) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_UNREADABLE, "%s: no such bundle; expected a folder with manifest.json (%s)", path,
              std::strerror(errno));
}

edgetl_status Folder::list(std::set<std::string>& names, edgetl_error* error) const {
  const int own = ::openat(descriptor_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0) return unreadable(error, path_, errno);
  return Listing(path_, names, error).add(own, "", 1);
}

edgetl_status Folder::size_of(const std::string& name, uint64_t& bytes, edgetl_error* error) const {
  const std::string path = path_ + "/" + name;
  Descriptor file(-1);
  const edgetl_status status = open_file(descriptor_, name, path, file, error);
  return status == EDGETL_OK ? regular_size(file.get(), path, bytes, error) : status;
}

edgetl_status Folder::read(const std::string& name, uint64_t bytes, FileContent& content, edgetl_error* error) const {
  const std::string path = path_ + "/" + name;
  Descriptor file(-1);
  if (const edgetl_status status = open_file(descriptor_, name, path, file, error); status != EDGETL_OK) return status;
  uint64_t found = 0;
  if (const edgetl_status status = regular_size(file.get(), path, found, error); status != EDGETL_OK) return status;
  if (found != bytes) return other_size(error, path, found, bytes);
  // one more, to see a file that grows while it is read
  const bool addressable = bytes < std::numeric_limits<size_t>::max() / 2;
  const size_t capacity = addressable ? static_cast<size_t>(bytes) + 1 : 0;
  if (addressable) content.data = make_buffer<uint8_t>(capacity);
  if (content.data == nullptr) {
    return fail(error, EDGETL_OUT_OF_MEMORY, "%s: not enough memory for its %llu bytes", path.c_str(),
                static_cast<unsigned long long>(bytes));
  }
  const int64_t got = read_fully(file.get(), content.data.get(), capacity);
  if (got < 0) return unreadable(error, path, errno);
  if (static_cast<uint64_t>(got) != bytes) return other_size(error, path, static_cast<uint64_t>(got), bytes);
  content.size = static_cast<size_t>(bytes);
  return EDGETL_OK;
}

edgetl_status beside_program(const char* path, std::string& found, edgetl_error* error) {
  found = path;
  if (path[0] == '/') return EDGETL_OK;
  constexpr const char* link = "/proc/self/exe";
  char program[PATH_MAX];
  const ssize_t length = ::readlink(link, program, sizeof program);
  if (length <= 0 || length == static_cast<ssize_t>(sizeof program)) {
    return fail(error, EDGETL_BUNDLE_UNREADABLE, "%s: cannot find the folder of this program: %s: %s", path, link,
                length < 0 ? std::strerror(errno) : "too long");
  }
  const std::string file(program, static_cast<size_t>(length));
  found = file.substr(0, file.rfind('/') + 1) + path;
  return EDGETL_OK;
}

}  // namespace edgetl
