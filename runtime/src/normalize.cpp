#include "normalize.h"

#include <algorithm>

#include "unicode.h"

namespace edgetl {
namespace {

bool at(const Points& text, size_t place, const Points& wanted) {
  return text.compare(place, wanted.size(), wanted) == 0;
}

// `add(point)` appends to `out` what becomes of a character.
template <typename Add>
bool each(const Points& text, const Points& out, Add add) {
  for (const char32_t point : text) {
    add(point);
    if (out.size() > most_points) return false;
  }
  return true;
}

bool replace(const Normalizing& step, const Points& text, Points& out) {
  for (size_t place = 0; place < text.size() && out.size() <= most_points;) {
    if (at(text, place, step.old)) {
      out += step.made;
      place += step.old.size();
    } else {
      out.push_back(text[place++]);
    }
  }
  return out.size() <= most_points;
}

bool replace_repeated(const Normalizing& step, const Points& text, Points& out) {
  for (size_t place = 0; place < text.size() && out.size() <= most_points;) {
    size_t end = std::min(text.find_first_not_of(step.old[0], place), text.size());
    if (end - place >= 2) {
      out += step.made;
    } else {
      end = place + 1;
      out.push_back(text[place]);
    }
    place = end;
  }
  return out.size() <= most_points;
}

void strip(const Normalizing& step, const Points& text, Points& out) {
  size_t begin = 0, end = text.size();
  while (step.left && begin < end && belongs(Set::white, text[begin])) ++begin;
  while (step.right && begin < end && belongs(Set::white, text[end - 1])) --end;
  out.append(text, begin, end - begin);
}

// --- charsmap

// The new text of the old one with which [begin, end) begins; null if it begins with none.
const Points* mapped(const Normalizing& step, const Points& text, size_t begin, size_t end) {
  Pieces::Walk walk(step.olds);
  for (size_t place = begin; place < end && walk.step(text[place]); ++place) {
    if (walk.id() >= 0) return &step.news[static_cast<size_t>(walk.id())];
  }
  return nullptr;
}

// Whether they take fewer than 6 bytes: the reference takes such a cluster as a whole.
bool is_short(const Points& text, size_t begin, size_t end) {
  constexpr size_t short_bytes = 6;
  size_t bytes = 0;
  for (size_t place = begin; place < end && bytes < short_bytes; ++place) {
    uint8_t unused[4];
    bytes += encode_utf8(text[place], unused);
  }
  return bytes < short_bytes;
}

bool map_clusters(const Normalizing& step, const Points& text, Points& out) {
  for (size_t begin = 0; begin < text.size() && out.size() <= most_points;) {
    const size_t end = cluster_end(text, begin);
    const Points* whole = end - begin > 1 && is_short(text, begin, end) ? mapped(step, text, begin, end) : nullptr;
    if (whole != nullptr) {
      out += *whole;
      begin = end;
    }
    for (; begin < end && out.size() <= most_points; ++begin) {
      const Points* single = mapped(step, text, begin, begin + 1);
      single != nullptr ? out += * single : out += text[begin];
    }
  }
  return out.size() <= most_points;
}

// --- the steps

bool normalize_form(Normalizing::Kind kind, const Points& text, Points& out) {
  using Kind = Normalizing::Kind;
  const bool compatible = kind == Kind::nfkd || kind == Kind::nfkc;
  if (!each(text, out, [&](char32_t point) { append_decomposed(point, compatible, out); })) return false;
  order_marks(out);
  if (kind == Kind::nfc || kind == Kind::nfkc) compose(out);
  return true;
}

bool drop(Set set, const Points& text, Points& out) {
  std::copy_if(text.begin(), text.end(), std::back_inserter(out), [&](char32_t point) { return !belongs(set, point); });
  return true;
}

bool apply(const Normalizing& step, const Points& text, Points& out) {
  using Kind = Normalizing::Kind;
  switch (step.kind) {
    case Kind::clean:
      return each(text, out, [&](char32_t point) {
        if (!belongs(Set::control, point)) out.push_back(belongs(Set::blank, point) ? U' ' : point);
      });
    case Kind::spaced_cjk:
      return each(text, out, [&](char32_t point) {
        belongs(Set::cjk, point) ? out.append({U' ', point, U' '}) : out.append(1, point);
      });
    case Kind::nfd:
    case Kind::nfc:
    case Kind::nfkd:
    case Kind::nfkc: return normalize_form(step.kind, text, out);
    case Kind::drop_mn: return drop(Set::nonspacing, text, out);
    case Kind::drop_marks: return drop(Set::mark, text, out);
    case Kind::lower: return each(text, out, [&](char32_t point) { append_lower(point, out); });
    case Kind::replace: return replace(step, text, out);
    case Kind::repeated: return replace_repeated(step, text, out);
    case Kind::prepend:
      if (!text.empty()) out = step.made;
      out += text;
      return out.size() <= most_points;
    case Kind::strip: strip(step, text, out); return true;
    case Kind::charsmap: return map_clusters(step, text, out);
  }
  return false;
}

}  // namespace

bool normalize(const std::vector<Normalizing>& steps, Points& text, Points& scratch) {
  return std::all_of(steps.begin(), steps.end(), [&](const Normalizing& step) {
    scratch.clear();
    if (!apply(step, text, scratch)) return false;
    text.swap(scratch);
    return true;
  });
}

}  // namespace edgetl
