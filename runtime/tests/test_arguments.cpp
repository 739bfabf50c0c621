#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "edgetl/runtime.h"

using edgetl::Arguments;
using edgetl::Program;

namespace {

Program program() {
  return {"edgetl-try", "BUNDLE [IMAGE]", 1, 2, "Try.", {{"--top", "K", "How many."}, {"--json", nullptr, "As JSON."}}};
}

std::string parse(Arguments& arguments, std::vector<const char*> argv) {
  argv.insert(argv.begin(), "edgetl-try");
  std::string problem;
  const bool fine = arguments.parse(program(), static_cast<int>(argv.size()), argv.data(), problem);
  CHECK(fine == problem.empty());
  return problem;
}

std::string problem_of(const std::vector<const char*>& argv) {
  Arguments arguments;
  return parse(arguments, argv);
}

}  // namespace

TEST_CASE("options and positional arguments may stand in any order") {
  Arguments arguments;
  CHECK(parse(arguments, {"bundle", "--top", "5", "--json", "image"}).empty());
  CHECK(arguments.positional() == std::vector<std::string>{"bundle", "image"});
  CHECK(arguments.has("--json"));
  CHECK(arguments.text("--top") == std::string("5"));
  CHECK(arguments.text("--threads") == nullptr);
}

TEST_CASE("a value may follow an equals sign, and a repeated option keeps all its values") {
  Arguments arguments;
  CHECK(parse(arguments, {"--top=5", "--top=", "--top", "--json", "b"}).empty());
  CHECK(arguments.all("--top") == std::vector<std::string>{"5", "", "--json"});
  CHECK_FALSE(arguments.has("--json"));
}

TEST_CASE("two dashes end the options, one dash is a name") {
  Arguments arguments;
  CHECK(parse(arguments, {"-", "--", "--json"}).empty());
  CHECK(arguments.positional() == std::vector<std::string>{"-", "--json"});
}

TEST_CASE("wrong usage is told in one line") {
  CHECK(problem_of({}) == "expected BUNDLE [IMAGE]");
  CHECK(problem_of({"a", "b", "c"}) == "unexpected argument: c");
  CHECK(problem_of({"a", "--tap=5"}) == "no such option: --tap");
  CHECK(problem_of({"a", "-x"}) == "no such option: -x");
  CHECK(problem_of({"a", "--json=yes"}) == "--json takes no value");
  CHECK(problem_of({"a", "--top"}) == "--top needs a value: K");
}

TEST_CASE("numbers are whole and within their bounds") {
  const auto number = [](const char* text, int32_t& value) {
    Arguments arguments;
    CHECK(parse(arguments, {"a", "--top", text}).empty());
    std::string problem;
    const bool fine = arguments.number("--top", 1, 100, 3, value, problem);
    CHECK(fine == problem.empty());
    return problem;
  };
  int32_t value = 0;
  CHECK(number("100", value).empty());
  CHECK(value == 100);
  for (const char* text : {"0", "101", "", "5x", "1e1", "-1", "99999999999999999999"}) {
    CHECK(number(text, value) == "--top takes a whole number from 1 to 100; found `" + std::string(text) + "`");
  }
  Arguments none;
  std::string problem;
  CHECK(none.number("--top", 1, 100, 3, value, problem));
  CHECK(value == 3);
}

TEST_CASE("numbers with decimals are within their bounds, and absent if they were not given") {
  const auto decimal = [](const char* text, std::optional<double>& value) {
    Arguments arguments;
    CHECK(parse(arguments, {"a", "--top", text}).empty());
    std::string problem;
    const bool fine = arguments.decimal("--top", 0.5, 100, value, problem);
    CHECK(fine == problem.empty());
    return problem;
  };
  std::optional<double> value;
  CHECK(decimal("2.5", value).empty());
  CHECK(value == 2.5);
  for (const char* text : {"0.4", "101", "", "5x", "nan", "inf", "-1"}) {
    CHECK(decimal(text, value) == "--top takes a number from 0.5 to 100; found `" + std::string(text) + "`");
  }
  Arguments none;
  std::string problem;
  std::optional<double> absent;
  CHECK(none.decimal("--top", 0.5, 100, absent, problem));
  CHECK_FALSE(absent);
}

TEST_CASE("help names every option, version every engine") {
  const std::string help = edgetl::help_text(program());
  CHECK(help.find("Usage: edgetl-try BUNDLE [IMAGE] [options]\n") == 0);
  for (const char* word : {"--top K", "--json", "--help", "--version", "0 done, 1 failed, 2 wrong usage"}) {
    CHECK(help.find(word) != std::string::npos);
  }
  const std::string version = edgetl::version_text(program());
  CHECK(version.find("edgetl-try " EDGETL_RUNTIME_VERSION "\nengines: ") == 0);
  CHECK(version.find("null") != std::string::npos);
}
