#pragma once

#include <QWidget>

#include "app/canvas/canvas_widget.h"
#include "app/session/session.h"

namespace linscope::app {

class StepBar;

/// The middle of the window: the canvas, which has its own switch between maps and projections, above the
/// step bar. Keeps the canvas supplied with the snapshots of the selected run.
class CentralWidget : public QWidget {
    Q_OBJECT
public:
    explicit CentralWidget(Session& session, QWidget* parent = nullptr);

    CanvasWidget& canvas() { return *m_canvas; }
    StepBar& stepBar() { return *m_steps; }
    CanvasWidget::Page page() const { return m_canvas->page(); }
    void setPage(CanvasWidget::Page page);

Q_SIGNALS:
    void pageChanged();

private:
    void followRun();

    Session& m_session;
    CanvasWidget* m_canvas;
    StepBar* m_steps;
    int m_run = -1;
    TokenTexts m_tokenTexts;
    QStringList m_lanes;
};

}  // namespace linscope::app
