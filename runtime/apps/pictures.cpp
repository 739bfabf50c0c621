#include "pictures.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "decode.h"
#include "fail.h"

namespace edgetl {
namespace {

namespace fs = std::filesystem;

bool is_of(Files kind, const fs::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (kind == Files::texts) return ending == ".txt";
  if (kind == Files::sounds) return ending == ".wav" || ending == ".wave";
  if (kind == Files::windows) return ending == ".csv" || ending == ".tsv" || ending == ".npy";
  return ending == ".jpg" || ending == ".jpeg" || ending == ".png";
}

edgetl_status list_folder(const std::string& folder, Files kind, std::vector<std::string>& files, edgetl_error* error) {
  std::error_code problem;
  std::vector<std::string> found;
  fs::recursive_directory_iterator at(folder, problem);
  for (; !problem && at != fs::recursive_directory_iterator(); at.increment(problem)) {
    std::error_code unreadable;
    if (is_of(kind, at->path()) && at->is_regular_file(unreadable)) found.push_back(at->path().string());
  }
  if (problem) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "%s: cannot list the folder: %s", folder.c_str(),
                std::strerror(problem.value()));
  }
  if (found.empty()) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "%s: holds no %s file", folder.c_str(),
                kind == Files::windows  ? ".csv or .npy"
                : kind == Files::sounds ? ".wav"
                : kind == Files::texts  ? ".txt"
                                        : ".jpg or .png");
  }
  std::sort(found.begin(), found.end());
  files.insert(files.end(), found.begin(), found.end());
  return EDGETL_OK;
}

void spread(std::vector<std::string>& files, size_t most) {
  if (files.size() <= most) return;
  std::vector<std::string> kept;
  const double step = most > 1 ? static_cast<double>(files.size() - 1) / static_cast<double>(most - 1) : 0;
  for (size_t i = 0; i < most; ++i) {
    kept.push_back(files[static_cast<size_t>(std::lround(step * static_cast<double>(i)))]);
  }
  files.swap(kept);
}

edgetl_image image_of(const Picture& picture) {
  return {picture.rgb.get(), picture.width, picture.height, static_cast<size_t>(picture.width) * 3, EDGETL_RGB};
}

}  // namespace

edgetl_status InputLoader::load(const std::string& path, std::vector<uint8_t>& input, edgetl_error* error) {
  Picture picture;
  const edgetl_status status = read_picture_file(path.c_str(), picture, error);
  return status == EDGETL_OK ? prepare(picture, input, error) : status;
}

edgetl_status InputLoader::prepare(const Picture& picture, std::vector<uint8_t>& input, edgetl_error* error) {
  if (const edgetl_status status = reserve(picture, error)) return status;
  edgetl_info info{};
  info.struct_size = sizeof info;
  edgetl_get_info(model_, &info);
  input.resize(info.input_bytes);
  const edgetl_image image = image_of(picture);
  return edgetl_preprocess(model_, &image, scratch_.data(), scratch_.size() * sizeof(uint64_t), input.data(),
                           input.size(), error);
}

edgetl_status InputLoader::detect(edgetl_model* model, const Picture& picture, const edgetl_postprocess* settings,
                                  std::vector<edgetl_detection>& objects, edgetl_error* error) {
  constexpr size_t room = 1000;  // the most that settings can ask for
  if (const edgetl_status status = reserve(picture, error)) return status;
  const edgetl_image image = image_of(picture);
  size_t count = 0;
  objects.resize(room);
  const edgetl_status status = edgetl_detect(model, &image, scratch_.data(), scratch_.size() * sizeof(uint64_t),
                                             settings, objects.data(), objects.size(), &count, error);
  objects.resize(count);
  return status;
}

edgetl_status InputLoader::reserve(const Picture& picture, edgetl_error* error) {
  size_t scratch_bytes = 0;
  const edgetl_status status = edgetl_scratch_bytes(model_, picture.width, picture.height, &scratch_bytes, error);
  if (status == EDGETL_OK) scratch_.resize(std::max(scratch_.size(), scratch_bytes / sizeof(uint64_t) + 1));
  return status;
}

edgetl_status list_files(const std::vector<std::string>& paths, Files kind, size_t most,
                         std::vector<std::string>& files, edgetl_error* error) {
  for (const std::string& path : paths) {
    std::error_code problem;
    if (!fs::is_directory(path, problem)) {
      files.push_back(path);
    } else if (const edgetl_status status = list_folder(path, kind, files, error)) {
      return status;
    }
  }
  spread(files, most);
  return EDGETL_OK;
}

edgetl_status decode_for_verify(void* /*user*/, const char* name, const uint8_t* file, size_t bytes, uint8_t* rgb,
                                size_t capacity, int32_t* width, int32_t* height) {
  Picture picture;
  if (const edgetl_status status = decode(name, file, bytes, picture, nullptr)) return status;
  if (picture.bytes() > capacity) return EDGETL_INVALID_ARGUMENT;
  std::copy_n(picture.rgb.get(), picture.bytes(), rgb);
  *width = picture.width;
  *height = picture.height;
  return EDGETL_OK;
}

}  // namespace edgetl
