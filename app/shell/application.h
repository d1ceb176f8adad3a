#pragma once

#include <QApplication>

namespace linscope::app {

/// The application of the window: what a slot or an event throws is told, and the program goes on. Qt itself would end
/// it, and with it a run that trains.
class Application : public QApplication {
    Q_OBJECT
public:
    /// As QApplication: both must outlive it.
    Application(int& argc, char** argv) : QApplication(argc, argv) {}

    bool notify(QObject* receiver, QEvent* event) override;

Q_SIGNALS:
    /// The text of an exception that nobody caught.
    void failed(const QString& text);
};

}  // namespace linscope::app
