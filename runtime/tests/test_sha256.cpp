#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "sha256.h"

using edgetl::Sha256Code;

namespace {

std::string hex_of(Sha256Code code, const std::string& text) {
  char hex[65];
  edgetl::write_hex(edgetl::sha256_with(code, reinterpret_cast<const uint8_t*>(text.data()), text.size()), hex);
  return hex;
}

const std::vector<Sha256Code>& codes() {
  static const std::vector<Sha256Code> available = [] {
    std::vector<Sha256Code> found;
    for (const Sha256Code code : {Sha256Code::portable, Sha256Code::x86_sha, Sha256Code::arm_sha2}) {
      if (edgetl::sha256_available(code)) found.push_back(code);
    }
    return found;
  }();
  return available;
}

}  // namespace

TEST_CASE("every code gives NIST's examples") {
  struct {
    std::string text;
    const char* digest;
  } const cases[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrst"
       "u",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const Sha256Code code : codes()) {
    CAPTURE(static_cast<int>(code));
    for (const auto& c : cases) CHECK(hex_of(code, c.text) == c.digest);
  }
}

TEST_CASE("the portable code is always there") { CHECK(edgetl::sha256_available(Sha256Code::portable)); }

TEST_CASE("all codes agree on random bytes of any length and alignment") {
  std::mt19937 random(1);
  std::vector<uint8_t> bytes(5000);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  for (size_t round = 0; round < 2000; ++round) {
    const size_t begin = random() % 64;
    const size_t length = round < 300 ? round : random() % (bytes.size() - 64);
    const edgetl::Digest expected = edgetl::sha256_with(Sha256Code::portable, bytes.data() + begin, length);
    for (const Sha256Code code : codes()) {
      CHECK(edgetl::sha256_with(code, bytes.data() + begin, length) == expected);
    }
    CHECK(edgetl::sha256(bytes.data() + begin, length) == expected);
  }
}

TEST_CASE("one flipped bit changes the digest") {
  std::vector<uint8_t> bytes(200, 7);
  const edgetl::Digest before = edgetl::sha256(bytes.data(), bytes.size());
  for (uint8_t& byte : bytes) {
    byte ^= 1;
    CHECK(edgetl::sha256(bytes.data(), bytes.size()) != before);
    byte ^= 1;
  }
}
