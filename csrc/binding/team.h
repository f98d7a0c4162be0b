// A team of threads for a call that works in phases: each phase is shared by all, and begins when the last has ended.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace pyembed {

class Team {
 public:
  // Runs member(team, number of the thread) on so many threads, or as many as the system gives. Members must not throw.
  template <class Member>
  static void run(int64_t threads, const Member& member) {
    Team team;
    std::vector<std::thread> others;
    try {
      for (int64_t t = 1; t < threads; ++t) {
        others.emplace_back([&, t] {
          team.start();
          member(team, t);
        });
      }
    } catch (const std::system_error&) {  // no thread is left: those that began will do
    }
    team.open(1 + static_cast<int>(others.size()));
    member(team, int64_t{0});
    for (std::thread& other : others) other.join();
  }

  // work(i) for each i below count, handed out as threads ask.
  template <class Work>
  void share(int64_t count, const Work& work) {
    for (int64_t i = next_.fetch_add(1); i < count; i = next_.fetch_add(1)) work(i);
    wait([this] { next_ = 0; });
  }

  // work() once, when all have come.
  template <class Work>
  void once(const Work& work) {
    wait(work);
  }

 private:
  Team() = default;

  void start() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return members_ > 0; });
  }

  void open(int members) {
    const std::lock_guard<std::mutex> lock(mutex_);
    members_ = members;
    changed_.notify_all();
  }

  // The last to come does `last` and lets all go on.
  template <class Last>
  void wait(const Last& last) {
    const uint64_t phase = phase_;
    if (arrived_.fetch_add(1) + 1 == members_) {
      last();
      arrived_ = 0;
      const std::lock_guard<std::mutex> lock(mutex_);
      ++phase_;
      changed_.notify_all();
      return;
    }
    for (int turn = 0; turn < kPatience; ++turn) {
      if (phase_ != phase) return;
      std::this_thread::yield();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return phase_ != phase; });
  }

  static constexpr int kPatience = 200;  // looks before a thread goes to sleep: waking one costs as much

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<int> members_{0};
  std::atomic<int> arrived_{0};
  std::atomic<uint64_t> phase_{0};
  std::atomic<int64_t> next_{0};
};

}  // namespace pyembed
