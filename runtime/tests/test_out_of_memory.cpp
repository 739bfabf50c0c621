// Fails one allocation after the other, those inside containers and of the C library included: each must end in a
// status, and leave nothing behind.
#include <doctest/doctest.h>

#include <cerrno>
#include <cstdlib>

#include "edgetl/runtime.h"
#include "tools/small_bundle.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define EDGETL_SANITIZED 1
#endif
#endif

// A sanitizer has its own allocator, and only glibc lets one reach behind these names.
#if defined(__GLIBC__) && !defined(EDGETL_SANITIZED) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

struct Allocator {
  long left = -1;  // allocations that still succeed; below zero all do
  bool lasting = false;
  bool failed = false;
  long live = 0;

  bool refuses() {
    if (left < 0) return false;
    if (left-- > 0) return false;
    failed = true;
    left = lasting ? 0 : -1;
    return true;
  }
};

Allocator& allocator() {
  static Allocator instance;  // one thread: nothing here starts another
  return instance;
}

void* counted(void* memory) {
  if (memory != nullptr) ++allocator().live;
  return memory;
}

}  // namespace

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): names of glibc
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t members, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* memory);
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

void* malloc(size_t bytes) { return allocator().refuses() ? nullptr : counted(__libc_malloc(bytes)); }
void* calloc(size_t members, size_t bytes) {
  return allocator().refuses() ? nullptr : counted(__libc_calloc(members, bytes));
}
void* realloc(void* memory, size_t bytes) {
  if (allocator().refuses()) return nullptr;
  void* const moved = __libc_realloc(memory, bytes);
  return memory == nullptr ? counted(moved) : moved;
}
void* memalign(size_t alignment, size_t bytes) {
  return allocator().refuses() ? nullptr : counted(__libc_memalign(alignment, bytes));
}
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  *memory = memalign(alignment, bytes);
  return *memory != nullptr ? 0 : ENOMEM;
}
void free(void* memory) {
  if (memory != nullptr) --allocator().live;
  __libc_free(memory);
}
}

namespace {

// Calls until none of its allocations is refused any more. Returns how many there are.
template <typename Call>
long fail_each_allocation(bool lasting, Call call) {
  call();  // what is kept for the life of the process is there afterwards
  for (long allowed = 0;; ++allowed) {
    const long before = allocator().live;
    allocator() = {allowed, lasting, false, before};
    const edgetl_status status = call();
    const bool failed = allocator().failed;
    const long after = allocator().live;
    allocator().left = -1;
    CAPTURE(allowed);
    CAPTURE(edgetl_status_name(status));
    CHECK(after == before);
    if (!failed) {
      CHECK(status == EDGETL_OK);
      return allowed;
    }
    if (lasting) CHECK(status != EDGETL_OK);
  }
}

edgetl_status open_and_close(const char* folder) {
  edgetl_model* model = nullptr;
  edgetl_error error;
  const edgetl_status status = edgetl_open(folder, nullptr, &model, &error);
  if (status != error.status || (model == nullptr) == (status == EDGETL_OK)) return EDGETL_ENGINE_FAILED;
  edgetl_close(model);
  return status;
}

}  // namespace

TEST_CASE("a bundle is opened, or a status says why it was not, wherever memory ends") {
  const small_bundle::Folder folder;
  for (const bool lasting : {false, true}) {
    CHECK(fail_each_allocation(lasting, [&] { return open_and_close(folder.path()); }) > 100);
  }
}

TEST_CASE("a bundle is verified, or a status says why it was not, wherever memory ends") {
  const small_bundle::Folder folder;
  for (const bool lasting : {false, true}) {
    CHECK(fail_each_allocation(lasting, [&] {
            return edgetl_verify(folder.path(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
          }) > 100);
  }
}

TEST_CASE("what ends for want of memory is called so") {
  const small_bundle::Folder folder;
  int named = 0;
  for (long allowed = 0; allowed < 100; ++allowed) {
    allocator() = {allowed, true, false, allocator().live};
    const edgetl_status status = open_and_close(folder.path());
    allocator().left = -1;
    if (status == EDGETL_OUT_OF_MEMORY) ++named;
  }
  CHECK(named > 90);  // a directory that cannot be listed for want of memory is unreadable
}

#endif
