#include "core/cuda/fused_attention.h"

#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/cuda/dnn_graph.h"

namespace linscope::cuda {
namespace {

using Axes = DnnGraph::Axes;
using Id = DnnGraph::Id;
using Type = DnnGraph::Type;
using Place = DnnGraph::Place;
using Function = DnnGraph::Function;
using Fold = DnnGraph::Fold;

/// A graph with the tensors of one form. cuDNN takes the transposes of what stands to the right in a product; all have
/// the axes B, H and then those of a matrix. Operations stand in the order in which cuDNN knows them for attention.
class AttentionGraph {
public:
    AttentionGraph(Dnn& dnn, const FusedAttention::Form& form)
        : m_form(form),
          m_graph(dnn),
          m_scale(1.0f / std::sqrt(static_cast<float>(form.width))),
          m_queries{form.batch, form.heads, form.queries, form.width},
          m_scores{form.batch, form.heads, form.queries, form.keys},
          m_rows{form.batch, form.heads, form.queries, 1} {}

    DnnGraph& graph() { return m_graph; }

    /// [B,H,rows,D] of memory laid out [B,rows,H,D].
    Id heads(std::int64_t rows, Place place = Place::Memory) {
        const auto [B, H, T, S, D, causal] = m_form;
        return m_graph.tensor({B, H, rows, D}, {rows * H * D, D, H * D, 1}, Type::Bf16, place);
    }
    /// [B,H,D,rows] of the same.
    Id transposedHeads(std::int64_t rows) {
        const auto [B, H, T, S, D, causal] = m_form;
        return m_graph.tensor({B, H, D, rows}, {rows * H * D, D, 1, H * D}, Type::Bf16);
    }
    Id rowNumbers(Place place = Place::Memory) {
        return m_graph.tensor(m_rows, {m_rows[1] * m_rows[2], m_rows[2], 1, 1}, Type::F32, place);
    }
    /// A number that is the same for all.
    Id number(float& value) {
        constexpr Axes kOne{1, 1, 1, 1};
        const Id id = m_graph.tensor(kOne, kOne, Type::F32, Place::ByValue);
        m_numbers.push_back({id, &value});
        return id;
    }
    Id scale() { return number(m_scale); }
    Id one() { return number(m_one); }

    Id scores(Type type = Type::F32) { return m_graph.inside(m_scores, type); }
    Id queriesInside() {
        const auto [B, H, T, S, D, causal] = m_form;
        return m_graph.tensor(m_queries, {H * T * D, T * D, H * D, 1}, Type::F32, Place::Inside);
    }
    Id dqSums() {
        const auto [B, H, T, S, D, causal] = m_form;
        return m_graph.tensor(m_queries, {H * T * D, T * D, D, 1}, Type::F32);
    }
    /// The transpose of scores, rounded.
    Id transposed(Id scores) {
        const auto [B, H, T, S, D, causal] = m_form;
        const Id turned = m_graph.tensor({B, H, S, T}, {H * T * S, T * S, 1, S}, Type::Bf16, Place::Inside);
        m_graph.reshape(scores, turned);
        return turned;
    }
    Id applied(Function function, Id x, Id b) {
        const Id y = scores();
        m_graph.pointwise(function, x, b, y);
        return y;
    }
    /// −∞ where a query does not see a key, if some do not.
    Id masked(Id x) {
        if (!m_form.causal) return x;
        const Id row = scores(Type::I32), column = scores(Type::I32), seen = scores(Type::Bool), y = scores();
        m_graph.index(2, x, row);
        m_graph.index(3, x, column);
        m_graph.pointwise(Function::GreaterEqual, row, column, seen);
        m_graph.select(x, number(m_hidden), seen, y);
        return y;
    }

