#pragma once

#include <QLabel>
#include <QWidget>

#include "core/experiment/experiment.h"

namespace linscope::app {

/// Edits one value of an experiment with the widget that fits its type; what is wrong with it stands below.
class FieldEditor : public QWidget {
    Q_OBJECT
public:
    explicit FieldEditor(const ExperimentField& field, QWidget* parent = nullptr);

    const std::string& key() const { return m_key; }
    /// An empty text takes the error away.
    void setError(const QString& text);
    QString error() const { return m_error->isHidden() ? QString() : m_error->text(); }
    /// Shows another text, where a person can type one; tells nobody.
    void setText(const QString& text);
    /// The widget a person types into.
    QWidget* input() const { return m_input; }

Q_SIGNALS:
    /// `text` as Experiment::set takes it.
    void edited(const std::string& key, const std::string& text);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    QWidget* makeInput(const ExperimentField& field);
    void tell(const QString& text) { Q_EMIT edited(m_key, text.toStdString()); }

    std::string m_key;
    QWidget* m_input;
    QLabel* m_error;
};

/// What a tooltip says of an option: help, range, default.
QString describe(const OptionSpec& spec);

}  // namespace linscope::app
