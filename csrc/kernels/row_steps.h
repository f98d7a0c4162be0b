// Sums of gradients and the optimisers' steps on rows, as plain loops over columns, which the compiler makes vectors
// of. Included inside PE_TARGET_BEGIN, with PE_ISA naming the namespace.
#pragma once

namespace pyembed::PE_ISA {

// f(d) summed over the columns, in an order of its own: by lanes.
template <class Real, class F>
PE_INLINE Real sum_over_columns(int64_t D, const F& f) {
  constexpr int kLanes = 16;
  Real lanes[kLanes] = {};
  int64_t d = 0;
  for (; d + kLanes <= D; d += kLanes) {
    for (int i = 0; i < kLanes; ++i) lanes[i] += f(d + i);
  }
  for (int i = 0; d < D; ++d, ++i) lanes[i] += f(d);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

// An entry's gradient: factor * row.
template <class Element>
struct EntryRow {
  const Element* row;
  Arithmetic<Element> factor;
};

template <class Element>
PE_INLINE EntryRow<Element> entry_row(const RowBatch<Element>& batch, int32_t entry) {
  const auto& [grad, bags, factors] = batch.given;
  return {grad + (bags ? bags[entry] : entry) * batch.table.dimensions,
          factors ? factors[entry] : Arithmetic<Element>(1)};
}

// Prefetches gradients in the order in which they will be asked for.
template <class Element>
class GradientsAhead {
 public:
  GradientsAhead(const RowBatch<Element>& batch, const int32_t* order, int64_t begin, int64_t end)
      : batch_(batch),
        order_(order),
        next_(begin),
        end_(end),
        bytes_(batch.table.dimensions * sizeof(Element)),
        ahead_(rows_ahead(bytes_)) {}

  // Entry `place` of the order is about to be used.
  PE_INLINE void reach(int64_t place) {
    if (next_ < place) next_ = place;  // what was passed over is not asked for
    for (; next_ < end_ && next_ <= place + ahead_; ++next_) prefetch_row(entry_row(batch_, order_[next_]).row, bytes_);
  }

 private:
  const RowBatch<Element>& batch_;
  const int32_t* order_;
  int64_t next_, end_, bytes_, ahead_;
};

// sum [D] becomes the sum of the gradients of these entries.
template <class Element>
void sum_entries(const RowBatch<Element>& batch, const int32_t* order, int64_t begin, int64_t end,
                 GradientsAhead<Element>& ahead, Arithmetic<Element>* sum) {
  const int64_t D = batch.table.dimensions;
  for (int64_t i = begin; i < end; ++i) {
    ahead.reach(i);
    const auto [row, factor] = entry_row(batch, order[i]);
    if (i == begin) {
      PE_INDEPENDENT
      for (int64_t d = 0; d < D; ++d) sum[d] = factor * value_of(row[d]);
    } else {
      PE_INDEPENDENT
      for (int64_t d = 0; d < D; ++d) sum[d] += factor * value_of(row[d]);
    }
  }
}

template <class Element>
void sum_piece(const RowBatch<Element>& batch, const RowGroups& groups, int64_t piece) {
  const auto [begin, end] = groups.pieces[piece - groups.pieces_begin];
  GradientsAhead<Element> ahead(batch, groups.order, begin, end);
  sum_entries(batch, groups.order, begin, end, ahead, batch.partial + piece * batch.table.dimensions);
}

// sum [D] becomes the sum of the sums of a group's pieces.
template <class Element>
void sum_pieces(const RowBatch<Element>& batch, const RowGroups& groups, int64_t g, Arithmetic<Element>* sum) {
  const int64_t D = batch.table.dimensions;
  int64_t piece = 0;
  while (groups.pieces[piece].begin < groups.starts[g]) ++piece;
  const Arithmetic<Element>* partial = batch.partial + (groups.pieces_begin + piece) * D;
  for (int64_t d = 0; d < D; ++d) sum[d] = partial[d];
  for (int64_t rest = groups.starts[g] + kEntriesOfPiece; rest < groups.starts[g + 1]; rest += kEntriesOfPiece) {
    partial += D;
    PE_INDEPENDENT
    for (int64_t d = 0; d < D; ++d) sum[d] += partial[d];
  }
}

// How rows of a type are stored: as they are, rounded to the nearest, or stochastically with bits of their own.
template <class Element>
struct RowStore {
  RowStore(const Coefficients<Element>&, int64_t, int64_t, uint16_t*) {}
  PE_INLINE void operator()(Element* row, int64_t d, Element value) const { row[d] = value; }
};

template <>
struct RowStore<Float16> {
  RowStore(const Coefficients<float>&, int64_t, int64_t, uint16_t*) {}
  PE_INLINE void operator()(Float16* row, int64_t d, float value) const { row[d] = nearest_float16(value); }
};

template <>
struct RowStore<BFloat16> {
  // bits: [D rounded up to 4], of which the row takes its own.
  RowStore(const Coefficients<float>& with, int64_t row, int64_t D, uint16_t* bits) : bits(bits) {
    PE_INDEPENDENT
    for (int64_t quad = 0; quad < (D + 3) / 4; ++quad) {
      const Words4 words = random_words(with.seed, static_cast<uint32_t>(with.step), Stream::rounding,
                                        static_cast<uint64_t>(row), static_cast<uint32_t>(quad));
      for (int place = 0; place < 4; ++place) {
        bits[4 * quad + place] = static_cast<uint16_t>(words.word[place / 2] >> (place % 2 * 16));
      }
    }
  }
  PE_INLINE void operator()(BFloat16* row, int64_t d, float value) const {
    row[d] = round_stochastically(value, bits[d]);
  }
  const uint16_t* bits;
};

// Steps a row by its gradients' sum, of which sum(d) is column d.
template <Optimizer optimizer, class Element, class Sum>
PE_INLINE void step_row(const RowBatch<Element>& batch, int64_t row, const Sum& sum, uint16_t* bits) {
  using Real = Arithmetic<Element>;
  const auto& table = batch.table;
  const Coefficients<Real> with = batch.with;
  const int64_t D = table.dimensions;
  Element* const weight = table.weight + row * table.stride;
  RowScales<Real> found = scales_of_row(with, table.last_step, table.last_log_decay, row);
  if (with.clips) clip(with, sum_over_columns<Real>(D, [&](int64_t d) PE_LAMBDA { return sum(d) * sum(d); }), found);
  if constexpr (optimizer == Optimizer::rowwise_adagrad) {
    const Real squares = sum_over_columns<Real>(D, [&](int64_t d) PE_LAMBDA {
      const Real g = decayed(with, found, sum(d), value_of(weight[d]));
      return g * g;
    });
    set_rowwise_rate(with, squares, table.squares[row], D, found);
    table.squares[row] = found.squares;
  }
  const RowScales<Real> scales = found;
  Real* const average = table.average + row * D;
  Real* const squares = table.squares + row * D;
  const RowStore<Element> store(with, row, D, bits);
  PE_INDEPENDENT
  for (int64_t d = 0; d < D; ++d) {
    Real w = value_of(weight[d]), a = 0, s = 0;
    if constexpr (kAverages<optimizer>) a = average[d];
    if constexpr (kSquares<optimizer>) s = squares[d];
    step_element<optimizer>(with, scales, sum(d), w, a, s);
    if constexpr (kAverages<optimizer>) average[d] = a;
    if constexpr (kSquares<optimizer>) squares[d] = s;
    store(weight, d, w);
  }
  if (table.last_step) table.last_step[row] = static_cast<int32_t>(with.step);
  if (table.last_log_decay) table.last_log_decay[row] = with.log_decay;
}

template <Optimizer optimizer, class Element>
void step_groups_of(const RowBatch<Element>& batch, const RowGroups& groups, int64_t begin, int64_t end,
                    void* scratch) {
  using Real = Arithmetic<Element>;
  const auto& table = batch.table;
  const int64_t D = table.dimensions;
  Real* const sum = static_cast<Real*>(scratch);
  auto* const bits = reinterpret_cast<uint16_t*>(sum + (D + 3) / 4 * 4);
  const int64_t bytes = D * static_cast<int64_t>(sizeof(Element)), state_bytes = D * static_cast<int64_t>(sizeof(Real));
  const int64_t ahead = rows_ahead(bytes);
  const auto prefetch = [&](int64_t g) {
    const int64_t row = groups.ids[g];
    prefetch_row(table.weight + row * table.stride, bytes);
    if constexpr (kAverages<optimizer>) prefetch_row(table.average + row * D, state_bytes);
    if constexpr (kSquares<optimizer>) prefetch_row(table.squares + row * D, state_bytes);
    if constexpr (optimizer == Optimizer::rowwise_adagrad) prefetch_far(table.squares + row);
    if (table.last_step) prefetch_far(table.last_step + row);
    if (table.last_log_decay) prefetch_far(table.last_log_decay + row);
  };
  GradientsAhead<Element> gradients(batch, groups.order, groups.starts[begin], groups.starts[end]);
  for (int64_t g = begin; g < (begin + ahead < end ? begin + ahead : end); ++g) prefetch(g);
  for (int64_t g = begin; g < end; ++g) {
    if (g + ahead < end) prefetch(g + ahead);
    const int64_t row = groups.ids[g], first = groups.starts[g], count = groups.starts[g + 1] - first;
    if (batch.frozen && batch.frozen[row]) continue;
    if (count == 1) {
      gradients.reach(first);
      const auto [only, factor] = entry_row(batch, groups.order[first]);
      step_row<optimizer>(
          batch, row, [only = only, factor = factor](int64_t d) PE_LAMBDA { return factor * value_of(only[d]); }, bits);
      continue;
    }
    if (count > kEntriesOfPiece) {
      sum_pieces(batch, groups, g, sum);
    } else {
      sum_entries(batch, groups.order, first, first + count, gradients, sum);
    }
    step_row<optimizer>(batch, row, [sum](int64_t d) PE_LAMBDA { return sum[d]; }, bits);
  }
}

template <class Element>
void step_groups(const RowBatch<Element>& batch, const RowGroups& groups, int64_t begin, int64_t end, void* scratch) {
  switch (batch.with.optimizer) {
    case Optimizer::sgd:
      return step_groups_of<Optimizer::sgd>(batch, groups, begin, end, scratch);
    case Optimizer::momentum:
      return step_groups_of<Optimizer::momentum>(batch, groups, begin, end, scratch);
    case Optimizer::rowwise_adagrad:
      return step_groups_of<Optimizer::rowwise_adagrad>(batch, groups, begin, end, scratch);
    case Optimizer::adagrad:
      return step_groups_of<Optimizer::adagrad>(batch, groups, begin, end, scratch);
    case Optimizer::adamw:
      return step_groups_of<Optimizer::adamw>(batch, groups, begin, end, scratch);
  }
}

template <class Element>
constexpr RowKernels<Element> row_entries() {
  return {sum_piece<Element>, step_groups<Element>};
}

}  // namespace pyembed::PE_ISA
