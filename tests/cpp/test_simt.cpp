// The execution shim: right kernels pass whatever the order of lanes, and each kind of mistake is told, by name.
// With the arguments "race lanes" or "race blocks", only a kernel that races, which ThreadSanitizer must report.
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/wait.h>

#include "check.h"
#include "simt_kernels.h"

namespace pyembed {
namespace {

template <class Test>
void for_each_order(const Test& test) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    simt::set_seed(seed);
    test();
  }
}

void test_right_kernels_are_right_in_every_order() {
  const std::vector<float> values(1000, 0.5f);
  std::vector<float> in(256), row(32, 0), turned(32), copied(256);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i);
  for_each_order([&] {
    double sum = 0;
    CHECK(PE_LAUNCH(sum_by_blocks, 9, kThreads, 4 * sizeof(float), nullptr, values.data(), 1000, &sum) == cudaSuccess);
    CHECK(sum == 500);

    unsigned out[7][32] = {};
    CHECK(PE_LAUNCH(exchange, 1, kWarp, 0, nullptr, out[0]) == cudaSuccess);
    for (unsigned lane = 0; lane < 32; ++lane) {
      const unsigned group = lane / 16 * 16;
      CHECK(out[0][lane] == (lane + 5) % 32);
      CHECK(out[1][lane] == (lane % 16 < 3 ? lane : lane - 3));
      CHECK(out[2][lane] == (lane + 3 >= group + 16 ? lane : lane + 3));
      CHECK(out[3][lane] == (lane ^ 9));
      CHECK(out[4][lane] == 0xAAAAAAAAu);
      CHECK(out[5][lane] == (lane % 2 == 1 ? 0xAAu << (lane / 8 * 8) : 0));
      CHECK(out[6][lane] == (lane % 2 == 1 ? 5 : 0));
    }

    std::fill(row.begin(), row.end(), 0.0f);
    CHECK(PE_LAUNCH(add_to_row, 4, kThreads, 0, nullptr, row.data(), 50, true) == cudaSuccess);
    for (const float element : row) CHECK(element == 4 * 4 * 50);

    CHECK(PE_LAUNCH(turn_around, 1, kWarp, 128, nullptr, in.data(), turned.data(), true) == cudaSuccess);
    for (size_t i = 0; i < 32; ++i) CHECK(turned[i] == in[31 - i]);
    CHECK(PE_LAUNCH(copy_rows<0>, 1, kWarp, 1024, nullptr, in.data(), copied.data()) == cudaSuccess);
    CHECK(copied == in);
  });
}

void test_updates_that_are_not_atomic_get_lost() {
  std::vector<float> row(32, 0);
  CHECK(PE_LAUNCH(add_to_row, 4, kThreads, 0, nullptr, row.data(), 50, false) == cudaSuccess);
  for (const float element : row) CHECK(element >= 50);
  CHECK(row[0] < 4 * 4 * 50);
}

#if !defined(__SANITIZE_THREAD__)
void test_without_a_barrier_shared_memory_is_no_number_in_some_order() {
  const std::vector<float> in(32, 1.0f);
  bool wrong = false;
  for_each_order([&] {
    std::vector<float> out(32);
    CHECK(PE_LAUNCH(turn_around, 1, kWarp, 128, nullptr, in.data(), out.data(), false) == cudaSuccess);
    wrong = wrong || out != in;
  });
  CHECK(wrong);
}
#endif

void test_copies_arrive_when_they_are_waited_for() {
  const std::vector<float> in(256, 1.0f);
  std::vector<float> out(256);
  CHECK(PE_LAUNCH(copy_rows<1>, 1, kWarp, 1024, nullptr, in.data(), out.data()) == cudaSuccess);
  for (size_t i = 0; i < 128; ++i) CHECK(out[i] == 1 && std::isnan(out[128 + i]));
  CHECK(PE_LAUNCH(copy_rows<2>, 1, kWarp, 1024, nullptr, in.data(), out.data()) == cudaSuccess);
  for (const float element : out) CHECK(std::isnan(element));
}

void test_copies_read_at_some_time_before_they_arrive() {
  std::vector<bool> old_seen;
  for_each_order([&] {
    alignas(16) float values[4] = {1, 1, 1, 1}, out[4];
    CHECK(PE_LAUNCH(copy_and_change, 1, 1, 16, nullptr, values, out) == cudaSuccess);
    CHECK(out[0] == 1 || out[0] == 2);
    old_seen.push_back(out[0] == 1);
  });
  CHECK(!old_seen[0] && old_seen[1]);
}

// The launch failed, and the message holds all of these.
void check_failure(cudaError_t error, const std::vector<std::string>& parts) {
  CHECK(error == cudaErrorLaunchFailure);
  CHECK(cudaGetLastError() == cudaSuccess);  // reported once
  const std::string message = cudaGetErrorString(error);
  for (const std::string& part : parts) {
    if (message.find(part) == std::string::npos) {
      std::fprintf(stderr, "\"%s\" is not in: %s\n", part.c_str(), message.c_str());
      std::exit(1);
    }
  }
}

