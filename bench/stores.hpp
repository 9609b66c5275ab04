// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "egress/rule.hpp"
#include "lab.hpp"
#include "support/command.hpp"

namespace egress::bench {

/// Milliseconds of a whole command, from fork to exit; CPU time is the command's own, system calls included.
struct Cost {
  double wall = 0, cpu = 0;
};

/// Which destinations.
struct List {
  Family family = Family::V4;
  bool networks = false;  ///< mixed(), not exact()
  int count = 0;

  bool operator==(const List&) const = default;
  /// "10,000 exact", "1,000 mixed, IPv6".
  [[nodiscard]] std::string what() const;
  [[nodiscard]] std::vector<Prefix> destinations() const;
};

/// "nftables set, 10,000 exact".
[[nodiscard]] std::string name_of(const std::string& who, const List& list);

/// A tool that drops a list of destinations for the packets of one cgroup, changed by its command.
class Store {
 public:
  Store(std::string who, List list, Place place) : who_(std::move(who)), list_(list), place_(std::move(place)) {}
  virtual ~Store() = default;

  [[nodiscard]] const std::string& who() const { return who_; }
  [[nodiscard]] const List& list() const { return list_; }
  [[nodiscard]] const Place& place() const { return place_; }
  [[nodiscard]] std::string name() const { return name_of(who_, list_); }

  /// Makes what holds the list, empty. False, having said why: this machine cannot.
  [[nodiscard]] virtual bool set_up() = 0;
  /// The whole list from a file; precondition: empty.
  [[nodiscard]] virtual Cost load() = 0;
  [[nodiscard]] virtual Cost flush() = 0;
  [[nodiscard]] virtual Cost add(const std::string& destination) = 0;
  [[nodiscard]] virtual Cost remove(const std::string& destination) = 0;
  /// Bytes of kernel memory by its own account; 0: it has none.
  [[nodiscard]] virtual std::uint64_t memory() { return 0; }
  /// That of a BPF filter; -1: it is none.
  [[nodiscard]] virtual int program() const { return -1; }
  /// Bytes of the machine's kernel memory that set_up() took.
  double taken_before = 0;

  /// What is there without any rule, and for how many rules.
  struct Empty {
    double bytes = 0;
    int room = 0;
  };
  [[nodiscard]] const Empty& empty() const { return empty_; }
  /// Of so many bytes that it takes in all, what a destination takes.
  [[nodiscard]] double a_destination(double bytes) const {
    return (bytes - empty_.bytes) / (list_.count - empty_.room);
  }

 protected:
  Empty empty_;

 private:
  std::string who_;
  List list_;
  Place place_;
};

using Stores = std::vector<std::unique_ptr<Store>>;

constexpr const char* ours = "egress";
constexpr const char* alone = "egress alone";  ///< in an instance that has no other list
constexpr const char* nft_set = "nftables set";
constexpr const char* nft_map = "nftables map with timeout";
constexpr const char* ipset = "iptables + ipset";
constexpr const char* lpm = "LPM program";

/// Of the files that commands read.
constexpr const char* lists_directory = EGRESS_BUILD_DIR "/bench-lists";

/// Our command.
Cost run_egress(const test::PrivateInstance& instance, test::Words words);

/// `/list` in an instance of its own.
[[nodiscard]] std::unique_ptr<Store> make_egress(const List& list, const test::PrivateInstance& instance, int network);
/// One of the names above, but ours and LPM, in a network namespace of its own.
[[nodiscard]] std::unique_ptr<Store> make_peer(const std::string& who, const List& list, const std::string& cgroup);

/// Whether a list is so long that its memory is not lost in what else goes on.
[[nodiscard]] bool is_weighed(const List& list);
/// Of the whole machine: slab, vmalloc, per-CPU; when it has come to rest. Only for a list that is weighed.
[[nodiscard]] double kernel_bytes(const List& list);

}  // namespace egress::bench
