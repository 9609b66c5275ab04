// SPDX-License-Identifier: GPL-2.0
#include "core/destination_list.hpp"

#include <gtest/gtest.h>

#include "cli/progress.hpp"
#include "egress/policy.hpp"
#include "support/text.hpp"

namespace egress {
namespace {

using namespace std::chrono_literals;
using test::destination;

TEST(FindTwice, TellsWhereADestinationWasBefore) {
  std::vector<Destination> destinations;
  for (int i = 0; i < 2000; ++i) {
    destinations.push_back(destination("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256)));
  }
  EXPECT_FALSE(find_twice(destinations));
  destinations.push_back(destinations[1234]);
  EXPECT_EQ(find_twice(destinations), (std::pair<std::size_t, std::size_t>{1234, 2000}));
}

TEST(FindTwice, TellsApartWhatDiffersInOnePart) {
  std::vector<Destination> destinations;
  for (const char* text : {"any", "any:53", "any:53-54", "any/udp", "any:53/udp", "0.0.0.0/0", "::/0", "10.0.0.0/8",
                           "10.0.0.0/9", "10.0.0.0/8:53", "10.0.0.0/8:53/tcp", "any/0", "::/8"}) {
    destinations.push_back(destination(text));
  }
  EXPECT_FALSE(find_twice(destinations));
  EXPECT_FALSE(find_twice(std::vector<Destination>{}));
}

TEST(DestinationList, SaysWhereADuplicateStandsAndWhereItWasFirst) {
  const auto list = parse_destination_list("10.0.0.1\n# again:\n\n10.0.0.2\n  10.0.0.1/32\n", "feed.txt");
  ASSERT_FALSE(list.ok());
  EXPECT_TRUE(test::has(list.error().message(), "feed.txt:5:3")) << list.error().message();
  EXPECT_TRUE(test::has(list.error().message(), "first at feed.txt:1:1")) << list.error().message();
}

TEST(Progress, SaysRateAndTimeLeft) {
  EXPECT_EQ(cli::progress_text(500'000, 2'000'000, 500ms), "writing rules: 25%, 500000 a second, 1.5s left");
  EXPECT_EQ(cli::progress_text(0, 2'000'000, 0ms), "writing rules: 0%");
}

}  // namespace
}  // namespace egress
