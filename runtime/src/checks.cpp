#include "checks.h"

#include <cstdarg>
#include <cstdio>

#include "fail.h"

namespace edgetl {

Detail detail(const char* format, ...) {
  Detail made;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(made.text, sizeof made.text, format, arguments);
  va_end(arguments);
  return made;
}

void Checks::add(int32_t image, const char* step, bool passed, double difference, double allowed,
                 const Detail& detail) {
  const edgetl_check check{image, step, passed ? 1 : 0, difference, allowed, detail.text};
  if (listener_.check != nullptr) listener_.check(listener_.user, &check);
  if (passed || failed_) return;
  failed_ = true;
  first_ = check;
  first_detail_ = detail;
}

edgetl_status Checks::result(edgetl_error* error) const {
  if (!failed_) return succeed(error);
  return fail(error, EDGETL_CHECK_FAILED, "%s: golden %s %d: the first step that differs is %s: %s", where_.c_str(),
              noun_, static_cast<int>(first_.image), first_.step, first_detail_.text);
}

}  // namespace edgetl
