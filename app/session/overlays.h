#pragma once

#include <QObject>
#include <QString>
#include <filesystem>
#include <vector>

#include "app/session/run_record.h"

namespace linscope::app {

class SnapshotLoader;

/// A run whose curves lie over those of the run that is shown: as its file was when it was read.
struct Overlay {
    int id = 0;
    std::filesystem::path file;
    RunRecord record;
};

/// Runs that are laid over the charts, whichever run is shown below them. Files are only read.
class Overlays : public QObject {
    Q_OBJECT
public:
    /// `loader` must outlive it.
    explicit Overlays(SnapshotLoader& loader, QObject* parent = nullptr);

    /// Reads the file and lays it over; one that lies there already is read again. What cannot be read is told by
    /// message() and changes nothing.
    void lay(const QString& file);
    void remove(int id);
    void clear();

    const std::vector<Overlay>& all() const { return m_all; }
    /// Files that are still being read.
    bool busy() const { return m_reading > 0; }

Q_SIGNALS:
    void changed();
    void message(const QString& text, bool isError);

private:
    SnapshotLoader& m_loader;
    std::vector<Overlay> m_all;
    int m_nextId = 1;
    int m_reading = 0;
};

}  // namespace linscope::app
