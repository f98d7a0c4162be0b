// Subsampling: which tokens of the corpus an epoch keeps, packed, and how many are kept before each sentence.
// Implements pyembed/reference.py section 2, bit for bit. A tile of tokens counts what it keeps, the tiles' counts are
// added up, then every tile draws again and writes its tokens to their places.
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/launches.h"

namespace pyembed {
namespace {

constexpr int kTile = kBlockThreads;  // quads of positions, one a thread: four neighbouring positions share their words

// First and one past the last of the quads that hold the tokens' positions.
PE_HD uint64_t first_quad(const RawTokens& tokens) { return tokens.first_position / 4; }
PE_HD int64_t quads_of(const RawTokens& tokens) {
  return static_cast<int64_t>((tokens.first_position % 4 + static_cast<uint64_t>(tokens.tokens) + 3) / 4);
}
PE_HD int64_t tiles_of(const RawTokens& tokens) { return (quads_of(tokens) + kTile - 1) / kTile; }

// Index among the tokens of the quad's first position; below 0 where the tokens begin inside the quad.
PE_DEVICE int64_t first_token(const RawTokens& tokens, int64_t quad) {
  return 4 * quad - static_cast<int64_t>(tokens.first_position % 4);
}

// Which tokens of a quad are kept, as bits.
PE_DEVICE unsigned kept_of_quad(const RawTokens& tokens, int64_t quad) {
  const int64_t first = first_token(tokens, quad);
  const Words4 words =
      random_words(tokens.seed, tokens.epoch, Stream::keep, first_quad(tokens) + static_cast<uint64_t>(quad), 0);
  unsigned kept = 0;
  for (int i = 0; i < 4; ++i) {
    const int64_t t = first + i;
    if (t < 0 || t >= tokens.tokens) continue;
    const uint32_t id = static_cast<uint32_t>(tokens.ids[t]);
    if (id < tokens.vocabulary && words.word[i] <= tokens.keep_threshold[id]) kept |= 1u << i;
  }
  return kept;
}

// Shared memory of a block.
struct TileMemory {
  int64_t of_warps[kBlockThreads / kWarp];
  unsigned kept[kTile];  // of each quad, as bits
  int before[kTile];     // how many tokens of the tile are kept before each quad
};

// What the threads of a block before this one have in their values; total: what all have.
PE_DEVICE int64_t sum_before(int64_t value, int64_t* of_warps, int64_t* total) {
  int64_t before = value;  // of the lanes up to this one, at first with it
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const int64_t others = __shfl_up_sync(kAllLanes, before, distance);
    if (lane_index() >= distance) before += others;
  }
  if (lane_index() == kWarp - 1) of_warps[warp_in_block()] = before;
  __syncthreads();
  int64_t sum = 0;
  before -= value;
  for (int warp = 0; warp < kBlockThreads / kWarp; ++warp) {
    if (warp == warp_in_block()) before += sum;
    sum += of_warps[warp];
  }
  __syncthreads();  // before the next call writes
  *total = sum;
  return before;
}

// Counts of the tiles, and indices of the first bad id and of the first bad sentence start.
__global__ void count_kept(RawTokens tokens, int64_t tiles, int64_t* counts, int64_t* bad) {
  PE_DYNAMIC_SHARED(memory);
  TileMemory& shared = *reinterpret_cast<TileMemory*>(memory);
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t quad = tile * kTile + threadIdx.x;
    int64_t count = 0;
    sum_before(quad < quads_of(tokens) ? __popc(kept_of_quad(tokens, quad)) : 0, shared.of_warps, &count);
    if (threadIdx.x == 0) counts[tile] = count;
  }
  for (int64_t t = thread_number(); t < tokens.tokens; t += thread_count()) {
    if (static_cast<uint32_t>(tokens.ids[t]) >= tokens.vocabulary) keep_first(bad, t);
  }
  for (int64_t s = thread_number(); s < tokens.sentences; s += thread_count()) {
    const int64_t offset = tokens.sentence_starts[s] - static_cast<int64_t>(tokens.first_position);
    const bool ascends = s == 0 || tokens.sentence_starts[s - 1] <= tokens.sentence_starts[s];
    if (offset < 0 || offset >= tokens.tokens || !ascends) keep_first(bad + 1, s);
  }
}

