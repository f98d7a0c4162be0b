// NVIDIA's own count of the blocks that a multiprocessor runs at the same time, for tests/test_cuda_gates.py. Reads
// lines of sm, most warps, shared bytes, reserved bytes, registers, threads and a block's shared bytes.
#include <cuda_occupancy.h>

#include <cstdio>

int main() {
  int sm, warps, all_shared, reserved, registers, threads, shared;
  while (std::scanf("%d %d %d %d %d %d %d", &sm, &warps, &all_shared, &reserved, &registers, &threads, &shared) == 7) {
    cudaOccDeviceProp device;
    device.computeMajor = sm / 10;
    device.computeMinor = sm % 10;
    device.maxThreadsPerBlock = 1024;
    device.maxThreadsPerMultiprocessor = warps * 32;
    device.regsPerBlock = device.regsPerMultiprocessor = 1 << 16;
    device.warpSize = 32;
    device.sharedMemPerBlock = 48 << 10;
    device.sharedMemPerMultiprocessor = all_shared;
    device.numSms = 1;
    device.sharedMemPerBlockOptin = all_shared - reserved;
    device.reservedSharedMemPerBlock = reserved;
    cudaOccFuncAttributes kernel;
    kernel.maxThreadsPerBlock = 1024;
    kernel.numRegs = registers;
    kernel.sharedSizeBytes = 0;
    kernel.partitionedGCConfig = PARTITIONED_GC_OFF;
    kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    kernel.maxDynamicSharedSizeBytes = all_shared - reserved;
    kernel.numBlockBarriers = 1;
    cudaOccDeviceState state;
    state.carveoutConfig = SHAREDMEM_CARVEOUT_MAX_SHARED;
    cudaOccResult result;
    if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, shared)) return 1;
    std::printf("%d\n", result.activeBlocksPerMultiprocessor);
  }
}
