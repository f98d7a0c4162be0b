// Running one function on several threads.
#pragma once

#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace pyembed {

// Calls function(i) for every i below `n`, each on its own thread, and rethrows the first exception once all are done.
template <class Function>
void in_threads(size_t n, const Function& function) {
  std::mutex mutex;
  std::exception_ptr error;
  const auto guarded = [&](size_t i) {
    try {
      function(i);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(n);
  for (size_t i = 1; i < n; ++i) {
    try {
      threads.emplace_back(guarded, i);
    } catch (const std::system_error&) {  // no more threads to be had
      guarded(i);
    }
  }
  if (n > 0) guarded(0);
  for (std::thread& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace pyembed
