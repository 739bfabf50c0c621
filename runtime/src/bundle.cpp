#include "bundle.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string_view>

#include "fail.h"
#include "file.h"
#include "onnx_file.h"
#include "sha256.h"

namespace edgetl {
namespace {

constexpr const char* manifest_name = "manifest.json";
constexpr const char* labels_name = "labels.txt";

// Why the digests are not computed; null when they are.
const char* why_skipped(const edgetl_options* options) {
  constexpr size_t end = offsetof(edgetl_options, skip_digest) + sizeof options->skip_digest;
  if (options != nullptr && options->struct_size >= end && options->skip_digest != 0) return "skip_digest";
  const char* variable = std::getenv("EDGETL_SKIP_DIGEST");
  return variable != nullptr && std::strcmp(variable, "1") == 0 ? "EDGETL_SKIP_DIGEST=1" : nullptr;
}

void warn(const edgetl_options* options, const char* line) {
  constexpr size_t end = offsetof(edgetl_options, user) + sizeof options->user;
  if (options != nullptr && options->struct_size >= end && options->warn != nullptr) {
    options->warn(options->user, line);
  } else {
    std::fprintf(stderr, "edgetl: warning: %s\n", line);
  }
}

void warn_skipped(const edgetl_options* options, const std::string& where, const char* why) {
  edgetl_error line = {};
  fail(&line, EDGETL_OK, "%s: the SHA-256 of its files is not checked (%s); a changed model would not be noticed",
       where.c_str(), why);
  warn(options, line.message);
}

edgetl_status check_digest(const std::string& path, Bytes file, const FileEntry& entry, edgetl_error* error) {
  if (sha256(file.data, file.size) == entry.sha256) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_CHANGED,
              "%s: SHA-256 differs from the manifest; changed after it was built: do not use it", path.c_str());
}

// Nothing in a bundle authenticates its manifest, but the labels that other programs read must not contradict it.
edgetl_status check_labels(const std::string& where, const Manifest& manifest, Bytes file, edgetl_error* error) {
  std::string expected;
  for (const std::string& label : manifest.labels) expected.append(label).append("\n");
  const std::string_view found(reinterpret_cast<const char*>(file.data), file.size);
  if (found == expected) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_CHANGED,
              "%s/%s: not the labels of %s; one was changed after it was built: do not use it", where.c_str(),
              labels_name, manifest_name);
}

bool ends_with(const std::string& name, const char* ending) {
  const size_t length = std::strlen(ending);
  return name.size() >= length && name.compare(name.size() - length, length, ending) == 0;
}

edgetl_status check_model(const std::string& path, Bytes file, edgetl_error* error) {
  switch (find_outside_data(file)) {
    case OutsideData::none: return EDGETL_OK;
    case OutsideData::some:
      return fail(error, EDGETL_BUNDLE_INVALID,
                  "%s: takes weights from another file, which no digest covers; build it again", path.c_str());
    case OutsideData::not_onnx: break;
  }
  return fail(error, EDGETL_BUNDLE_INVALID, "%s: expected an ONNX model; damaged, or not one: build the bundle again",
              path.c_str());
}

edgetl_status check_names(const std::string& where, const Manifest& manifest, const std::set<std::string>& present,
                          edgetl_error* error) {
  for (const auto& [name, entry] : manifest.files) {
    if (present.count(name) != 0) continue;
    return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s: listed in the manifest but missing; copy the bundle again",
                where.c_str(), name.c_str());
  }
  for (const std::string& name : present) {
    if (manifest.files.count(name) != 0 || name == manifest_name) continue;
    return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s: not listed in the manifest; added after it was built",
                where.c_str(), name.c_str());
  }
  return EDGETL_OK;
}

edgetl_status check_manifest_size(const std::string& where, uint64_t bytes, edgetl_error* error) {
  if (bytes <= max_manifest_bytes) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s: %llu bytes; a manifest has at most %zu", where.c_str(),
              manifest_name, static_cast<unsigned long long>(bytes), max_manifest_bytes);
}

// `digest` receives the manifest's own.
edgetl_status take_manifest(const std::string& where, Bytes text, Manifest& manifest, char (&digest)[65],
                            edgetl_error* error) {
  write_hex(sha256(text.data, text.size), digest);
  edgetl_error inner = {};
  const edgetl_status status = parse_manifest(text.data, text.size, manifest, &inner);
  return status == EDGETL_OK ? status : fail(error, status, "%s/%s", where.c_str(), inner.message);
}

edgetl_status read_manifest_file(const Folder& folder, const std::string& where, FileContent& content,
                                 edgetl_error* error) {
  uint64_t bytes = 0;
  if (const edgetl_status status = folder.size_of(manifest_name, bytes, error); status != EDGETL_OK) return status;
  if (const edgetl_status status = check_manifest_size(where, bytes, error); status != EDGETL_OK) return status;
  return folder.read(manifest_name, bytes, content, error);
}

}  // namespace

