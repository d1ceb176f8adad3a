#include "app/session/overlays.h"

#include <algorithm>

#include "app/session/runs_folder.h"
#include "app/session/snapshot_loader.h"

namespace linscope::app {

Overlays::Overlays(SnapshotLoader& loader, QObject* parent) : QObject(parent), m_loader(loader) {}

void Overlays::lay(const QString& file) {
    const std::filesystem::path path = wholePath(file);
    ++m_reading;
    m_loader.open(path, [this, path](SnapshotLoader::Opened opened) {
        --m_reading;
        if (!opened.error.empty()) {
            Q_EMIT message(tr("Not laid over the charts: %1").arg(QString::fromStdString(opened.error)), true);
            return;
        }
        const auto found = std::ranges::find(m_all, path, &Overlay::file);
        Overlay& overlay = found != m_all.end() ? *found : m_all.emplace_back();
        overlay = {.id = m_nextId++, .file = path, .record = std::move(opened.record)};
        Q_EMIT changed();  // which is seen; a word on it would only cover what is said of another file
    });
}

void Overlays::remove(int id) {
    if (std::erase_if(m_all, [id](const Overlay& overlay) { return overlay.id == id; }) > 0) Q_EMIT changed();
}

void Overlays::clear() {
    if (m_all.empty()) return;
    m_all.clear();
    Q_EMIT changed();
}

}  // namespace linscope::app
