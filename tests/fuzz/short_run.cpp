// SPDX-License-Identifier: GPL-2.0
// The `main` of a fuzz target where there is no libFuzzer: every seed of its corpus, then changes of them at random.
// Finds what a change of the code broke; what nobody thought of is found by `make fuzz`.
//
//   NAME_short_run CORPUS_DIR [SECONDS [SEED]]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;
using Random = std::mt19937_64;

constexpr std::size_t longest = 4096;

std::vector<Input> seeds_in(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());  // so that a seed of the random numbers repeats the run
  std::vector<Input> seeds;
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  return seeds;
}

void change_once(Input& input, const std::vector<Input>& seeds, Random& random) {
  const std::size_t at = input.empty() ? 0 : random() % input.size();
  const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
  switch (random() % 5) {
    case 0:
      if (!input.empty()) *place ^= static_cast<std::uint8_t>(1u << random() % 8);
      break;
    case 1:
      if (!input.empty()) *place = static_cast<std::uint8_t>(random());
      break;
    case 2:
      input.insert(place, static_cast<std::uint8_t>(random()));
      break;
    case 3:
      if (!input.empty())
        input.erase(place, std::min(input.end(), place + 1 + static_cast<std::ptrdiff_t>(random() % 8)));
      break;
    default:
      const Input& other = seeds[random() % seeds.size()];
      input.erase(place, input.end());
      if (!other.empty()) {
        input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(random() % other.size()), other.end());
      }
  }
  if (input.size() > longest) input.resize(longest);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "short run: name the folder of the corpus\n";
    return 2;
  }
  const auto seconds = std::chrono::seconds(argc > 2 ? std::atoi(argv[2]) : 5);
  const std::uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : std::random_device{}();
  std::cout << "seed " << seed << std::endl;  // flushed: what follows may end the process
  const std::vector<Input> seeds = seeds_in(argv[1]);
  if (seeds.empty()) {
    std::cerr << "short run: no seeds in " << argv[1] << '\n';
    return 1;
  }
  for (const Input& input : seeds) LLVMFuzzerTestOneInput(input.data(), input.size());
  Random random(seed);
  std::uint64_t runs = 0;
  const auto end = std::chrono::steady_clock::now() + seconds;
  while (std::chrono::steady_clock::now() < end) {
    Input input = seeds[random() % seeds.size()];
    for (std::uint64_t changes = 1 + random() % 8; changes != 0; --changes) change_once(input, seeds, random);
    LLVMFuzzerTestOneInput(input.data(), input.size());
    ++runs;
  }
  std::cout << seeds.size() << " seeds and " << runs << " changes of them" << std::endl;
  return 0;
}
