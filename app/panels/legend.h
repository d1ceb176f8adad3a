#pragma once

#include <QPen>
#include <QWidget>
#include <vector>

namespace linscope::app {

/// What the lines of all charts below it are, once for all of them, so that the charts keep their room. A few rows at
/// most; the rest is counted, and told where the pointer asks for it. A click on an entry of a laid-over run offers to
/// take it away.
class Legend : public QWidget {
    Q_OBJECT
public:
    struct Entry {
        QPen pen;
        QString name;
        int overlay = 0;  ///< 0: of the run itself
        bool operator==(const Entry&) const = default;
    };
    static constexpr int kRows = 4;

    explicit Legend(QWidget* parent = nullptr);
    void setEntries(std::vector<Entry> entries);
    const std::vector<Entry>& entries() const { return m_entries; }
    /// At most so many: a picture in a file has nobody to ask for the rest.
    void setRows(int rows) { m_rows = rows; }

    bool hasHeightForWidth() const override { return true; }
    int heightForWidth(int width) const override;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override { return {80, 0}; }

Q_SIGNALS:
    void overlayClicked(int overlay, const QPoint& globalPosition);

protected:
    void paintEvent(QPaintEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    bool event(QEvent* event) override;

private:
    struct Place {
        QRect box;
        QString text;
        std::size_t entry = 0;
    };
    /// Where the entries stand that there is room for.
    std::vector<Place> places(int width) const;
    const Entry* entryAt(const QPoint& position) const;
    QString allNames() const;

    std::vector<Entry> m_entries;
    int m_rows = kRows;
};

}  // namespace linscope::app
