#pragma once

#include <QWidget>

#include "app/models/event_list_model.h"

class QTableView;

namespace linscope::app {

/// The log of the selected run; a double click shows the stored step nearest before an entry.
class EventsPanel : public QWidget {
    Q_OBJECT
public:
    explicit EventsPanel(Session& session, QWidget* parent = nullptr);

private:
    void showStep(const QModelIndex& index);

    Session& m_session;
    EventListModel* m_model;
    QTableView* m_view;
};

}  // namespace linscope::app
