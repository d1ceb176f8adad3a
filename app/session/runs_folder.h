#pragma once

#include <QString>
#include <filesystem>

namespace linscope::app {

/// Where new runs go: what the person has chosen, else `runs` in the user's folder of application data.
QString runsFolder();
void setRunsFolder(const QString& folder);

/// A name in `folder` for claimRunFile(): "linformer-beside-full-20240131-184502.h5". Makes the folder.
/// Throws Error when it cannot be made.
std::filesystem::path newRunFile(const QString& folder, const std::string& title);

/// The one name of a file, however a person came to it: absolute, with links followed.
std::filesystem::path wholePath(const QString& file);

}  // namespace linscope::app
