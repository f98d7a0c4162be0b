// Hierarchical softmax: the steps of every instruction set equal a scalar twin in float64, and train copies of hot rows
// as the rows themselves.
#include "kernels/pair_math.h"
#include "step_case.h"

namespace pyembed {
namespace {

// Paths of 0 to 19 nodes, none of them twice in a path; later nodes come first, as in Huffman's tree.
struct RandomPaths {
  std::vector<int64_t> starts{0};
  std::vector<int32_t> nodes;
  std::vector<uint8_t> bits;

  RandomPaths(int64_t V, std::mt19937& random) {
    for (int64_t word = 0; word < V; ++word) {
      for (int64_t node = V - 2, n = 0; node >= 0 && n < word % 20; node -= 1 + random() % 7, ++n) {
        nodes.push_back(static_cast<int32_t>(node));
        bits.push_back(static_cast<uint8_t>(random() % 2));
      }
      starts.push_back(static_cast<int64_t>(nodes.size()));
    }
  }
  Paths view() const { return {starts.data(), nodes.data(), bits.data()}; }
};

// Window after window, number by number. Contexts must be distinct.
LossSum twin(const TokenBlock& block, const Draws& draws, const Paths& paths, const Model& model,
             TablePair<double>& tables, const LearningRate& rate) {
  const int64_t D = tables.in.dimensions();
  LossSum sum{0, 0};
  for (int64_t center = block.center_begin; center < block.center_end; ++center) {
    const SentenceCursor cursor = sentence_of(block, center);
    const Span span =
        window_span(cursor, center, window_radius(draws, block.first_position + static_cast<uint64_t>(center)));
    const int64_t C = span.contexts();
    if (C == 0) continue;
    const double lr = learning_rate(block, rate, center);
    const double share = model.options.mean ? 1.0 / static_cast<double>(C) : 1.0;
    std::vector<std::vector<double>> inputs;  // what meets the nodes: each context, or CBOW's hidden vector
    for (int64_t c = 0; c < C; ++c) {
      if (c == 0 || !model.cbow) inputs.emplace_back(static_cast<size_t>(D), 0.0);
      const int32_t id = block.ids[span.context(c, center)];
      for (int64_t d = 0; d < D; ++d) {
        inputs.back()[static_cast<size_t>(d)] += tables.in.at(id, d) * (model.cbow ? share : 1.0);
      }
    }
    std::vector<std::vector<double>> changes(inputs.size(), std::vector<double>(static_cast<size_t>(D), 0.0));
    const int32_t word = block.ids[center];
    for (int64_t i = paths.starts[word]; i < paths.starts[word + 1]; ++i) {
      std::vector<double> change(static_cast<size_t>(D), 0.0);
      for (size_t k = 0; k < inputs.size(); ++k) {
        double score = 0;
        for (int64_t d = 0; d < D; ++d) score += inputs[k][static_cast<size_t>(d)] * tables.out.at(paths.nodes[i], d);
        const auto [loss, error] = loss_and_error(score, paths.bits[i] == 0);
        sum.loss += loss;
        for (int64_t d = 0; d < D; ++d) {
          change[static_cast<size_t>(d)] -= lr * error * inputs[k][static_cast<size_t>(d)];
          changes[k][static_cast<size_t>(d)] -= lr * error * tables.out.at(paths.nodes[i], d);
        }
      }
      for (int64_t d = 0; d < D; ++d) tables.out.at(paths.nodes[i], d) += change[static_cast<size_t>(d)];
    }
    const double context_share = model.cbow && model.options.mean && model.options.exact_gradient ? share : 1.0;
    for (int64_t c = 0; c < C; ++c) {
      const auto& change = changes[model.cbow ? 0 : static_cast<size_t>(c)];
      for (int64_t d = 0; d < D; ++d) {
        tables.in.at(block.ids[span.context(c, center)], d) += context_share * change[static_cast<size_t>(d)];
      }
    }
    sum.pairs += model.cbow ? 1 : C;
  }
  return sum;
}

template <class Element>
LossSum step(const CpuKernels& kernels, const TokenBlock& block, const Draws& draws, const Paths& paths,
             const Model& model, const Tables<Element>& tables, const LearningRate& rate) {
  const size_t bytes = step_scratch_bytes(draws, tables.dimensions);
  const std::unique_ptr<void, void (*)(void*)> scratch(std::aligned_alloc(64, (bytes + 63) / 64 * 64), std::free);
  std::fill_n(static_cast<unsigned char*>(scratch.get()), bytes, 0xFF);  // NaN, if read before it is written
  const int64_t begin = block.center_begin, end = block.center_end;
  const auto train = [&](auto skipgram, auto cbow) {
    return model.cbow ? cbow(block, draws, paths, model.options, tables, rate, begin, end, scratch.get())
                      : skipgram(block, draws, paths, tables, rate, begin, end, scratch.get());
  };
  if constexpr (std::is_same_v<Element, float>) {
    return train(kernels.skipgram_hs_step, kernels.cbow_hs_step);
  } else {
    return train(kernels.skipgram_hs_step_bfloat16, kernels.cbow_hs_step_bfloat16);
  }
}

void test_steps_equal_the_twin(int64_t D) {
  constexpr int64_t V = 120;
  std::mt19937 random(static_cast<unsigned>(D));
  const Corpus corpus(cycling_ids(400, V), random);
  const RandomPaths paths(V, random);
  const Draws draws{nullptr, V, 5, 19, kPerWindow, 3, 1};
  const TablePair<float> start = random_tables(V, D, 1.0f, random);
  const LearningRate rate{0.05, 0.02};
  const TokenBlock block = corpus.block(3, 390);
  for (const Model& model : all_models()) {
    auto expected = TablePair<double>::copy(start, 0, 0);
    const LossSum expected_sum = twin(block, draws, paths.view(), model, expected, rate);
    for (const CpuKernels* kernels : cpu_variants()) {
      auto tables = TablePair<float>::copy(start, 3, 5);
      const LossSum sum = step(*kernels, block, draws, paths.view(), model, tables.view(), rate);
      CHECK(sum.pairs == expected_sum.pairs);
      CHECK(std::abs(sum.loss - expected_sum.loss) < 1e-5 * expected_sum.loss);
      CHECK(largest_difference(tables, expected) < 2e-5);
      tables.in.check_padding();
      tables.out.check_padding();
      check_copies_train_as_the_rows(start, {5, 40, {}}, {V - 50, 50, {}}, [&](const auto& view) {
        return step(*kernels, block, draws, paths.view(), model, view, rate);
      });
    }
  }
}

}  // namespace
}  // namespace pyembed

int main() {
  for (const int64_t D : {1, 4, 7, 16, 31, 100, 128, 300}) pyembed::test_steps_equal_the_twin(D);
  pyembed::print_variants("hierarchical softmax");
}
