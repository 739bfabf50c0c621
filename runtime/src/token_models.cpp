#include "token_models.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace edgetl {
namespace {

constexpr uint32_t no_symbol = std::numeric_limits<uint32_t>::max();

using Ids = std::vector<int32_t>;

void append_bytes(const TokenModel& model, const char32_t* word, size_t count, Ids& ids) {
  for (size_t i = 0; i < count; ++i) {
    uint8_t bytes[4];
    const size_t length = encode_utf8(word[i], bytes);
    for (size_t k = 0; k < length; ++k) ids.push_back(model.bytes[bytes[k]]);
  }
}

// --- WordPiece

// The longest piece at `begin`, which then is behind it; -1 if there is none.
int32_t longest_piece(const TokenModel& model, const char32_t* word, size_t count, size_t& begin) {
  Pieces::Walk walk(model.pieces);
  bool goes_on = begin == 0 || std::all_of(model.prefix.begin(), model.prefix.end(),
                                           [&](char32_t point) { return walk.step(point); });
  int32_t found = -1;
  for (size_t end = begin; goes_on && end < count;) {
    goes_on = walk.step(word[end++]);
    const int32_t piece = walk.id();
    if (piece < 0) continue;
    found = piece;
    begin = end;
  }
  return found;
}

void encode_wordpiece(const TokenModel& model, const char32_t* word, size_t count, Ids& ids) {
  const size_t before = ids.size();
  for (size_t begin = 0; begin < count && count <= model.longest;) {
    const int32_t piece = longest_piece(model, word, count, begin);
    if (piece < 0) break;
    ids.push_back(piece);
    if (begin == count) return;
  }
  ids.resize(before);
  ids.push_back(model.unknown);
}

// --- BPE

void start_bpe(const TokenModel& model, const char32_t* word, size_t count, Ids& ids) {
  bool unknown_before = false;
  for (size_t i = 0; i < count; ++i) {
    const int32_t piece = model.pieces.find(word + i, 1);
    if (piece >= 0) {
      ids.push_back(piece);
    } else if (!model.bytes.empty()) {
      append_bytes(model, word + i, 1, ids);
    } else if (model.unknown >= 0 && !(model.fuse_unknown && unknown_before)) {
      ids.push_back(model.unknown);
    }
    unknown_before = piece < 0;
  }
}

// The smallest rank is on top, of equal ones the leftmost.
bool later(const TokenMemory::Waiting& a, const TokenMemory::Waiting& b) {
  return std::pair(a.rank, a.place) > std::pair(b.rank, b.place);
}

class Merging {
 public:
  Merging(const TokenModel& model, TokenMemory& memory)
      : merges_(model.merges), symbols_(memory.symbols), waiting_(memory.waiting) {}

  // In place, from ids[begin] on.
  void run(Ids& ids, size_t begin) {
    const auto count = static_cast<uint32_t>(ids.size() - begin);
    symbols_.clear();
    waiting_.clear();
    for (uint32_t i = 0; i < count; ++i) {
      symbols_.push_back({ids[begin + i], i == 0 ? no_symbol : i - 1, i + 1 == count ? no_symbol : i + 1});
    }
    for (uint32_t i = 0; i < count; ++i) consider(i);
    std::make_heap(waiting_.begin(), waiting_.end(), later);
    heaped_ = true;
    while (!waiting_.empty()) merge_next();
    ids.resize(begin);
    for (uint32_t i = count == 0 ? no_symbol : 0; i != no_symbol; i = symbols_[i].next) ids.push_back(symbols_[i].id);
  }

 private:
  // The pair of the symbol at `place` and the next one waits if it can be merged.
  void consider(uint32_t place) {
    if (place == no_symbol || symbols_[place].next == no_symbol) return;
    const std::pair<int32_t, int32_t> pair(symbols_[place].id, symbols_[symbols_[place].next].id);
    const auto less = [](const Merge& merge, const std::pair<int32_t, int32_t>& wanted) {
      return std::pair(merge.left, merge.right) < wanted;
    };
    const auto found = std::lower_bound(merges_.begin(), merges_.end(), pair, less);
    if (found == merges_.end() || found->left != pair.first || found->right != pair.second) return;
    waiting_.push_back({found->rank, place, static_cast<uint32_t>(found - merges_.begin())});
    if (heaped_) std::push_heap(waiting_.begin(), waiting_.end(), later);
  }

