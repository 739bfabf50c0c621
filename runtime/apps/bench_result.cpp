#include "bench_result.h"

#include <cstdio>

#include "json_writer.h"

namespace edgetl {
namespace {

constexpr std::time_t no_earlier = 1'577'836'800;  // 2020: a board without a battery clock starts in 1970

void write(JsonWriter& json, const char* key, const std::optional<Interval>& interval) {
  json.key(key);
  if (!interval) {
    json.null();
    return;
  }
  json.open('{').key("value").number(interval->value);
  json.key("low").number(interval->low).key("high").number(interval->high).close();
}

void write(JsonWriter& json, const char* key, const std::optional<Estimate>& estimate) {
  json.key(key);
  if (!estimate) {
    json.null();
    return;
  }
  const std::optional<Interval>& interval = estimate->interval;
  json.open('{').key("value").number(estimate->value);
  json.key("low").number_or_null(interval ? std::optional<double>(interval->low) : std::nullopt);
  json.key("high").number_or_null(interval ? std::optional<double>(interval->high) : std::nullopt).close();
}

void write(JsonWriter& json, const char* key, const BeforeAfter& reading) {
  json.key(key).open('{').key("before").number_or_null(reading.before);
  json.key("after").number_or_null(reading.after).close();
}

void write(JsonWriter& json, const Machine& machine, int usable_cores) {
  json.key("machine").open('{');
  json.key("cpu").text_or_null(machine.cpu).key("architecture").text(machine.architecture);
  json.key("instruction_sets").open('[');
  for (const std::string& name : machine.instruction_sets) json.text(name);
  json.close().key("logical_cores").whole_or_null(machine.logical_cores);
  json.key("usable_cores").whole(usable_cores).key("governor").text_or_null(machine.governor);
  json.key("clock_mhz").number_or_null(machine.clock_mhz);
  json.key("clock_min_mhz").number_or_null(machine.clock_min_mhz);
  json.key("clock_max_mhz").number_or_null(machine.clock_max_mhz);
  json.key("load_average").number_or_null(machine.load_average);
  json.key("memory_bytes").whole_or_null(machine.memory_bytes);
  // the C functions do not tell which GPU they run on
  json.key("system").text(machine.system).key("python").null().key("gpu").null().close();
}

void write(JsonWriter& json, const std::optional<WarmUp>& found) {
  json.key("warm_up");
  if (!found) {
    json.null();
    return;
  }
  json.open('{').key("runs").whole(found->runs);
  json.key("steady_from")
      .whole_or_null(found->steady_from ? std::optional<int64_t>(*found->steady_from) : std::nullopt);
  json.close();
}

void write(JsonWriter& json, const std::optional<Paced>& found) {
  json.key("paced");
  if (!found) {
    json.null();
    return;
  }
  json.open('{').key("rate_hz").number(found->pace.rate_hz).key("arrivals").text(found->pace.arrivals);
  json.key("runs").whole(found->runs);
  write(json, "p50_ms", found->p50_ms);
  write(json, "p90_ms", found->p90_ms);
  write(json, "p99_ms", std::optional<Estimate>(found->p99_ms));
  write(json, "p999_ms", found->p999_ms);
  write(json, "service_p50_ms", found->service_p50_ms);
  write(json, "service_p99_ms", std::optional<Estimate>(found->service_p99_ms));
  json.key("utilization").number(found->utilization).close();
}

void write(JsonWriter& json, const BundleResult& bundle) {
  json.open('{').key("bundle").text(bundle.bundle).key("bundle_sha256").text(bundle.bundle_sha256);
  json.key("target").text(bundle.target).key("precision").text(bundle.precision);
  json.key("backend").text(bundle.backend).key("backend_version").text(bundle.backend_version);
  json.key("placement").null().key("size_bytes").whole(bundle.size_bytes);
  write(json, "p50_ms", bundle.p50_ms);
  write(json, "p90_ms", bundle.p90_ms);
  write(json, "p99_ms", bundle.p99_ms);
  json.key("runs").whole(bundle.runs).key("threads").whole(bundle.threads);
  json.key("images").whole(0).key("top1").null();  // no labeled images here
  write(json, "ratio", bundle.ratio);
  const std::optional<ColdStart>& cold = bundle.cold_start;
  json.key("cold_start_ms").number_or_null(cold ? std::optional<double>(cold->cold_start_ms) : std::nullopt);
  json.key("peak_rss_bytes").whole_or_null(cold ? std::optional<int64_t>(cold->peak_rss_bytes) : std::nullopt);
  json.key("baseline_rss_bytes").whole_or_null(cold ? std::optional<int64_t>(cold->baseline_rss_bytes) : std::nullopt);
  json.key("round_spread").number_or_null(bundle.round_spread);
  write(json, "detect_p50_ms", bundle.detect_p50_ms);
  json.key("by_length").open('[');
  for (const OfLength& each : bundle.by_length) {
    json.open('{').key("tokens").whole(each.tokens);
    write(json, "p50_ms", each.p50_ms);
    json.close();
  }
  json.close();
  write(json, "tokenize_p50_ms", bundle.tokenize_p50_ms);
  write(json, "p999_ms", bundle.p999_ms);
  json.key("runs_for_p99").whole_or_null(bundle.runs_for_p99);
  json.key("runs_for_p999").whole_or_null(bundle.runs_for_p999);
  write(json, bundle.warm_up);
  write(json, bundle.paced);
  json.close();
}

void write(JsonWriter& json, const std::optional<Conditions>& found) {
  json.key("conditions");
  if (!found) {
    json.null().key("hardware").null();
    return;
  }
  json.open('{').key("waited").number_or_null(found->waited).key("stolen").number_or_null(found->stolen).close();
  json.key("hardware").open('{').key("seconds").number(found->seconds);
  json.key("throttled").whole_or_null(found->throttled).key("energy_j").number_or_null(found->energy_j).close();
}

}  // namespace

std::string utc_date(std::time_t now) {
  std::tm parts{};
  if (now < no_earlier || gmtime_r(&now, &parts) == nullptr) return "";
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", &parts));
}

std::string json_of(const BenchResult& result) {
  JsonWriter json;
  json.open('{').key("harness").text("edgetl c++").key("created").text(result.created);
  write(json, result.machine, result.usable_cores);
  write(json, "clock_mhz", result.clock_mhz);
  write(json, "temperature_c", result.temperature_c);
  json.key("bundles").open('[');
  for (const BundleResult& bundle : result.bundles) write(json, bundle);
  json.close().key("schema").whole(1);
  write(json, result.conditions);
  json.key("warnings").open('[');
  for (const std::string& warning : result.warnings) json.text(warning);
  json.close().close();
  return json.document();
}

std::string line_of(const BundleResult& bundle) {
  std::string line = bundle.bundle + ": " + bundle.backend + " " + bundle.backend_version;
  char part[128];
  const auto add = [&](const char* name, const std::optional<Interval>& interval) {
    if (!interval) return;
    std::snprintf(part, sizeof part, "; %s %.3f ms (%.3f to %.3f)", name, interval->value, interval->low,
                  interval->high);
    line += part;
  };
  add("p50", bundle.p50_ms);
  add("p90", bundle.p90_ms);
  if (bundle.p99_ms && bundle.p99_ms->interval) add("p99", bundle.p99_ms->interval);
  if (bundle.p99_ms && !bundle.p99_ms->interval) {
    std::snprintf(part, sizeof part, "; p99 %.3f ms (indication)", bundle.p99_ms->value);
    line += part;
  }
  if (bundle.p999_ms) add("p99.9", bundle.p999_ms->interval);
  add("whole detection p50", bundle.detect_p50_ms);
  add("tokenizing p50", bundle.tokenize_p50_ms);
  for (const OfLength& each : bundle.by_length) {
    add((std::to_string(each.tokens) + " tokens p50").c_str(), each.p50_ms);
  }
  if (bundle.paced) {
    std::snprintf(part, sizeof part, "; %g arrivals a second (%s): busy %.0f %% of the time",
                  bundle.paced->pace.rate_hz, bundle.paced->pace.arrivals.c_str(), 100 * bundle.paced->utilization);
    line += part;
    add("from arrival p50", bundle.paced->p50_ms);
    std::snprintf(part, sizeof part, "; from arrival p99 %.3f ms", bundle.paced->p99_ms.value);
    line += part;
    add("service time p50", bundle.paced->service_p50_ms);
  }
  if (bundle.warm_up) {
    const bool steady = bundle.warm_up->steady_from.has_value();
    std::snprintf(part, sizeof part, "; %d warm-up runs discarded%s", bundle.warm_up->runs,
                  steady ? "" : ", never steady");
    line += part;
  }
  if (bundle.cold_start) {
    std::snprintf(part, sizeof part, "; cold start %.0f ms, %.0f MB", bundle.cold_start->cold_start_ms,
                  static_cast<double>(bundle.cold_start->peak_rss_bytes) / 1e6);
    line += part;
  }
  if (bundle.ratio) {
    std::snprintf(part, sizeof part, "; %.2fx the speed of the first", bundle.ratio->value);
    line += part;
  }
  return line;
}

}  // namespace edgetl