    std::int64_t workspaceBytes() const { return m_graph.workspaceBytes(); }
    void run(CUstream_st* stream, std::vector<DnnGraph::Argument> arguments, void* workspace) const {
        arguments.insert(arguments.end(), m_numbers.begin(), m_numbers.end());
        m_graph.run(stream, arguments, workspace);
    }

private:
    FusedAttention::Form m_form;
    DnnGraph m_graph;
    float m_scale, m_one = 1, m_hidden = -std::numeric_limits<float>::infinity();
    Axes m_queries, m_scores, m_rows;
    std::vector<DnnGraph::Argument> m_numbers;
};

struct ForwardGraph : AttentionGraph {
    Id q, k, v, o, lse;
    ForwardGraph(Dnn& dnn, const FusedAttention::Form& form) : AttentionGraph(dnn, form) {
        q = heads(form.queries);
        k = transposedHeads(form.keys);
        v = heads(form.keys);
        o = heads(form.queries);
        lse = rowNumbers();
        DnnGraph& g = graph();
        const Id dots = scores();
        g.matmul(q, k, dots);
        const Id s = masked(applied(Function::Multiply, dots, scale())), top = rowNumbers(Place::Inside),
                 sum = rowNumbers(Place::Inside), log = rowNumbers(Place::Inside), weights = scores(),
                 p = scores(Type::Bf16);
        g.reduce(Fold::Max, s, top);
        const Id below = applied(Function::Subtract, s, top);
        g.pointwise(Function::Exp, below, weights);
        g.reduce(Fold::Add, weights, sum);
        g.pointwise(Function::Log, sum, log);
        g.pointwise(Function::Add, top, log, lse);
        g.pointwise(Function::Divide, weights, sum, p);
        g.matmul(p, v, o);
    }
};

struct BackwardGraph : AttentionGraph {
    Id q, k, v, o, lse, dO, dq, dk, dv, deltas, sums;
    BackwardGraph(Dnn& dnn, const FusedAttention::Form& form) : AttentionGraph(dnn, form) {
        q = heads(form.queries);
        k = transposedHeads(form.keys);
        v = transposedHeads(form.keys);
        o = heads(form.queries);
        lse = rowNumbers();
        dO = heads(form.queries);
        dq = heads(form.queries);
        dk = heads(form.keys);
        dv = heads(form.keys);
        deltas = rowNumbers();
        sums = dqSums();
        DnnGraph& g = graph();
        const Id products = queriesInside(), along = rowNumbers(Place::Inside), factor = scale();
        g.pointwise(Function::Multiply, dO, o, products);
        g.reduce(Fold::Add, products, along);
        g.pointwise(Function::Multiply, along, one(), deltas);

        const Id dots = scores(), p = scores();
        g.matmul(q, k, dots);
        g.pointwise(Function::Exp, masked(applied(Function::Subtract, applied(Function::Multiply, dots, factor), lse)),
                    p);
        g.matmul(transposed(p), dO, dv);

        const Id dP = scores(), dS = scores(Type::Bf16);
        g.matmul(dO, v, dP);
        g.pointwise(Function::Multiply, applied(Function::Multiply, applied(Function::Subtract, dP, deltas), p), factor,
                    dS);
        g.matmul(transposed(dS), q, dk);

        const Id upright = heads(form.keys, Place::Inside);
        g.reshape(k, upright);
        g.matmul(dS, upright, sums);
        g.pointwise(Function::Identity, sums, dq);
    }
};

class Plans final : public FusedAttention {
public:
    Plans(Dnn& dnn, const Form& form) : m_forward(dnn, form), m_backward(dnn, form) {}
    bool finish() { return m_forward.graph().finish() && m_backward.graph().finish(); }

    std::int64_t forwardWorkspaceBytes() const override { return m_forward.workspaceBytes(); }
    std::int64_t backwardWorkspaceBytes() const override { return m_backward.workspaceBytes(); }
    void forward(CUstream_st* stream, const Forward& t, void* workspace) const override {
        const ForwardGraph& g = m_forward;
        g.run(stream, {{g.q, t.q}, {g.k, t.k}, {g.v, t.v}, {g.o, t.o}, {g.lse, t.lse}}, workspace);
    }
    void backward(CUstream_st* stream, const Backward& t, void* workspace) const override {
        const BackwardGraph& g = m_backward;
        g.run(stream,
              {{g.q, t.q},
               {g.k, t.k},
               {g.v, t.v},
               {g.o, t.o},
               {g.lse, t.lse},
               {g.dO, t.dO},
               {g.dq, t.dq},
               {g.dk, t.dk},
               {g.dv, t.dv},
               {g.deltas, t.deltas},
               {g.sums, t.dqSums}},
              workspace);
    }

private:
    ForwardGraph m_forward;
    BackwardGraph m_backward;
};

class LoadedAttentions final : public FusedAttentions {
public:
    const FusedAttention* find(const FusedAttention::Form& form) override {
        const auto [place, first] = m_plans.try_emplace(form);
        if (first) {
            auto plans = std::make_unique<Plans>(m_dnn, form);
            if (plans->finish()) place->second = std::move(plans);
        }
        return place->second.get();
    }

private:
    Dnn m_dnn;
    std::map<FusedAttention::Form, std::unique_ptr<Plans>> m_plans;
};

}  // namespace

std::unique_ptr<FusedAttentions> loadFusedAttentions() {
    try {
        return std::make_unique<LoadedAttentions>();
    } catch (const Error&) {  // the kernels of core/attention do the same
        return nullptr;
    }
}

}  // namespace linscope::cuda
