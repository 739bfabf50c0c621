// The command loop of the tools: one command a line, answered before the next is read.
#pragma once

#include <cstdio>
#include <string>

namespace tools {

// obey(command, words) returns whether it knew the command and its values; otherwise the tool ends with 2.
template <class Obey>
int run_commands(const char* known, Obey obey) {
  std::string line;
  for (int c = std::getchar(); c != EOF; c = std::getchar()) {
    if (c != '\n') {
      line.push_back(static_cast<char>(c));
      continue;
    }
    const size_t space = line.find(' ');
    const std::string words = space == line.npos ? "" : line.substr(space + 1);
    if (!obey(line.substr(0, space), words)) {
      std::fprintf(stderr, "expected a command %s and its values, found %s\n", known, line.c_str());
      return 2;
    }
    std::fflush(stdout);
    line.clear();
  }
  return 0;
}

}  // namespace tools
