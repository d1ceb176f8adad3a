#pragma once

#include <QPen>
#include <QWidget>
#include <vector>

namespace linscope::app {

/// All values at the pointer's step, in a box beside the pointer: every lane on a line of its own, with its name. Lets
/// the mouse through to the chart below.
class ValueBox : public QWidget {
    Q_OBJECT
public:
    struct Line {
        QPen pen;
        QString name, value;
    };
    explicit ValueBox(QWidget* parent);
    /// `at` in the parent's coordinates.
    void showAt(const QPoint& at, const QString& place, std::vector<Line> lines);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    QString m_place;
    std::vector<Line> m_lines;
};

}  // namespace linscope::app
