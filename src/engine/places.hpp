// SPDX-License-Identifier: GPL-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace egress {

/// Which parts of an array are there to be touched. Not for several threads at once.
class Presence {
 public:
  static constexpr std::size_t part = std::size_t{64} * 1024;  ///< bytes; a multiple of every page size

  Presence() = default;
  Presence(Presence&&) = default;
  Presence& operator=(Presence&&) = default;
  virtual ~Presence() = default;

  void need(std::size_t offset) {
    if (!present_[offset / part]) bring(offset / part);
  }
  virtual void need_all() = 0;

 protected:
  virtual void bring(std::size_t number) = 0;

  std::vector<bool> present_;  ///< by part
};

/// The places of an array of records. To walk over them brings all of it, to name one what is around it: a change of
/// few rules touches few places of many, and to map all of them would take longer than the change.
template <typename T>
class Places {
 public:
  Places(std::vector<T>& all) : data_(all.data()), count_(all.size()) {}
  Places(T* data, std::size_t count, Presence& presence) : data_(data), count_(count), presence_(&presence) {}

  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  /// Precondition: place < size(). The reference stays good as long as the array is mapped.
  [[nodiscard]] T& operator[](std::size_t place) const {
    if (presence_ != nullptr) presence_->need(place * sizeof(T));
    // One that stands across the end of a part needs the next, too.
    if (Presence::part % sizeof(T) != 0 && presence_ != nullptr) presence_->need((place + 1) * sizeof(T) - 1);
    return data_[place];
  }
  /// Precondition: count <= size().
  [[nodiscard]] std::span<T> first(std::size_t count) const {
    for (std::size_t at = 0; presence_ != nullptr && at < count * sizeof(T); at += Presence::part) presence_->need(at);
    return {data_, count};
  }
  [[nodiscard]] T& front() const { return (*this)[0]; }
  [[nodiscard]] T* begin() const { return whole().data(); }
  [[nodiscard]] T* end() const { return data_ + count_; }
  [[nodiscard]] std::span<T> whole() const {
    if (presence_ != nullptr) presence_->need_all();
    return {data_, count_};
  }

 private:
  T* data_;
  std::size_t count_;
  Presence* presence_ = nullptr;  ///< null: all of it is there
};

}  // namespace egress
