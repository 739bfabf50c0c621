#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "bundle.h"
#include "tools/small_bundle.h"

namespace fs = std::filesystem;

namespace {

struct Lines {
  std::vector<std::string> lines;
  static void add(void* user, const char* line) { static_cast<Lines*>(user)->lines.emplace_back(line); }
};

edgetl_options quiet(Lines& lines, bool skip_digest) {
  edgetl_options options = {};
  options.struct_size = sizeof options;
  options.skip_digest = skip_digest ? 1 : 0;
  options.warn = Lines::add;
  options.user = &lines;
  return options;
}

void write(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Opening `folder` must fail and name `file`.
void check_refused(const fs::path& folder, edgetl_status status, const std::string& file, const std::string& message) {
  edgetl::Bundle bundle;
  edgetl_error error;
  CAPTURE(file);
  CHECK(bundle.read_folder(folder.c_str(), nullptr, &error) == status);
  const std::string found = error.message;
  CHECK_MESSAGE(found.find((folder / file).string() + ":") == 0, found);
  CHECK_MESSAGE(found.find(message) != found.npos, found);
}

std::vector<edgetl_file> list_of(const small_bundle::Files& files) {
  std::vector<edgetl_file> list;
  for (const auto& [name, content] : files) {
    list.push_back({name.c_str(), reinterpret_cast<const uint8_t*>(content.data()), content.size()});
  }
  return list;
}

small_bundle::Files whole() {
  small_bundle::Files files = small_bundle::files({});
  const std::string manifest = small_bundle::manifest({}, files);
  files["manifest.json"] = manifest;
  return files;
}

edgetl_status open_files(const small_bundle::Files& files, std::string& message) {
  edgetl::Bundle bundle;
  edgetl_error error;
  const std::vector<edgetl_file> list = list_of(files);
  const edgetl_status status = bundle.read_files(list.data(), list.size(), nullptr, &error);
  message = error.message;
  return status;
}

}  // namespace

TEST_CASE("a whole bundle is read into memory") {
  const small_bundle::Folder folder;
  edgetl::Bundle bundle;
  edgetl_error error;
  REQUIRE_MESSAGE(bundle.read_folder(folder.path(), nullptr, &error) == EDGETL_OK, error.message);
  CHECK(bundle.where() == folder.path());
  CHECK(bundle.manifest().name == "small");
  CHECK(std::string(bundle.digest()).size() == 64);
  const edgetl::Bytes model = bundle.file("model.onnx");
  CHECK(std::string(reinterpret_cast<const char*>(model.data), model.size) == "a network");
  CHECK(bundle.file("nothing").data == nullptr);
  bundle.release("model.onnx");
  CHECK(bundle.file("model.onnx").data == nullptr);
}

TEST_CASE("a flipped byte in any file is found") {
  const small_bundle::Folder folder;
  for (const auto& [name, content] : small_bundle::files({})) {
    for (const size_t at : {size_t{0}, content.size() / 2, content.size() - 1}) {
      std::string flipped = content;
      flipped[at] = static_cast<char>(flipped[at] ^ 1);
      write(fs::path(folder.path()) / name, flipped);
      check_refused(folder.path(), EDGETL_BUNDLE_CHANGED, name, "SHA-256 differs");
    }
    write(fs::path(folder.path()) / name, content);
  }
}

TEST_CASE("a file of another size is found") {
  const small_bundle::Folder folder;
  for (const auto& [name, content] : small_bundle::files({})) {
    const fs::path path = fs::path(folder.path()) / name;
    for (const std::string& other : {content + "x", content.substr(1), std::string()}) {
      write(path, other);
      check_refused(folder.path(), EDGETL_BUNDLE_CHANGED, name, "bytes, the manifest says");
    }
    write(path, content);
  }
}

TEST_CASE("a missing file is named") {
  const small_bundle::Folder folder;
  for (const auto& [name, content] : small_bundle::files({})) {
    fs::remove(fs::path(folder.path()) / name);
    check_refused(folder.path(), EDGETL_BUNDLE_INVALID, name, "listed in the manifest but missing");
    write(fs::path(folder.path()) / name, content);
  }
  fs::remove(fs::path(folder.path()) / "manifest.json");
  check_refused(folder.path(), EDGETL_BUNDLE_UNREADABLE, "manifest.json", "No such file");
}

TEST_CASE("a foreign file is named, hidden or deep inside") {
  for (const char* name : {"extra", ".hidden", "golden/extra.png", "a/b/c/extra"}) {
    const small_bundle::Folder folder;
    write(fs::path(folder.path()) / name, "x");
    check_refused(folder.path(), EDGETL_BUNDLE_INVALID, name, "not listed in the manifest");
  }
}

TEST_CASE("links are refused, wherever they point") {
  for (const char* name : {"model.onnx", "golden/0.png", "manifest.json"}) {
    const small_bundle::Folder folder;
    const small_bundle::Folder other;
    const fs::path link = fs::path(folder.path()) / name;
    fs::remove(link);
    fs::create_symlink(fs::path(other.path()) / name, link);
    check_refused(folder.path(), EDGETL_BUNDLE_INVALID, name, "a symbolic link");
  }
  const small_bundle::Folder folder;
  const small_bundle::Folder other;
  fs::remove_all(fs::path(folder.path()) / "golden");
  fs::create_symlink(fs::path(other.path()) / "golden", fs::path(folder.path()) / "golden");
  check_refused(folder.path(), EDGETL_BUNDLE_INVALID, "golden", "a symbolic link");
}

TEST_CASE("a pipe is refused and not waited for") {
  const small_bundle::Folder folder;
  for (const char* name : {"model.onnx", "manifest.json"}) {
    const fs::path path = fs::path(folder.path()) / name;
    const std::string content = read(path);
    fs::remove(path);
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    check_refused(folder.path(), EDGETL_BUNDLE_INVALID, name, "not a regular file");
    fs::remove(path);
    write(path, content);
  }
}

TEST_CASE("a folder in a file's place is refused") {
  const small_bundle::Folder folder;
  fs::remove(fs::path(folder.path()) / "model.onnx");
  fs::create_directory(fs::path(folder.path()) / "model.onnx");
  check_refused(folder.path(), EDGETL_BUNDLE_INVALID, "model.onnx", "missing");
}

TEST_CASE("folders without end and files without number are refused") {
  const small_bundle::Folder deep;
  fs::create_directories(fs::path(deep.path()) / "a/b/c/d");
  check_refused(deep.path(), EDGETL_BUNDLE_INVALID, "a/b/c/d", "nested deeper");
  const small_bundle::Folder wide;
  for (size_t i = 0; i < 1001; ++i) write(fs::path(wide.path()) / ("f" + std::to_string(i)), "");
  edgetl_error error;
  CHECK(edgetl::Bundle().read_folder(wide.path(), nullptr, &error) == EDGETL_BUNDLE_INVALID);
  CHECK(std::string(error.message).find("more files than a bundle has") != std::string::npos);
}

TEST_CASE("bad manifests are named with their folder") {
  const small_bundle::Folder folder;
  const fs::path path = fs::path(folder.path()) / "manifest.json";
  write(path, std::string(10'000, '[') + std::string(10'000, ']'));
  check_refused(folder.path(), EDGETL_BUNDLE_INVALID, "manifest.json", "nested deeper");
  write(path, "");
  fs::resize_file(path, 100'000'000);
  check_refused(folder.path(), EDGETL_BUNDLE_INVALID, "manifest.json",
                "100000000 bytes; a manifest has at most 4000000");
}

TEST_CASE("a folder that is not there, or is a file, is no bundle") {
  const small_bundle::Folder folder;
  edgetl::Bundle bundle;
  edgetl_error error;
  const std::string file = std::string(folder.path()) + "/model.onnx";
  for (const char* path : {"/nothing/here", file.c_str(), ""}) {
    CHECK(bundle.read_folder(path, nullptr, &error) == EDGETL_BUNDLE_UNREADABLE);
    CHECK(std::string(error.message).find("no such bundle") != std::string::npos);
  }
  CHECK(bundle.read_folder(nullptr, nullptr, &error) == EDGETL_INVALID_ARGUMENT);
}

TEST_CASE("digests are skipped only when asked, and loudly") {
  const small_bundle::Folder folder;
  write(fs::path(folder.path()) / "model.onnx", "a netwerk");
  Lines lines;
  edgetl_error error;
  const edgetl_options checked = quiet(lines, false);
  CHECK(edgetl::Bundle().read_folder(folder.path(), &checked, &error) == EDGETL_BUNDLE_CHANGED);
  CHECK(lines.lines.empty());
  const edgetl_options skipped = quiet(lines, true);
  CHECK(edgetl::Bundle().read_folder(folder.path(), &skipped, &error) == EDGETL_OK);
  REQUIRE(lines.lines.size() == 1);
  CHECK(lines.lines[0].find("SHA-256 of its files is not checked (skip_digest)") != std::string::npos);
  setenv("EDGETL_SKIP_DIGEST", "1", 1);
  CHECK(edgetl::Bundle().read_folder(folder.path(), &checked, &error) == EDGETL_OK);
  setenv("EDGETL_SKIP_DIGEST", "0", 1);
  CHECK(edgetl::Bundle().read_folder(folder.path(), &checked, &error) == EDGETL_BUNDLE_CHANGED);
  unsetenv("EDGETL_SKIP_DIGEST");
  CHECK(lines.lines.size() == 2);
  write(fs::path(folder.path()) / "model.onnx", "a network!");
  CHECK(edgetl::Bundle().read_folder(folder.path(), &skipped, &error) == EDGETL_BUNDLE_CHANGED);
}

TEST_CASE("options of an older, shorter structure mean the defaults") {
  const small_bundle::Folder folder;
  write(fs::path(folder.path()) / "model.onnx", "a netwerk");
  Lines lines;
  edgetl_options options = quiet(lines, true);
  options.struct_size = offsetof(edgetl_options, skip_digest);
  CHECK(edgetl::Bundle().read_folder(folder.path(), &options, nullptr) == EDGETL_BUNDLE_CHANGED);
}

TEST_CASE("an embedded bundle is checked like a folder") {
  std::string message;
  CHECK_MESSAGE(open_files(whole(), message) == EDGETL_OK, message);
  for (const auto& [name, content] : small_bundle::files({})) {
    small_bundle::Files files = whole();
    files[name][0] = static_cast<char>(files[name][0] ^ 1);
    CHECK(open_files(files, message) == EDGETL_BUNDLE_CHANGED);
    CHECK_MESSAGE(message.find("embedded bundle small/" + name + ": SHA-256 differs") == 0, message);
    files[name] = content + "x";
    CHECK(open_files(files, message) == EDGETL_BUNDLE_CHANGED);
    CHECK_MESSAGE(message.find(name + ": " + std::to_string(content.size() + 1) + " bytes") != message.npos, message);
    files.erase(name);
    CHECK(open_files(files, message) == EDGETL_BUNDLE_INVALID);
    CHECK_MESSAGE(message.find(name + ": listed in the manifest but missing") != message.npos, message);
  }
  small_bundle::Files files = whole();
  files["extra"] = "x";
  CHECK(open_files(files, message) == EDGETL_BUNDLE_INVALID);
  CHECK_MESSAGE(message.find("extra: not listed") != message.npos, message);
  files = whole();
  files.erase("manifest.json");
  CHECK(open_files(files, message) == EDGETL_BUNDLE_INVALID);
  CHECK_MESSAGE(message.find("manifest.json: missing") != message.npos, message);
}

TEST_CASE("labels that are not the manifest's are refused although every digest is right") {
  for (const char* labels : {"dog\ncat\nfish\n", "cat\ndog\n", "cat\ndog\nfish", "cat\ndog\nfish\n\n", ""}) {
    CAPTURE(labels);
    small_bundle::Files files = small_bundle::files({});
    files["labels.txt"] = labels;
    const std::string manifest = small_bundle::manifest({}, files);
    files["manifest.json"] = manifest;
    std::string message;
    CHECK(open_files(files, message) == EDGETL_BUNDLE_CHANGED);
    CHECK_MESSAGE(message.find("labels.txt: not the labels of manifest.json") != message.npos, message);
    const small_bundle::Folder folder;
    write(fs::path(folder.path()) / "labels.txt", labels);
    write(fs::path(folder.path()) / "manifest.json", manifest);
    check_refused(folder.path(), EDGETL_BUNDLE_CHANGED, "labels.txt", "not the labels of manifest.json");
    Lines lines;
    const edgetl_options skipped = quiet(lines, true);
    CHECK(edgetl::Bundle().read_folder(folder.path(), &skipped, nullptr) == EDGETL_BUNDLE_CHANGED);
  }
}

TEST_CASE("an embedded bundle's array must make sense") {
  edgetl::Bundle bundle;
  edgetl_error error;
  const uint8_t byte = 0;
  const edgetl_file nameless[] = {{nullptr, &byte, 1}};
  const edgetl_file dataless[] = {{"a", nullptr, 1}};
  const edgetl_file twice[] = {{"a", &byte, 1}, {"a", &byte, 1}};
  CHECK(bundle.read_files(nullptr, 0, nullptr, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(bundle.read_files(nameless, 1, nullptr, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(bundle.read_files(dataless, 1, nullptr, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl::Bundle().read_files(twice, 2, nullptr, &error) == EDGETL_BUNDLE_INVALID);
}
