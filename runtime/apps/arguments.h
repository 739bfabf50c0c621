// The command line of the apps: options with two dashes, everything else is positional.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace edgetl {

struct Option {
  const char* name;   // "--top"
  const char* value;  // what it takes, "K"; null for a flag
  const char* help;
  bool hidden = false;  // from --help
};

struct Program {
  const char* name;        // "edgetl-run"
  const char* positional;  // "BUNDLE IMAGE..."
  size_t at_least;         // positional arguments
  size_t at_most;
  const char* summary;
  std::vector<Option> options;  // --help and --version are understood by all
};

class Arguments {
 public:
  // Parses; answers --help, --version and wrong usage itself. `code` is the exit code when the result is false.
  bool start(const Program& program, int argc, const char* const* argv, int& code);

  // Parses only. False with one line in `problem` when the usage is wrong.
  bool parse(const Program& program, int argc, const char* const* argv, std::string& problem);

  bool has(const std::string& option) const { return values_.count(option) != 0; }
  const char* text(const std::string& option) const;  // the last one given; null when there is none
  const std::vector<std::string>& all(const std::string& option) const;
  const std::vector<std::string>& positional() const { return positional_; }

  // The option's number, or `standard`. False with one line in `problem` unless it is a number in low .. high.
  bool number(const std::string& option, int32_t low, int32_t high, int32_t standard, int32_t& value,
              std::string& problem) const;

  // The same of a number with decimals; `value` stays nothing when the option was not given.
  bool decimal(const std::string& option, double low, double high, std::optional<double>& value,
               std::string& problem) const;

 private:
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> positional_;
};

std::string help_text(const Program& program);
std::string version_text(const Program& program);

// One line on stderr, beginning with the program's name. They return the exit code: 2 and 1.
int wrong_usage(const Program& program, const std::string& problem);
int failed(const Program& program, const std::string& reason);

// Ends the output; 0, or 1 with a line on stderr when stdout did not take all of it.
int finish_output(const Program& program);

}  // namespace edgetl