// Makes of each count the sum of those before it; a block does it alone. total: the sum of all.
__global__ void add_up(int64_t tiles, int64_t* counts, int64_t* total) {
  PE_DYNAMIC_SHARED(memory);
  TileMemory& shared = *reinterpret_cast<TileMemory*>(memory);
  int64_t before = 0;
  for (int64_t begin = 0; begin < tiles; begin += kBlockThreads) {
    const int64_t tile = begin + threadIdx.x;
    int64_t sum = 0;
    const int64_t place = sum_before(tile < tiles ? counts[tile] : 0, shared.of_warps, &sum);
    if (tile < tiles) counts[tile] = before + place;
    before += sum;
  }
  if (threadIdx.x == 0) *total = before;
}

// Index of the first sentence that starts at this position or after it.
PE_DEVICE int64_t first_sentence_from(const RawTokens& tokens, int64_t position) {
  int64_t low = 0, high = tokens.sentences;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (tokens.sentence_starts[middle] < position) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

__global__ void write_kept(RawTokens tokens, int64_t tiles, const int64_t* counts, int32_t* kept,
                           int64_t* kept_before) {
  PE_DYNAMIC_SHARED(memory);
  TileMemory& shared = *reinterpret_cast<TileMemory*>(memory);
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t quad = tile * kTile + threadIdx.x;
    const unsigned bits = quad < quads_of(tokens) ? kept_of_quad(tokens, quad) : 0;
    int64_t sum = 0;
    const int64_t before = sum_before(__popc(bits), shared.of_warps, &sum);
    int32_t* place = kept + counts[tile] + before;
    for (int i = 0; i < 4; ++i) {
      if (bits >> i & 1) *place++ = tokens.ids[first_token(tokens, quad) + i];
    }
    shared.kept[threadIdx.x] = bits;
    shared.before[threadIdx.x] = static_cast<int>(before);
    __syncthreads();
    const int64_t first = static_cast<int64_t>(tokens.first_position / 4 * 4) + tile * kTile * 4;  // position
    for (int64_t s = first_sentence_from(tokens, first) + threadIdx.x; s < tokens.sentences; s += blockDim.x) {
      const int64_t offset = tokens.sentence_starts[s] - first;
      if (offset < 0 || offset >= kTile * 4) break;  // below 0 where the starts do not ascend, which is refused later
      const unsigned bits_before = shared.kept[offset / 4] & ((1u << offset % 4) - 1);
      kept_before[s] = counts[tile] + shared.before[offset / 4] + __popc(bits_before);
    }
    __syncthreads();
  }
}

unsigned blocks_for_tiles(int64_t tiles) { return blocks_for(tiles * kBlockThreads); }

}  // namespace

int64_t keep_scratch_size(const RawTokens& tokens) { return tiles_of(tokens); }

cudaError_t launch_keep_tokens(const RawTokens& tokens, int32_t* kept, int64_t* kept_before, int64_t* scratch,
                               int64_t* found, void* stream) {
  const int64_t tiles = tiles_of(tokens);
  const unsigned blocks = blocks_for_tiles(tiles);
  cudaError_t error = cudaMemsetAsync(found, 0xFF, 3 * sizeof *found, static_cast<cudaStream_t>(stream));
  if (error != cudaSuccess) return error;
  error = PE_LAUNCH(count_kept, blocks, kBlockThreads, sizeof(TileMemory), stream, tokens, tiles, scratch, found + 1);
  if (error != cudaSuccess) return error;
  error = PE_LAUNCH(add_up, 1, kBlockThreads, sizeof(TileMemory), stream, tiles, scratch, found);
  if (error != cudaSuccess) return error;
  return PE_LAUNCH(write_kept, blocks, kBlockThreads, sizeof(TileMemory), stream, tokens, tiles, scratch, kept,
                   kept_before);
}

}  // namespace pyembed
