#pragma once

namespace linscope {

/// One function of several, for std::visit().
template <typename... Functions>
struct Overloaded : Functions... {
    using Functions::operator()...;
};

}  // namespace linscope
