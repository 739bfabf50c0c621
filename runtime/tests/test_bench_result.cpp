#include <doctest/doctest.h>

#include <string>

#include "bench_result.h"

namespace {

edgetl::BundleResult bundle() {
  edgetl::BundleResult made;
  made.bundle = "steel-x86-cpu";
  made.backend = "onnxruntime";
  made.backend_version = "1.31.0";
  made.p50_ms = edgetl::Interval{1.25, 1.2, 1.3};
  return made;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("what was not measured is null") {
  edgetl::BenchResult result;
  result.bundles.push_back(bundle());
  const std::string json = edgetl::json_of(result);
  CHECK(has(json, "\"p50_ms\": {\n    \"value\": 1.25,\n    \"low\": 1.2,\n    \"high\": 1.3\n   }"));
  for (const char* key : {"p90_ms", "p99_ms", "placement", "top1", "ratio", "cold_start_ms", "peak_rss_bytes",
                          "baseline_rss_bytes", "python", "cpu", "gpu", "round_spread", "p999_ms", "runs_for_p999",
                          "warm_up", "paced", "conditions", "hardware"}) {
    CHECK(has(json, "\"" + std::string(key) + "\": null"));
  }
  CHECK(has(json, "\"temperature_c\": {\n  \"before\": null,\n  \"after\": null\n }"));
}

TEST_CASE("a line for people holds what there is") {
  edgetl::BundleResult made = bundle();
  CHECK(edgetl::line_of(made) == "steel-x86-cpu: onnxruntime 1.31.0; p50 1.250 ms (1.200 to 1.300)");
  made.p99_ms = edgetl::Estimate{2.5, std::nullopt};
  CHECK(has(edgetl::line_of(made), "; p99 2.500 ms (indication)"));
  CHECK(has(edgetl::json_of({"", {}, 0, {}, {}, {made}, {}, {}}),
            "\"p99_ms\": {\n    \"value\": 2.5,\n    \"low\": null,"));
  made.cold_start = edgetl::ColdStart{81.6, 52'000'000, 3'000'000};
  made.ratio = edgetl::Interval{2, 1.9, 2.1};
  CHECK(has(edgetl::line_of(made), "; cold start 82 ms, 52 MB; 2.00x the speed of the first"));
}

TEST_CASE("the date of a clock that was never set is empty") {
  CHECK(edgetl::utc_date(1'800'000'000) == "2027-01-15T08:00:00+00:00");
  CHECK(edgetl::utc_date(3600).empty());
}
