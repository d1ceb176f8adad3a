#pragma once

#include <QDialog>

namespace linscope::app {

/// What maps, projections and charts show, in a page, for whoever sees them for the first time.
class GuideDialog : public QDialog {
    Q_OBJECT
public:
    explicit GuideDialog(QWidget* parent = nullptr);
};

}  // namespace linscope::app
