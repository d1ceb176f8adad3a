#pragma once

#include <QObject>
#include <QString>

namespace linscope::app {

/// For a tooltip: wrapped where it is long, whatever signs it has.
QString toolTipText(const QString& plain);

/// Breaks the lines of tooltips that are longer than a sentence should be: of plain texts Qt makes one line, however
/// wide. For all widgets of the application while it lives.
class ToolTips : public QObject {
    Q_OBJECT
public:
    explicit ToolTips(QObject* parent = nullptr);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;
};

}  // namespace linscope::app
