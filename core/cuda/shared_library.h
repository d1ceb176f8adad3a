#pragma once

#include <dlfcn.h>

#include <initializer_list>
#include <string>

#include "core/base/error.h"

namespace linscope::cuda {

/// A library that is found when it is first needed, and stays.
class SharedLibrary {
public:
    /// The first of `files` that can be loaded. Throws Error with what the library was required for.
    SharedLibrary(std::initializer_list<std::string> files, const char* purpose) : m_name(*files.begin()) {
        for (const std::string& file : files)
            if (m_library == nullptr) m_library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        require(m_library != nullptr, "cuda", "the library {} was required for {}, but: {}", m_name, purpose,
                dlerror());
    }

    /// Throws Error where the library has no such function.
    template <typename Function>
    void find(Function& function, const char* name) const {
        function = reinterpret_cast<Function>(dlsym(m_library, name));
        require(function != nullptr, "cuda", "{} in {} was required, but it is missing", name, m_name);
    }

private:
    std::string m_name;
    void* m_library = nullptr;
};

}  // namespace linscope::cuda
