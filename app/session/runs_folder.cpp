#include "app/session/runs_folder.h"

#include <QDir>
#include <QRegularExpression>
#include <QSettings>
#include <QStandardPaths>

#include "app/runs/run_files.h"
#include "core/base/error.h"

namespace linscope::app {

QString runsFolder() {
    const QString chosen = QSettings().value("runs/folder").toString();
    if (!chosen.isEmpty()) return chosen;
    return QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation) + "/linscope/runs";
}

void setRunsFolder(const QString& folder) {
    QSettings().setValue("runs/folder", folder);
}

std::filesystem::path newRunFile(const QString& folder, const std::string& title) {
    require(QDir().mkpath(folder), "runs folder",
            "a folder that can be written was required, but {} cannot be made; "
            "choose another one in File › Runs folder",
            folder.toStdString());
    QString slug = QString::fromStdString(title).toLower();
    slug.replace(QRegularExpression("[^a-z0-9]+"), "-");
    slug = slug.left(48);
    while (slug.endsWith('-')) slug.chop(1);
    if (slug.isEmpty()) slug = "run";
    return wholePath(QDir(folder).filePath(QString::fromStdString(datedName(slug.toStdString()))));
}

std::filesystem::path wholePath(const QString& file) {
    const std::filesystem::path path(file.toStdString());
    std::error_code error;
    const std::filesystem::path whole =
        std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error);
    return error ? path : whole;
}

}  // namespace linscope::app
