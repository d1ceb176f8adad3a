#include "app/panels/scrolled.h"

#include <QScrollArea>
#include <QScrollBar>

namespace linscope::app {

namespace {

class Scroller : public QScrollArea {
public:
    QSize minimumSizeHint() const override { return {widget() ? widget()->minimumSizeHint().width() : 40, 60}; }
    QSize sizeHint() const override { return widget() ? widget()->sizeHint() : QScrollArea::sizeHint(); }
};

}  // namespace

QWidget* scrolled(QWidget* content) {
    auto* area = new Scroller;
    area->setWidgetResizable(true);
    area->setFrameShape(QFrame::NoFrame);
    area->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    area->setWidget(content);
    return area;
}

}  // namespace linscope::app