void test_mistakes_are_named() {
  alignas(16) float row[256] = {};
  int out[32];
  for_each_order([&] {
    check_failure(PE_LAUNCH(lane_missing, 2, kWarp, 0, nullptr, row),
                  {"lane_missing", "block ", "warp 0", "lanes ffff0000 wait at __shfl_xor_sync (",
                   "simt_kernels.h:", "for lanes ffffffff", "lanes 0000ffff have exited"});
    check_failure(PE_LAUNCH(lane_missing, 1, 16 + 8, 0, nullptr, row), {"lanes ff000000 do not exist"});
    check_failure(PE_LAUNCH(lanes_elsewhere, 1, kWarp, 0, nullptr),
                  {"lanes 0000ffff wait at __syncwarp (", "lanes ffff0000 wait at __ballot_sync ("});
    check_failure(PE_LAUNCH(outside_the_mask, 1, kWarp, 0, nullptr, out), {"reads lane 8, which mask 000000ff lacks"});
    check_failure(PE_LAUNCH(not_in_its_mask, 1, kWarp, 0, nullptr), {"lane 31", "mask 7fffffff"});
    check_failure(PE_LAUNCH(thread_missing, 1, kThreads, 0, nullptr),
                  {"warp 2: lanes ffffffbf wait at __syncthreads", "lanes 00000040 have exited", "warp 3"});
    check_failure(PE_LAUNCH(two_barriers, 1, kThreads, 0, nullptr), {"wait at the one of", "simt_kernels.h:"});
    check_failure(PE_LAUNCH(not_aligned, 1, kWarp, 0, nullptr, row), {"not aligned", "simt_kernels.h:"});
    check_failure(PE_LAUNCH(copy_elsewhere, 1, kWarp, 0, nullptr, row), {"copy_later to what is not shared memory"});
  });
  CHECK(PE_LAUNCH(nothing, 1, kWarp, 0, nullptr) == cudaSuccess);
}

void test_limits_of_a_launch() {
  constexpr int kKilo = 1024;
  CHECK(PE_LAUNCH(nothing, 1, 1024, 0, nullptr) == cudaSuccess);
  CHECK(PE_LAUNCH(nothing, 1, 1025, 0, nullptr) == cudaErrorInvalidConfiguration);
  CHECK(PE_LAUNCH(nothing, 1, 0, 0, nullptr) == cudaErrorInvalidConfiguration);
  CHECK(PE_LAUNCH(nothing, 0, 32, 0, nullptr) == cudaErrorInvalidConfiguration);
  CHECK(PE_LAUNCH(nothing, 1, 32, 48 * kKilo, nullptr) == cudaSuccess);
  CHECK(PE_LAUNCH(nothing, 1, 32, 48 * kKilo + 1, nullptr) == cudaErrorInvalidValue);
  CHECK(cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * kKilo + 1) ==
        cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK(cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * kKilo) == cudaSuccess);
  CHECK(PE_LAUNCH(nothing, 1, 32, 227 * kKilo, nullptr) == cudaSuccess);
  int blocks = -1;
  CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, nothing, 32, 200 * kKilo) == cudaSuccess);
  CHECK(blocks == 1);
}

void test_counters_count() {
  alignas(16) float row[256] = {};
  float out[256];
  simt::reset_counters();
  CHECK(PE_LAUNCH(copy_rows<0>, 1, kWarp, 1024, nullptr, row, out) == cudaSuccess);
  CHECK(PE_LAUNCH(add_to_row, 1, kWarp, 0, nullptr, row, 5, true) == cudaSuccess);
  CHECK(PE_LAUNCH(add_to_row, 1, kWarp, 0, nullptr, row, 7, false) == cudaSuccess);
  const simt::Counters& counters = simt::counters;
  CHECK(counters.launches == 3 && counters.blocks == 3);
  CHECK(counters.copy_calls == 2 * 32 && counters.copy_bytes == 1024);
  CHECK(counters.atomic_calls == 5 * 32 && counters.atomic_bytes == 5 * 128);
  CHECK(counters.load_calls == 7 * 32 && counters.load_bytes == 7 * 128);
  CHECK(counters.store_calls == 7 * 32 && counters.store_bytes == 7 * 128);
  CHECK(counters.warp_barriers == 1 && counters.shuffles == 0 && counters.votes == 0 && counters.block_barriers == 0);
  CHECK(counters.largest_shared_bytes == 1024);
}

// --- For ThreadSanitizer ---

#if defined(__SANITIZE_THREAD__)
__global__ void add_without_atomics(float* sum) { *sum += 1; }

void race(const std::string& between) {
  std::vector<float> in(32, 1.0f), out(32);
  if (between == "lanes") PE_LAUNCH(turn_around, 1, kWarp, 128, nullptr, in.data(), out.data(), false);
  if (between == "blocks") PE_LAUNCH(add_without_atomics, 12, 1, 0, nullptr, out.data());
}

void test_races_are_reported(const std::string& this_program) {
  constexpr int kExitOfThreadSanitizer = 66;
  for (const char* between : {"lanes", "blocks"}) {
    const int status = std::system((this_program + " race " + between + " 2>/dev/null").c_str());
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == kExitOfThreadSanitizer);
  }
}

#endif

}  // namespace
}  // namespace pyembed

int main([[maybe_unused]] int argc, [[maybe_unused]] char** argv) {
  using namespace pyembed;
#if defined(__SANITIZE_THREAD__)
  if (argc == 3) {
    race(argv[2]);
    return 0;
  }
  test_races_are_reported(argv[0]);
#else
  test_without_a_barrier_shared_memory_is_no_number_in_some_order();
#endif
  test_right_kernels_are_right_in_every_order();
  test_updates_that_are_not_atomic_get_lost();
  test_copies_arrive_when_they_are_waited_for();
  test_copies_read_at_some_time_before_they_arrive();
  test_mistakes_are_named();
  test_limits_of_a_launch();
  test_counters_count();
  std::printf("execution shim: all promises hold\n");
}