  void merge_next() {
    const TokenMemory::Waiting top = waiting_.front();
    std::pop_heap(waiting_.begin(), waiting_.end(), later);
    waiting_.pop_back();
    TokenMemory::Symbol& left = symbols_[top.place];
    const Merge& merge = merges_[top.merge];
    if (left.id != merge.left || left.next == no_symbol || symbols_[left.next].id != merge.right) return;
    TokenMemory::Symbol& right = symbols_[left.next];
    left.id = merge.merged;
    left.next = right.next;
    if (right.next != no_symbol) symbols_[right.next].before = top.place;
    right.id = -1;
    right.next = no_symbol;
    consider(left.before);
    consider(top.place);
  }

  const std::vector<Merge>& merges_;
  std::vector<TokenMemory::Symbol>& symbols_;
  std::vector<TokenMemory::Waiting>& waiting_;
  bool heaped_ = false;
};

void encode_bpe(const TokenModel& model, const char32_t* word, size_t count, TokenMemory& memory, Ids& ids) {
  const int32_t whole = model.whole_words ? model.pieces.find(word, count) : -1;
  if (whole >= 0) {
    ids.push_back(whole);
    return;
  }
  const size_t begin = ids.size();
  start_bpe(model, word, count, ids);
  Merging(model, memory).run(ids, begin);
}

// --- Unigram

void offer(std::vector<TokenMemory::Step>& steps, size_t begin, size_t end, int32_t piece, double score) {
  const double sum = score + steps[begin].sum;
  TokenMemory::Step& step = steps[end];
  if (step.begin != no_symbol && !(sum > step.sum)) return;
  step = {sum, static_cast<uint32_t>(begin), piece};
}

void find_best_way(const TokenModel& model, const char32_t* word, size_t count, std::vector<TokenMemory::Step>& steps) {
  steps.assign(count + 1, {0, no_symbol, -1});
  for (size_t begin = 0; begin < count; ++begin) {
    Pieces::Walk walk(model.pieces);
    bool single = false;
    for (size_t end = begin; end < count && walk.step(word[end]);) {
      ++end;
      const int32_t piece = walk.id();
      if (piece < 0) continue;
      offer(steps, begin, end, piece, model.scores[static_cast<size_t>(piece)]);
      single = single || end == begin + 1;
    }
    if (!single) offer(steps, begin, begin + 1, model.unknown, model.unknown_score);
  }
}

// Neighboring unknown characters, which together may still be a piece.
void append_unknown(const TokenModel& model, const char32_t* word, size_t count, Ids& ids) {
  const int32_t piece = model.pieces.find(word, count);
  if (piece < 0 && !model.bytes.empty()) {
    append_bytes(model, word, count, ids);
  } else {
    ids.push_back(piece >= 0 ? piece : model.unknown);
  }
}

void encode_unigram(const TokenModel& model, const char32_t* word, size_t count, TokenMemory& memory, Ids& ids) {
  std::vector<TokenMemory::Step>& steps = memory.steps;
  find_best_way(model, word, count, steps);
  memory.way.clear();
  for (auto end = static_cast<uint32_t>(count); end > 0; end = steps[end].begin) memory.way.push_back(end);
  size_t known_until = 0;
  for (size_t turn = memory.way.size(); turn-- > 0;) {
    const uint32_t end = memory.way[turn], begin = steps[end].begin;
    if (steps[end].piece == model.unknown) continue;
    if (known_until < begin) append_unknown(model, word + known_until, begin - known_until, ids);
    ids.push_back(steps[end].piece);
    known_until = end;
  }
  if (known_until < count) append_unknown(model, word + known_until, count - known_until, ids);
}

}  // namespace

void encode_word(const TokenModel& model, const char32_t* word, size_t count, TokenMemory& memory, Ids& ids) {
  switch (model.kind) {
    case TokenModel::Kind::wordpiece: return encode_wordpiece(model, word, count, ids);
    case TokenModel::Kind::bpe: return encode_bpe(model, word, count, memory, ids);
    case TokenModel::Kind::unigram: return encode_unigram(model, word, count, memory, ids);
  }
}

}  // namespace edgetl
