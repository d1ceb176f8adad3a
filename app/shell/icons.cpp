#include <QApplication>
#include <QFile>
#include <QIconEngine>
#include <QPainter>
#include <QPalette>
#include <QSvgRenderer>
#include <algorithm>
#include <utility>

#include "app/shell/theme.h"

namespace linscope::app {

namespace {

/// Drawn anew each time, so that icons follow the look without being set again, and are as fine as their screen.
class DrawnIcon : public QIconEngine {
public:
    QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) override {
        QPixmap pixmap(size);
        pixmap.fill(Qt::transparent);
        QPainter painter(&pixmap);
        paint(&painter, QRect(QPoint(), size), mode, state);
        return pixmap;
    }
};

class LineIcon : public DrawnIcon {
public:
    explicit LineIcon(QByteArray svg) : m_svg(std::move(svg)) {}
    QIconEngine* clone() const override { return new LineIcon(*this); }
    void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State) override {
        constexpr double kFaint = 0.35;
        // Their lines have the colour of texts; what is coloured stays.
        QByteArray svg = m_svg;
        QSvgRenderer renderer(
            svg.replace("#c9d1dc", QApplication::palette().color(QPalette::ButtonText).name().toLatin1()));
        const int side = std::min(rect.width(), rect.height());
        const double before = painter->opacity();
        if (mode == QIcon::Disabled) painter->setOpacity(kFaint * before);
        renderer.render(painter, QRectF(rect.x() + (rect.width() - side) / 2.0, rect.y() + (rect.height() - side) / 2.0,
                                        side, side));
        painter->setOpacity(before);
    }

private:
    QByteArray m_svg;
};

class Swatch : public DrawnIcon {
public:
    explicit Swatch(int lane) : m_lane(lane) {}
    QIconEngine* clone() const override { return new Swatch(*this); }
    void paint(QPainter* painter, const QRect& rect, QIcon::Mode, QIcon::State) override {
        const double side = std::min(rect.width(), rect.height()) * 14.0 / 24, round = side * 3 / 14;
        QRectF box(0, 0, side, side);
        box.moveCenter(QRectF(rect).center());
        painter->save();
        painter->setRenderHint(QPainter::Antialiasing);
        painter->setPen(Qt::NoPen);
        painter->setBrush(laneColor(m_lane));
        painter->drawRoundedRect(box, round, round);
        painter->restore();
    }

private:
    int m_lane;
};

}  // namespace

QIcon laneSwatch(int lane) {
    return QIcon(new Swatch(lane));
}

QIcon icon(const QString& name) {
    QFile file(":/icons/" + name + ".svg");
    if (!file.open(QIODevice::ReadOnly)) return {};
    return QIcon(new LineIcon(file.readAll()));
}

}  // namespace linscope::app
