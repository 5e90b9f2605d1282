// Agenda: virtual time. What is to happen, in order of time, and of being asked for at the same time. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace bridgehead::simulation {

class Agenda {
 public:
  double now() const { return now_; }  // seconds from the begin
  void at(double time, std::function<void()> happens) {
    entries_.push({time < now_ ? now_ : time, next_++, std::move(happens)});
  }
  void after(double seconds, std::function<void()> happens) { at(now_ + seconds, std::move(happens)); }

  // The next thing until `end`; false: there is none, and it is `end` now.
  bool step(double end) {
    if (entries_.empty() || entries_.top().time > end) {
      now_ = end;
      return false;
    }
    auto happens = std::move(entries_.top().happens);
    now_ = entries_.top().time;
    entries_.pop();
    happens();
    return true;
  }

 private:
  struct Entry {
    double time;
    std::uint64_t order;
    mutable std::function<void()> happens;  // taken when it is the top; the order doesn't look at it

    bool operator<(const Entry& other) const { return time != other.time ? time > other.time : order > other.order; }
  };

  double now_ = 0;
  std::uint64_t next_ = 0;
  std::priority_queue<Entry> entries_;
};

}  // namespace bridgehead::simulation
