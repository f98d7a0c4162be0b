// Fibers: threads of execution that take turns on one thread of the operating system, a lane of a kernel each.
// Sanitizers are told of every switch; to ThreadSanitizer a fiber is a thread that synchronises with none.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_THREAD__) || defined(PYEMBED_SIMT_TSAN)
#define SIMT_TSAN 1  // PYEMBED_SIMT_TSAN: what compiles this is not instrumented, but runs kernels that are
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#endif

namespace simt {

class Fiber {
 public:
  Fiber() = default;  // the one that runs now
  // Runs body(argument) when it is first switched to; the body must end by switching away for good.
  Fiber(void (*body)(void*), void* argument);
  // Not while it runs; a fiber that has not come to its end is dropped where it stands. What it did happens before
  // what the fiber that destroys it does next.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Goes on with `next` until something switches back to this one, which must be the one that runs.
  void switch_to(Fiber& next);
  // The same, for the last time.
  void end_with(Fiber& next);

 private:
  static void enter();
  void jump(Fiber& next, void** keep_fake_stack);
  void arrive(void* fake_stack);

  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
  char* stack_ = nullptr;  // lowest address of a fiber's own stack
  void* context_ = nullptr;
  void* thread_ = nullptr;  // as ThreadSanitizer knows it
  const void* stack_bottom_ = nullptr;
  size_t stack_size_ = 0;
};

// Call when nothing of what destroyed fibers did is under way any more.
void reuse_seats();

// Edges for ThreadSanitizer: what came before release(at) happens before what comes after acquire(at).
void release(void* at);
void acquire(void* at);

}  // namespace simt
