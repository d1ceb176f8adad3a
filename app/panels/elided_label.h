#pragma once

#include <QLabel>

namespace linscope::app {

/// One line of plain text that ends in "…" where it has no room; the whole of it is told where the pointer asks.
class ElidedLabel : public QLabel {
    Q_OBJECT
public:
    explicit ElidedLabel(QWidget* parent = nullptr);
    /// What is drawn.
    QString shownText() const;
    bool isElided() const { return shownText() != line(); }
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    bool event(QEvent* event) override;

private:
    QString line() const { return text().simplified(); }
    int widthOf(const QString& text) const;
};

}  // namespace linscope::app
