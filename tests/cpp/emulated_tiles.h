// As kernels/tiles.h, number by number, and shapes that do not fit one another end the program. PE_ISA names the
// namespace.
#pragma once

namespace pyembed::PE_ISA {

struct TileShapes {
  uint16_t bytes[8] = {};
  uint8_t rows[8] = {};
};

struct Tiles {
  TileShapes shapes;
  unsigned char rows[8][16][64];
};
inline thread_local Tiles tiles;

template <int Tile>
void clear_tile() {
  std::memset(tiles.rows[Tile], 0, sizeof tiles.rows[Tile]);
}
template <int Tile>
void load_tile(const void* rows, int64_t stride) {
  clear_tile<Tile>();
  for (int r = 0; r < tiles.shapes.rows[Tile]; ++r) {
    std::memcpy(tiles.rows[Tile][r], static_cast<const char*>(rows) + r * stride, tiles.shapes.bytes[Tile]);
  }
}
template <int Tile>
void store_tile(void* rows, int64_t stride) {
  for (int r = 0; r < tiles.shapes.rows[Tile]; ++r) {
    std::memcpy(static_cast<char*>(rows) + r * stride, tiles.rows[Tile][r], tiles.shapes.bytes[Tile]);
  }
}

template <class Number>
Number number_of(int tile, int row, int column) {
  Number number;
  std::memcpy(&number, tiles.rows[tile][row] + column * static_cast<int>(sizeof number), sizeof number);
  return number;
}

template <int Sum, int Left, int Right>
void multiply_tiles() {
  const TileShapes& shapes = tiles.shapes;
  const int rows = shapes.rows[Sum], columns = shapes.bytes[Sum] / 4, pairs = shapes.bytes[Left] / 4;
  if (shapes.rows[Left] != rows || shapes.rows[Right] != pairs || shapes.bytes[Right] != 4 * columns) std::abort();
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      float sum = number_of<float>(Sum, r, c);
      for (int i = 0; i < 2 * pairs; ++i) {
        sum += value_of(number_of<BFloat16>(Left, r, i)) * value_of(number_of<BFloat16>(Right, i / 2, 2 * c + i % 2));
      }
      std::memcpy(tiles.rows[Sum][r] + 4 * c, &sum, sizeof sum);
    }
  }
}

class ShapedTiles {
 public:
  explicit ShapedTiles(const TileShapes& shapes) { tiles.shapes = shapes; }
};

}  // namespace pyembed::PE_ISA
