// edgetl-verify: check a bundle's digests, then replay its golden images on this device, as `edgetl verify` does.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "bundle.h"
#include "edgetl/runtime.h"
#include "file_content.h"
#include "json_writer.h"
#include "machine.h"
#include "pictures.h"
#include "sha256.h"

namespace {

const edgetl::Program& program() {
  static const edgetl::Program described = {
      "edgetl-verify",
      "BUNDLE",
      1,
      1,
      "Check a bundle's digests, then replay its golden images or clips: decode, resize or window, network, "
      "postprocess.",
      {{"--digests-only", nullptr, "Do not run the network; for bundles for other hardware."},
       {"--sha256", "DIGEST", "Expected digest of manifest.json: `bundle_sha256` in report.json."},
       {"--digest", nullptr, "Print the SHA-256 of the file BUNDLE instead; for devices without sha256sum."},
       {"--threads", "N", "Threads per inference. [default: 1]"},
       {"--json", nullptr, "Print the result as JSON."},
       {"--engine-library", "PATH",
        "The engine's shared library. [default: EDGETL_ENGINE_LIBRARY, else usual names]"}}};
  return described;
}

struct Step {
  int32_t image;
  std::string step;
  bool passed;
  double difference, allowed;
  std::string detail;
};

struct Replay {
  bool as_json;
  const char* noun;
  std::vector<Step> steps;
};

void note_step(void* user, const edgetl_check* check) {
  Replay& replay = *static_cast<Replay*>(user);
  replay.steps.push_back(
      {check->image, check->step, check->passed != 0, check->difference, check->allowed, check->detail});
  if (replay.as_json) return;
  std::printf("%s %s %d  %-8s %s\n", check->passed ? "ok  " : "FAIL", replay.noun, static_cast<int>(check->image),
              check->step, check->detail);
}

const Step* first_failed(const std::vector<Step>& steps) {
  for (const Step& step : steps) {
    if (!step.passed) return &step;
  }
  return nullptr;
}

// False unless the text is a SHA-256 in hexadecimal digits; small letters afterwards.
bool take_digest(std::string& text) {
  const auto is_digit = [](unsigned char c) { return std::isxdigit(c) != 0; };
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text.size() == 64 && std::all_of(text.begin(), text.end(), is_digit);
}

// Why a network may differ on this machine only, as `edgetl verify` says it; "" when nothing explains it.
std::string hint(const edgetl::Manifest& manifest) {
  const bool int8 = manifest.precision == "int8" || manifest.precision == "mixed" || manifest.precision == "simplified";
  if (!int8 || !edgetl::saturates(edgetl::describe_machine(), manifest.machine, manifest.cpu_with)) return "";
  return "; this CPU has no VNNI, so INT8 saturates: verify on a CPU that " + manifest.target +
         " is for, or build for x86-avx2 or intel-avx2";
}

struct Digests {
  size_t files;
  std::string found;  // of manifest.json
  std::optional<std::string> expected;
};

void print_json(const std::string& bundle, const Digests& digests, const std::vector<Step>& steps) {
  edgetl::JsonWriter json;
  json.open('{').key("bundle").text(bundle).key("files").whole(static_cast<int64_t>(digests.files));
  json.key("bundle_sha256").text(digests.found).key("expected_sha256").text_or_null(digests.expected);
  json.key("steps").open('[');
  for (const Step& step : steps) {
    json.open('{').key("image").whole(step.image).key("step").text(step.step).key("passed").boolean(step.passed);
    json.key("difference").number(step.difference).key("allowed").number(step.allowed);
    json.key("detail").text(step.detail).close();
  }
  json.close().key("passed").boolean(first_failed(steps) == nullptr).close();
  std::fputs(json.document().c_str(), stdout);
}

int print_digest(const std::string& path) {
  edgetl::Content content;
  edgetl_error error{};
  if (edgetl::read_content(path.c_str(), "a file to digest", content, &error) != EDGETL_OK) {
    return edgetl::failed(program(), error.message);
  }
  char hex[65];
  edgetl::write_hex(edgetl::sha256(content.data.get(), content.bytes), hex);
  std::puts(hex);
  return edgetl::finish_output(program());
}

}  // namespace

int main(int argc, char** argv) {
  edgetl::Arguments arguments;
  int code = 0;
  if (!arguments.start(program(), argc, argv, code)) return code;
  if (arguments.has("--digest")) return print_digest(arguments.positional()[0]);
  edgetl_options options{};
  options.struct_size = sizeof options;
  options.engine_library = arguments.text("--engine-library");
  std::string problem;
  if (!arguments.number("--threads", 1, 1024, 1, options.threads, problem)) {
    return edgetl::wrong_usage(program(), problem);
  }
  Digests digests{};
  if (const char* given = arguments.text("--sha256"); given != nullptr) {
    digests.expected = given;
    if (!take_digest(*digests.expected)) {
      return edgetl::wrong_usage(program(), "--sha256 takes 64 hexadecimal digits; found `" + std::string(given) + "`");
    }
  }
  // a check that skips the digests would be none
  unsetenv("EDGETL_SKIP_DIGEST");

  const std::string& folder = arguments.positional()[0];
  edgetl_error error{};
  edgetl::Manifest manifest;
  {
    edgetl::Bundle bundle;
    if (bundle.read_folder(folder.c_str(), &options, &error) != EDGETL_OK) {
      return edgetl::failed(program(), error.message);
    }
    manifest = bundle.manifest();
    digests.files = manifest.files.size();
    digests.found = bundle.digest();
  }
  if (digests.expected && *digests.expected != digests.found) {
    return edgetl::failed(program(), folder + "/manifest.json: SHA-256 is " + digests.found + ", expected " +
                                         *digests.expected + "; another bundle, or changed: do not use it");
  }
  Replay replay{arguments.has("--json"), edgetl::noun_of(manifest.front), {}};
  if (!replay.as_json) {
    std::printf(
        "digests: %zu files as manifest.json lists them; %s\n", digests.files,
        digests.expected ? "the manifest has the given SHA-256" : "the manifest itself was not verified (--sha256)");
  }
  edgetl_status status = EDGETL_OK;
  if (!arguments.has("--digests-only")) {
    status = edgetl_verify(folder.c_str(), &options, edgetl::decode_for_verify, nullptr, note_step, &replay, &error);
  }
  if (status != EDGETL_OK && status != EDGETL_CHECK_FAILED) return edgetl::failed(program(), error.message);
  if (replay.as_json) print_json(folder, digests, replay.steps);
  code = edgetl::finish_output(program());
  const Step* failed = first_failed(replay.steps);
  if (failed == nullptr) return status == EDGETL_OK ? code : edgetl::failed(program(), error.message);
  return replay.as_json ? 1
                        : edgetl::failed(program(), folder + ": the first step that differs is `" + failed->step +
                                                        "`: " + failed->detail + hint(manifest));
}
