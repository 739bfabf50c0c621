#include "library.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <cstring>
#include <string>

using edgetl::Library;

namespace {

constexpr const char* names[] = {"libno-such-engine.so.1", "libno-such-engine.so"};
constexpr const char* present = "libc.so.6";

struct Variable {  // of the environment, for the length of a test
  explicit Variable(const char* value) { setenv("EDGETL_ENGINE_LIBRARY", value, 1); }
  ~Variable() { unsetenv("EDGETL_ENGINE_LIBRARY"); }
};

}  // namespace

TEST_CASE("what was tried is listed when no library is found") {
  Library library;
  edgetl_error error;
  CHECK(library.open("engine-x", nullptr, names, 2, &error) == EDGETL_ENGINE_MISSING);
  const std::string message = error.message;
  CHECK(message.find("engine-x") != std::string::npos);
  CHECK(message.find("EDGETL_ENGINE_LIBRARY") != std::string::npos);
  CHECK(message.find("libno-such-engine.so.1:") != std::string::npos);
  CHECK(message.find("libno-such-engine.so:") != std::string::npos);
}

TEST_CASE("the first name that can be loaded is used") {
  const char* some[] = {names[0], present};
  Library library;
  edgetl_error error;
  CHECK(library.open("engine-x", nullptr, some, 2, &error) == EDGETL_OK);
  size_t (*length)(const char*) = nullptr;
  REQUIRE(library.find("strlen", length));
  CHECK(length("four") == 4);
}

TEST_CASE("a path that was asked for is the only one that is tried") {
  const char* some[] = {present};
  Library library;
  edgetl_error error;
  CHECK(library.open("engine-x", "/no/such/file.so", some, 1, &error) == EDGETL_ENGINE_MISSING);
  CHECK(std::strstr(error.message, "/no/such/file.so") != nullptr);
}

TEST_CASE("the environment's path comes before the usual names, the caller's before the environment's") {
  const Variable variable("/no/such/file.so");
  const char* some[] = {present};
  Library library;
  CHECK(library.open("engine-x", nullptr, some, 1, nullptr) == EDGETL_ENGINE_MISSING);
  CHECK(library.open("engine-x", present, some, 1, nullptr) == EDGETL_OK);
}

TEST_CASE("an empty variable counts as none") {
  const Variable variable("");
  const char* some[] = {present};
  Library library;
  CHECK(library.open("engine-x", nullptr, some, 1, nullptr) == EDGETL_OK);
}

TEST_CASE("a function that is not there is not found") {
  Library library;
  void (*function)() = nullptr;
  CHECK_FALSE(library.find("strlen", function));
  REQUIRE(library.open("engine-x", present, names, 2, nullptr) == EDGETL_OK);
  CHECK_FALSE(library.find("edgetl_no_such_function", function));
}
