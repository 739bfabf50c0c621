#include "pieces.h"

#include <algorithm>
#include <numeric>

namespace edgetl {
namespace {

constexpr char32_t fast_points = 128;

}  // namespace

void Pieces::add(const Points& text) {
  texts_ += text;
  begins_.push_back(static_cast<uint32_t>(texts_.size()));
}

bool Pieces::less(size_t a, size_t b) const { return std::lexicographical_compare(begin(a), end(a), begin(b), end(b)); }

bool Pieces::sort() {
  const auto id = [](int32_t place) { return static_cast<size_t>(place); };
  sorted_.resize(size());
  std::iota(sorted_.begin(), sorted_.end(), 0);
  std::sort(sorted_.begin(), sorted_.end(), [&](int32_t a, int32_t b) { return less(id(a), id(b)); });
  for (char32_t point = 0; point <= fast_points; ++point) {
    const auto starts_before = [&](int32_t piece) { return length(id(piece)) == 0 || *begin(id(piece)) < point; };
    const auto first = std::partition_point(sorted_.begin(), sorted_.end(), starts_before);
    ascii_.push_back(static_cast<uint32_t>(first - sorted_.begin()));
  }
  return std::adjacent_find(sorted_.begin(), sorted_.end(),
                            [&](int32_t a, int32_t b) { return !less(id(a), id(b)); }) == sorted_.end();
}

int32_t Pieces::find(const char32_t* text, size_t count) const {
  Walk walk(*this);
  for (size_t i = 0; i < count; ++i) {
    if (!walk.step(text[i])) return -1;
  }
  return walk.id();
}

bool Pieces::Walk::step(char32_t point) {
  const auto character = [&](int32_t piece) {
    const auto id = static_cast<size_t>(piece);
    return depth_ < pieces_.length(id) ? int64_t{pieces_.begin(id)[depth_]} : int64_t{-1};
  };
  const std::vector<int32_t>& sorted = pieces_.sorted_;
  if (depth_ == 0 && point < fast_points) {
    low_ = pieces_.ascii_[point];
    high_ = pieces_.ascii_[point + 1];
  } else {
    const auto begin = sorted.begin() + static_cast<std::ptrdiff_t>(low_);
    const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(high_);
    const auto first =
        std::partition_point(begin, end, [&](int32_t piece) { return character(piece) < int64_t{point}; });
    const auto last =
        std::partition_point(first, end, [&](int32_t piece) { return character(piece) == int64_t{point}; });
    low_ = static_cast<size_t>(first - sorted.begin());
    high_ = static_cast<size_t>(last - sorted.begin());
  }
  ++depth_;
  return low_ < high_;
}

int32_t Pieces::Walk::id() const {
  if (low_ >= high_ || depth_ == 0) return -1;
  const int32_t first = pieces_.sorted_[low_];  // the shortest
  return pieces_.length(static_cast<size_t>(first)) == depth_ ? first : -1;
}

}  // namespace edgetl
