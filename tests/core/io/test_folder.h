#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

namespace linscope {

/// An empty folder for one test, removed with this object.
class TestFolder {
public:
    explicit TestFolder(const std::string& name)
        : m_path(std::filesystem::temp_directory_path() / ("linscope_" + name + "_" + std::to_string(::getpid()))) {
        std::filesystem::remove_all(m_path);
        std::filesystem::create_directories(m_path);
    }
    ~TestFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(m_path, ignored);
    }
    const std::filesystem::path& path() const { return m_path; }

private:
    std::filesystem::path m_path;
};

}  // namespace linscope
