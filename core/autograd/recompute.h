#pragma once

#include "core/autograd/tape.h"

namespace linscope {

namespace detail {
/// Copies the numbers of a tensor to another of the same shape, both in the memory of the arena's device.
void copyNumbers(const Arena& arena, const Tensor& from, const Tensor& to);
/// What is known of a gradient beside it (GradientRoom) outlives the memory of one function: makeRooms() before that is
/// on loan, handIn() to the function's own result and argument, handOut() to x when its gradient is there. Two rooms
/// serve all functions that are chained, in turn.
void makeRooms(const Variable& y);
void handIn(const Variable& y, const Variable& out, const Variable& in);
void handOut(const Variable& out, const Variable& in, const Variable& x);
/// x on the tape `inner`. Where x has a gradient already, this one's is summed in the same memory.
Variable sameOn(Tape& inner, const Variable& x);
}  // namespace detail

/// y = function(x), of which the tape keeps x and y alone: what lies between is computed again when the gradient comes
/// past (activation checkpointing: Chen et al. 2016, "Training deep nets with sublinear memory cost"). The memory of
/// one function in place of all that are chained, for about a third more time. Values and gradients are those of
/// function(x), to the bit.
///
/// `function` takes a Variable and gives one of the same shape and type. It is called twice, each time with x on
/// another tape (from which it takes its leaves: `x.tape()`), and must compute the same both times. It is kept like
/// what Tape::record() keeps: trivially destructible, and what it refers to outlives the tape. Nobody reads y's
/// gradient after the backward pass: x may take over its memory.
template <typename Function>
Variable recomputed(const Variable& x, Function function) {
    Tape& tape = x.tape();
    if (!tape.recording()) return function(x);  // nothing is kept anyway
    Arena& arena = tape.arena();
    const Variable y = tape.make(arena.tensor(x.shape(), x.type()), true);
    {
        const Arena::Scratch scratch(arena);
        Tape inner(arena, false, tape.precision());
        detail::copyNumbers(arena, function(inner.constant(x.value())).value(), y.value());
    }
    tape.record(y, [x, y, function] {
        Tape& outer = y.tape();
        const Tensor dy = y.gradient();
        const bool fresh = x.gradient().empty();
        Tensor dx;
        detail::makeRooms(y);
        {
            const Arena::Scratch scratch(outer.arena());
            Tape inner(outer.arena(), true, outer.precision());
            const Variable again = detail::sameOn(inner, x), out = function(again);
            detail::handIn(y, out, again);
            inner.backwardFrom(out, dy);
            dx = again.gradient();
            // Out of the scratch memory, to where nothing is read any more.
            if (fresh && !dx.empty() && dx.raw() != dy.raw()) detail::copyNumbers(outer.arena(), dx, dy);
            detail::handOut(out, again, x);
        }
        if (fresh && !dx.empty()) x.adoptGradient(dy);
    });
    return y;
}

}  // namespace linscope
