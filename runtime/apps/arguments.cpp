#include "arguments.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "edgetl/runtime.h"

namespace edgetl {
namespace {

const Option* find(const Program& program, const std::string& name) {
  for (const Option& option : program.options) {
    if (name == option.name) return &option;
  }
  return nullptr;
}

bool refuse(std::string& problem, std::string line) {
  problem = std::move(line);
  return false;
}

bool is_option(const char* argument) { return argument[0] == '-' && argument[1] != '\0'; }

std::string help_line(const std::string& left, const char* right) {
  constexpr size_t column = 26;
  const size_t gap = left.size() + 4 > column ? 2 : column - left.size() - 2;
  return "  " + left + std::string(gap, ' ') + right + "\n";
}

}  // namespace

bool Arguments::start(const Program& program, int argc, const char* const* argv, int& code) {
  for (int i = 1; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
    const bool help = std::strcmp(argv[i], "--help") == 0 || std::strcmp(argv[i], "-h") == 0;
    if (!help && std::strcmp(argv[i], "--version") != 0) continue;
    std::fputs((help ? help_text(program) : version_text(program)).c_str(), stdout);
    code = finish_output(program);
    return false;
  }
  std::string problem;
  if (parse(program, argc, argv, problem)) return true;
  code = wrong_usage(program, problem);
  return false;
}

bool Arguments::parse(const Program& program, int argc, const char* const* argv, std::string& problem) {
  bool options_ended = false;
  for (int i = 1; i < argc; ++i) {
    if (options_ended || !is_option(argv[i])) {
      positional_.emplace_back(argv[i]);
      continue;
    }
    const std::string argument = argv[i];
    if (argument == "--") {
      options_ended = true;
      continue;
    }
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const Option* option = find(program, name);
    if (option == nullptr) return refuse(problem, "no such option: " + name);
    if (option->value == nullptr) {
      if (equals != std::string::npos) return refuse(problem, name + " takes no value");
      values_[name];
    } else if (equals != std::string::npos) {
      values_[name].push_back(argument.substr(equals + 1));
    } else if (i + 1 < argc) {
      values_[name].emplace_back(argv[++i]);
    } else {
      return refuse(problem, name + " needs a value: " + option->value);
    }
  }
  if (positional_.size() < program.at_least) {
    return refuse(problem, std::string("expected ") + program.positional);
  }
  if (positional_.size() > program.at_most) {
    return refuse(problem, "unexpected argument: " + positional_[program.at_most]);
  }
  return true;
}

const char* Arguments::text(const std::string& option) const {
  const std::vector<std::string>& values = all(option);
  return values.empty() ? nullptr : values.back().c_str();
}

const std::vector<std::string>& Arguments::all(const std::string& option) const {
  static const std::vector<std::string> none;
  const auto found = values_.find(option);
  return found == values_.end() ? none : found->second;
}

bool Arguments::number(const std::string& option, int32_t low, int32_t high, int32_t standard, int32_t& value,
                       std::string& problem) const {
  const char* given = text(option);
  value = standard;
  if (given == nullptr) return true;
  char* end = nullptr;
  errno = 0;
  const long parsed = std::strtol(given, &end, 10);
  if (end == given || *end != '\0' || errno != 0 || parsed < low || parsed > high) {
    return refuse(problem, option + " takes a whole number from " + std::to_string(low) + " to " +
                               std::to_string(high) + "; found `" + given + "`");
  }
  value = static_cast<int32_t>(parsed);
  return true;
}

bool Arguments::decimal(const std::string& option, double low, double high, std::optional<double>& value,
                        std::string& problem) const {
  const char* given = text(option);
  if (given == nullptr) return true;
  char* end = nullptr;
  const double parsed = std::strtod(given, &end);
  if (end == given || *end != '\0' || !(parsed >= low && parsed <= high)) {
    char bounds[64];
    std::snprintf(bounds, sizeof bounds, "%g to %g", low, high);
    return refuse(problem, option + " takes a number from " + bounds + "; found `" + given + "`");
  }
  value = parsed;
  return true;
}

std::string help_text(const Program& program) {
  std::string text = std::string("Usage: ") + program.name + " " + program.positional + " [options]\n\n";
  text += std::string(program.summary) + "\n\nOptions:\n";
  for (const Option& option : program.options) {
    if (option.hidden) continue;
    text += help_line(std::string(option.name) + (option.value ? std::string(" ") + option.value : ""), option.help);
  }
  text += help_line("--help", "Show this and exit.");
  text += help_line("--version", "Show the version and the included engines, and exit.");
  return text + "\nExit codes: 0 done, 1 failed, 2 wrong usage.\n";
}

std::string version_text(const Program& program) {
  std::string engines;
  for (int32_t i = 0; const char* name = edgetl_engine_name(i); ++i)
    engines += (i == 0 ? "" : ", ") + std::string(name);
  return std::string(program.name) + " " + EDGETL_RUNTIME_VERSION + "\nengines: " + engines + "\n";
}

int wrong_usage(const Program& program, const std::string& problem) {
  std::fprintf(stderr, "%s: %s (see: %s --help)\n", program.name, problem.c_str(), program.name);
  return 2;
}

int failed(const Program& program, const std::string& reason) {
  std::fprintf(stderr, "%s: %s\n", program.name, reason.c_str());
  return 1;
}

int finish_output(const Program& program) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
  return failed(program, std::string("cannot write the result to stdout: ") + std::strerror(errno));
}

}  // namespace edgetl
