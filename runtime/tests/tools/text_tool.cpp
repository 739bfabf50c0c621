// Lets Python compare: reads commands from stdin, writes results to stdout.
//
//   open <bytes> <longest>, then tokenizer.json: texts that follow are cut to `longest` tokens
//   encode <bytes>, then UTF-8
//
// Answers "ok <count>" and int32 ids (none after `open`), or "error <status> <message>".
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "tokenizer.h"

namespace {

std::unique_ptr<edgetl::Tokenizer> tokenizer;

bool read_exactly(std::vector<uint8_t>& bytes) {
  return bytes.empty() || std::fread(bytes.data(), 1, bytes.size(), stdin) == bytes.size();
}

void answer(edgetl_status status, const edgetl_error& error, const std::vector<int32_t>& ids) {
  if (status != EDGETL_OK) {
    std::printf("error %d %s\n", static_cast<int>(status), error.message);
    return;
  }
  std::printf("ok %zu\n", ids.size());
  std::fwrite(ids.data(), sizeof(int32_t), ids.size(), stdout);
}

bool open(const char* words) {
  size_t bytes = 0, longest = 0;
  if (std::sscanf(words, "%zu %zu", &bytes, &longest) != 2) return false;
  std::vector<uint8_t> file(bytes);
  if (!read_exactly(file)) return false;
  edgetl_error error{};
  tokenizer = std::make_unique<edgetl::Tokenizer>();
  answer(tokenizer->open({file.data(), file.size()}, "tokenizer.json", longest, &error), error, {});
  return true;
}

bool encode(const char* words) {
  size_t bytes = 0;
  if (tokenizer == nullptr || std::sscanf(words, "%zu", &bytes) != 1) return false;
  std::vector<uint8_t> text(bytes);
  if (!read_exactly(text)) return false;
  edgetl_error error{};
  const edgetl_status status = tokenizer->encode(text.data(), text.size(), &error);
  answer(status, error, tokenizer->ids());
  return true;
}

bool obey(const std::string& command, const std::string& words) {
  return command == "open" ? open(words.c_str()) : command == "encode" && encode(words.c_str());
}

}  // namespace

int main() { return tools::run_commands("`open` or `encode`", obey); }
