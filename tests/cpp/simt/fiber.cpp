#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(SIMT_TSAN)
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif
#if defined(SIMT_ASAN)
extern "C" {
void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack, const void** old_bottom, size_t* old_size);
void __asan_unpoison_memory_region(const volatile void* address, size_t size);
}
#endif

namespace simt {
namespace {

constexpr size_t kStackBytes = size_t{256} << 10, kGuardBytes = size_t{16} << 10;

char* new_stack() {
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuardBytes, PROT_NONE) != 0) {
    std::perror("simt: no memory for the stack of a lane");
    std::abort();
  }
  return static_cast<char*>(memory) + kGuardBytes;
}

#if defined(SIMT_TSAN)
void* new_thread() { return __tsan_create_fiber(0); }
#else
void* new_thread() { return nullptr; }
#endif

// What a fiber runs on.
struct Seat {
  char* stack;
  void* thread;  // as ThreadSanitizer knows it
};
// Dear to make, so they are used again. Two fibers on a seat are one thread to ThreadSanitizer, hence not in one
// launch.
std::vector<Seat> seats, left_seats;

Seat take_seat() {
  if (seats.empty()) return {new_stack(), new_thread()};
  const Seat seat = seats.back();
  seats.pop_back();
  return seat;
}

void leave_seat(const Seat& seat) {
#if defined(SIMT_TSAN)
  left_seats.push_back(seat);
#else
#if defined(SIMT_ASAN)
  __asan_unpoison_memory_region(seat.stack, kStackBytes);  // it may have been left in the middle of a function
#endif
  seats.push_back(seat);
#endif
}

Fiber* entering;  // the fiber that enter() starts
#if defined(SIMT_ASAN)
Fiber* left;  // the fiber that ran before the one that runs
#endif

}  // namespace

#if defined(__x86_64__)
// Saves what a function must preserve on the stack that it leaves, and finds the same on the one that it enters.
extern "C" void pyembed_simt_switch(void** save_stack, void* enter_stack);
__asm__(
    ".text\n"
    ".local pyembed_simt_switch\n"
    ".type pyembed_simt_switch, @function\n"
    "pyembed_simt_switch:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n"
    ".size pyembed_simt_switch, .-pyembed_simt_switch\n");
#endif

Fiber::Fiber(void (*body)(void*), void* argument) : body_(body), argument_(argument) {
  const Seat seat = take_seat();
  stack_bottom_ = stack_ = seat.stack;
  stack_size_ = kStackBytes;
  thread_ = seat.thread;
  release(this);
#if defined(__x86_64__)
  auto* top = reinterpret_cast<void**>(stack_ + kStackBytes);
  *--top = nullptr;  // where enter() would return to; aligns the stack as a call does
  *--top = reinterpret_cast<void*>(&Fiber::enter);
  context_ = top - 6;  // six registers of no meaning
#else
  auto* context = new ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = stack_;
  context->uc_stack.ss_size = kStackBytes;
  context->uc_link = nullptr;
  makecontext(context, &Fiber::enter, 0);
  context_ = context;
#endif
}

Fiber::~Fiber() {
#if defined(SIMT_TSAN)
  if (stack_) {
    void* destroyer = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(thread_, 1);
    release(this);
    __tsan_switch_to_fiber(destroyer, 1);
    acquire(this);
  }
#endif
  if (stack_) leave_seat({stack_, thread_});
#if !defined(__x86_64__)
  delete static_cast<ucontext_t*>(context_);
#endif
}

void Fiber::enter() {
  Fiber& self = *entering;
  self.arrive(nullptr);
  acquire(&self);
  self.body_(self.argument_);
}

void Fiber::switch_to(Fiber& next) {
  void* fake_stack = nullptr;
  jump(next, &fake_stack);
  arrive(fake_stack);
}

void Fiber::end_with(Fiber& next) { jump(next, nullptr); }

void Fiber::jump(Fiber& next, void** keep_fake_stack) {
  entering = &next;
#if defined(SIMT_TSAN)
  if (!thread_) thread_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(next.thread_, 1);  // 1: this is no synchronisation
#endif
#if defined(SIMT_ASAN)
  __sanitizer_start_switch_fiber(keep_fake_stack, next.stack_bottom_, next.stack_size_);
  left = this;
#else
  (void)keep_fake_stack;
#endif
#if defined(__x86_64__)
  pyembed_simt_switch(&context_, next.context_);
#else
  if (!context_) context_ = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(context_), static_cast<ucontext_t*>(next.context_));
#endif
}

void Fiber::arrive(void* fake_stack) {
#if defined(SIMT_ASAN)
  __sanitizer_finish_switch_fiber(fake_stack, &left->stack_bottom_, &left->stack_size_);
#else
  (void)fake_stack;
#endif
}

void reuse_seats() {
  seats.insert(seats.end(), left_seats.begin(), left_seats.end());
  left_seats.clear();
}

#if defined(SIMT_TSAN)
void release(void* at) { __tsan_release(at); }
void acquire(void* at) { __tsan_acquire(at); }
#else
void release(void*) {}
void acquire(void*) {}
#endif

}  // namespace simt