struct Bundle::Storage {
  struct File {
    Bytes bytes;
    Buffer<uint8_t> owned;  // null: the caller's
  };
  std::map<std::string, File> files;
};

Bundle::Bundle() : storage_(new Storage) {}
Bundle::~Bundle() = default;

edgetl_status Bundle::read_folder(const char* path, const edgetl_options* options, edgetl_error* error) {
  if (path == nullptr) return fail(error, EDGETL_INVALID_ARGUMENT, "edgetl_open: the folder is NULL");
  where_ = path;
  Folder folder;
  FileContent text;
  std::set<std::string> present;
  edgetl_status status = folder.open(path, error);
  if (status == EDGETL_OK) status = read_manifest_file(folder, where_, text, error);
  if (status == EDGETL_OK) status = take_manifest(where_, {text.data.get(), text.size}, manifest_, digest_, error);
  if (status == EDGETL_OK) status = folder.list(present, error);
  if (status == EDGETL_OK) status = check_names(where_, manifest_, present, error);
  if (status != EDGETL_OK) return status;
  const char* skipped = why_skipped(options);
  if (skipped != nullptr) warn_skipped(options, where_, skipped);
  for (const auto& [name, entry] : manifest_.files) {
    FileContent content;
    status = folder.read(name, entry.size_bytes, content, error);
    if (status != EDGETL_OK) return status;
    const Bytes bytes = {content.data.get(), content.size};
    if (skipped == nullptr) status = check_digest(where_ + "/" + name, bytes, entry, error);
    if (status != EDGETL_OK) return status;
    storage_->files[name] = {bytes, std::move(content.data)};
  }
  return check_contents(error);
}

edgetl_status Bundle::read_files(const edgetl_file* files, size_t count, const edgetl_options* options,
                                 edgetl_error* error) {
  where_ = "embedded bundle";
  if (files == nullptr) return fail(error, EDGETL_INVALID_ARGUMENT, "edgetl_open_files: the array of files is NULL");
  std::set<std::string> present;
  for (const edgetl_file* file = files; file != files + count; ++file) {
    if (file->name == nullptr || (file->data == nullptr && file->bytes != 0)) {
      return fail(error, EDGETL_INVALID_ARGUMENT, "edgetl_open_files: file %zu has no name or no data",
                  static_cast<size_t>(file - files));
    }
    if (!present.insert(file->name).second) {
      return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s: occurs twice", where_.c_str(), file->name);
    }
    storage_->files[file->name].bytes = {file->data, file->bytes};
  }
  return check_files(present, options, error);
}

// Of an embedded bundle, whose files are in `storage_`.
edgetl_status Bundle::check_files(const std::set<std::string>& present, const edgetl_options* options,
                                  edgetl_error* error) {
  if (present.count(manifest_name) == 0) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s: missing; every bundle has one", where_.c_str(), manifest_name);
  }
  const Bytes text = file(manifest_name);
  edgetl_status status = check_manifest_size(where_, text.size, error);
  if (status == EDGETL_OK) status = take_manifest(where_, text, manifest_, digest_, error);
  if (status != EDGETL_OK) return status;
  where_ += " " + manifest_.name;
  status = check_names(where_, manifest_, present, error);
  if (status != EDGETL_OK) return status;
  const char* skipped = why_skipped(options);
  if (skipped != nullptr) warn_skipped(options, where_, skipped);
  for (const auto& [name, entry] : manifest_.files) {
    const Bytes bytes = file(name);
    if (bytes.size != entry.size_bytes) {
      return fail(error, EDGETL_BUNDLE_CHANGED, "%s/%s: %zu bytes, the manifest says %llu; embed the bundle again",
                  where_.c_str(), name.c_str(), bytes.size, static_cast<unsigned long long>(entry.size_bytes));
    }
    if (skipped == nullptr) status = check_digest(where_ + "/" + name, bytes, entry, error);
    if (status != EDGETL_OK) return status;
  }
  return check_contents(error);
}

edgetl_status Bundle::check_contents(edgetl_error* error) const {
  edgetl_status status = check_labels(where_, manifest_, file(labels_name), error);
  if (manifest_.backend == "onnxruntime" || manifest_.backend == "tensorrt") {  // the others read no ONNX
    std::set<std::string> models;
    for (const std::string& name : manifest_.model_files) {
      if (ends_with(name, ".onnx")) models.insert(name);
    }
    if (manifest_.backend == "onnxruntime") models.insert(manifest_.model);
    for (const std::string& name : models) {
      if (status == EDGETL_OK) status = check_model(where_ + "/" + name, file(name), error);
    }
  }
  return status == EDGETL_OK ? succeed(error) : status;
}

Bytes Bundle::file(const std::string& name) const {
  const auto found = storage_->files.find(name);
  return found == storage_->files.end() ? Bytes() : found->second.bytes;
}

void Bundle::release(const std::string& name) { storage_->files.erase(name); }

}  // namespace edgetl
