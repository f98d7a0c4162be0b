// The tiles of AMX: registers of 16 rows of 64 bytes, and the products of those of bfloat16. PE_ISA names the
// namespace. Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
#pragma once

namespace pyembed::PE_ISA {

// Numbers of tiles are part of the instructions, so they are constants here.
template <int Tile>
PE_INLINE void load_tile(const void* rows, int64_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(rows), "r"(stride), "i"(Tile) : "memory");
}
template <int Tile>
PE_INLINE void store_tile(void* rows, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(rows), "r"(stride), "i"(Tile) : "memory");
}
template <int Tile>
PE_INLINE void clear_tile() {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(Tile));
}
// Sum += Left * Right: numbers of 32 bits of Left and Right are pairs of bfloat16, those of Sum float32.
template <int Sum, int Left, int Right>
PE_INLINE void multiply_tiles() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(Left), "i"(Right));
}

struct TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {};  // of a row
  uint8_t rows[16] = {};
};

// Shapes the tiles of this thread until it is destroyed.
class ShapedTiles {
 public:
  explicit ShapedTiles(const TileShapes& shapes) { __asm__ volatile("ldtilecfg %0" : : "m"(shapes)); }
  ~ShapedTiles() { __asm__ volatile("tilerelease"); }
  ShapedTiles(const ShapedTiles&) = delete;
  ShapedTiles& operator=(const ShapedTiles&) = delete;
};

}  // namespace pyembed::PE_ISA
