#pragma once

#include "core/autograd/recompute.h"

namespace linscope {

/// y = function(x), whose gradients' memory is given back when they have come past, but for x's: that of one function
/// in place of all that are chained. Otherwise the same as function(x), to the bit.
///
/// `function` takes a Variable and gives one of the same shape and type. It is called with x on another tape, from
/// which it takes its leaves (`x.tape()`). Nobody reads y's gradient after the backward pass: x may take over its
/// memory.
template <typename Function>
Variable released(const Variable& x, const Function& function) {
    Tape& tape = x.tape();
    if (!tape.recording()) return function(x);
    Arena& arena = tape.arena();
    Tape* inner = arena.make<Tape>(arena, true, tape.precision());
    const Variable in = inner->make(x.value(), x.needsGradient());
    const Variable out = function(in);
    const Variable y = tape.make(out.value(), true);
    tape.record(y, [x, y, in, out, inner] {
        const Tensor dy = y.gradient();
        const bool fresh = x.gradient().empty();
        detail::makeRooms(y);
        {
            const Arena::Scratch scratch(inner->arena());
            if (!fresh) in.adoptGradient(x.gradient());
            detail::handIn(y, out, in);
            inner->backwardFrom(out, dy);
            // Out of the scratch memory, to where nothing is read any more.
            if (const Tensor dx = in.gradient(); fresh && !dx.empty() && dx.raw() != dy.raw())
                detail::copyNumbers(inner->arena(), dx, dy);
            detail::handOut(out, in, x);
        }
        if (fresh && in.state()->hasGradient) x.adoptGradient(dy);
    });
    return y;
}

}  // namespace linscope
