// Writes a small checkpoint whose content check_checkpoint.py knows: write_checkpoint OUT.safetensors

#include <cstdio>

#include "core/io/checkpoint.h"
#include "core/tensor/arena.h"

int main(int argc, char** argv) {
    using namespace linscope;
    if (argc != 2) return 2;
    try {
        Arena arena;
        const Tensor single = arena.tensor({2, 3}), real = arena.tensor({2}, DType::F64),
                     whole = arena.tensor({3}, DType::I32);
        for (int i = 0; i < 6; ++i) single.as<float>()[i] = 0.5F * static_cast<float>(i);
        for (int i = 0; i < 2; ++i) real.as<double>()[i] = 1.0 / (i + 3);
        for (int i = 0; i < 3; ++i) whole.as<std::int32_t>()[i] = -i;
        writeSafetensors(argv[1], {{"single", single}, {"real", real}, {"whole", whole}}, {{"step", "12"}});
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
