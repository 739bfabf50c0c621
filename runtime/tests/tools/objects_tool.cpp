// Lets Python compare: reads commands from stdin, writes results to stdout.
//
//   frame <w> <h> <squash|crop|letterbox|letterbox-corner> <H> <W> <crop_pct>
//   objects <anchors> <classes> <score_threshold> <iou_threshold> <max_candidates> <max_detections>
//           <h> <w> <rows> <columns> <top> <left>, all in one line, then float32 boxes and scores
//   time <rounds> and the same: the median in microseconds
//
// Answers "ok <rows> <columns> <top> <left>", "ok <count>" and so many edgetl_detection, or "ok <microseconds>".
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "commands.h"
#include "frame.h"
#include "postprocess.h"

namespace {

struct Work {
  size_t anchors = 0, classes = 0;
  edgetl::Postprocess settings;
  edgetl::Frame frame;
  std::vector<float> boxes, scores;
};

bool read_exactly(std::vector<float>& values) {
  return std::fread(values.data(), sizeof(float), values.size(), stdin) == values.size();
}

bool parse(const char* words, Work& work) {
  edgetl::Postprocess& s = work.settings;
  edgetl::Frame& f = work.frame;
  if (std::sscanf(words, "%zu %zu %f %f %d %d %d %d %d %d %d %d", &work.anchors, &work.classes, &s.score_threshold,
                  &s.iou_threshold, &s.max_candidates, &s.max_detections, &f.height, &f.width, &f.rows, &f.columns,
                  &f.top, &f.left) != 12) {
    return false;
  }
  work.boxes.resize(work.anchors * 4);
  work.scores.resize(work.anchors * work.classes);
  return read_exactly(work.boxes) && read_exactly(work.scores);
}

bool find_objects(const char* words) {
  Work work;
  edgetl::Postprocessor postprocessor;
  if (!parse(words, work) || !postprocessor.make(work.anchors, work.classes)) return false;
  std::vector<edgetl_detection> objects(edgetl::most_detections);
  const size_t count = postprocessor.run(work.boxes.data(), work.scores.data(), work.frame, work.settings,
                                         objects.data(), objects.size());
  std::printf("ok %zu\n", count);
  std::fwrite(objects.data(), sizeof(edgetl_detection), count, stdout);
  return true;
}

bool time_objects(const char* line) {
  int rounds = 0, at = 0;
  Work work;
  edgetl::Postprocessor postprocessor;
  if (std::sscanf(line, "%d %n", &rounds, &at) != 1 || rounds < 1 || !parse(line + at, work)) return false;
  if (!postprocessor.make(work.anchors, work.classes)) return false;
  std::vector<edgetl_detection> objects(edgetl::most_detections);
  std::vector<double> micros;
  for (int round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    postprocessor.run(work.boxes.data(), work.scores.data(), work.frame, work.settings, objects.data(), objects.size());
    micros.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(micros.begin(), micros.end());
  std::printf("ok %.3f\n", micros[micros.size() / 2]);
  return true;
}

bool find_frame(const char* words) {
  edgetl::Preprocessing p;
  char policy[32];
  int32_t width = 0, height = 0;
  if (std::sscanf(words, "%d %d %31s %d %d %lf", &width, &height, policy, &p.height, &p.width, &p.crop_pct) != 6) {
    return false;
  }
  constexpr const char* policies[] = {"squash", "crop", "letterbox", "letterbox-corner"};
  for (int i = 0; i < 4; ++i) {
    if (std::strcmp(policy, policies[i]) == 0) p.resize = static_cast<edgetl::Resize>(i);
  }
  edgetl::Frame f;
  if (edgetl::make_frame(p, width, height, f, nullptr) != EDGETL_OK) return false;
  std::printf("ok %d %d %d %d\n", f.rows, f.columns, f.top, f.left);
  return true;
}

bool obey(const std::string& command, const std::string& words) {
  if (command == "objects") return find_objects(words.c_str());
  if (command == "time") return time_objects(words.c_str());
  return command == "frame" && find_frame(words.c_str());
}

}  // namespace

int main() { return tools::run_commands("`frame`, `objects` or `time`", obey); }
