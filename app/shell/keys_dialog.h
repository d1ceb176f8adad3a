#pragma once

#include <QDialog>
#include <QList>

class QAction;

namespace linscope::app {

/// All keys: those of the window, taken from its actions, and those of the canvas and the charts.
class KeysDialog : public QDialog {
    Q_OBJECT
public:
    explicit KeysDialog(const QList<QAction*>& actions, QWidget* parent = nullptr);
};

}  // namespace linscope::app
