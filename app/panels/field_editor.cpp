#include "app/panels/field_editor.h"

#include <QCheckBox>
#include <QComboBox>
#include <QEvent>
#include <QHBoxLayout>
#include <QLineEdit>
#include <QStyle>
#include <QVBoxLayout>
#include <cmath>

#include "app/panels/integer_box.h"

namespace linscope::app {

namespace {

/// The value as a person types it: text without its quotes.
QString inputText(const OptionValue& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return QString::fromStdString(*text);
    if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value); list && list->size() == 1)
        return QString::number(list->front());
    return QString::fromStdString(toTomlText(value));
}

}  // namespace

QString describe(const OptionSpec& spec) {
    QString text = QString::fromStdString(spec.help);
    const auto bound = [](double value) { return QString::number(value, 'g', 10); };
    if (std::isfinite(spec.minimum) && std::isfinite(spec.maximum))
        text += QObject::tr("\n%1 to %2").arg(bound(spec.minimum), bound(spec.maximum));
    else if (std::isfinite(spec.minimum))
        text += QObject::tr("\nat least %1").arg(bound(spec.minimum));
    if (spec.type == OptionType::PerLayer) text += QObject::tr("\none number, or one for each layer: [64, 32]");
    return text + QObject::tr("\ndefault %1").arg(QString::fromStdString(toTomlText(spec.standard)));
}

FieldEditor::FieldEditor(const ExperimentField& field, QWidget* parent)
    : QWidget(parent), m_key(field.key), m_input(makeInput(field)), m_error(new QLabel) {
    m_input->setToolTip(describe(field.spec));
    m_input->setAccessibleName(QString::fromStdString(field.key));
    m_input->setObjectName(QString::fromStdString(field.key));
    m_input->installEventFilter(this);
    // By their own policy spin and combo boxes take the focus from a wheel that only passes over them.
    m_input->setFocusPolicy(Qt::StrongFocus);
    // A spin box asks for room for its widest number, a combo box for its longest choice: more than a dock has.
    m_input->setMinimumWidth(60);
    m_error->setProperty("error", true);
    m_error->setWordWrap(true);
    m_error->hide();

    auto* row = new QHBoxLayout;
    row->addWidget(m_input, 1);
    if (!field.spec.unit.empty()) {
        auto* unit = new QLabel(QString::fromStdString(field.spec.unit));
        unit->setProperty("muted", true);
        row->addWidget(unit);
    }
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(2);
    layout->addLayout(row);
    layout->addWidget(m_error);
}

QWidget* FieldEditor::makeInput(const ExperimentField& field) {
    switch (field.spec.type) {
        case OptionType::Flag: {
            auto* box = new QCheckBox;
            box->setChecked(std::get<bool>(field.value));
            connect(box, &QCheckBox::toggled, this, [this](bool on) { tell(on ? "true" : "false"); });
            return box;
        }
        case OptionType::Integer: {
            // The box itself refuses nothing: the experiment says what is wrong with a number.
            auto* box = new IntegerBox(std::get<std::int64_t>(field.value));
            connect(box, &IntegerBox::valueChanged, this, [this](qint64 value) { tell(QString::number(value)); });
            return box;
        }
        case OptionType::Choice: {
            auto* box = new QComboBox;
            for (const std::string& choice : field.spec.choices) box->addItem(QString::fromStdString(choice));
            box->setCurrentText(inputText(field.value));
            connect(box, &QComboBox::currentTextChanged, this, [this](const QString& text) { tell(text); });
            return box;
        }
        case OptionType::Real:
        case OptionType::Text:
        case OptionType::PerLayer:
            break;
    }
    auto* line = new QLineEdit(inputText(field.value));
    line->setCursorPosition(0);
    connect(line, &QLineEdit::textEdited, this, [this](const QString& text) { tell(text); });
    return line;
}

void FieldEditor::setError(const QString& text) {
    m_error->setText(text);
    m_error->setVisible(!text.isEmpty());
    if (m_input->property("refused").toBool() == !text.isEmpty()) return;
    m_input->setProperty("refused", !text.isEmpty());
    m_input->style()->unpolish(m_input);
    m_input->style()->polish(m_input);
}

void FieldEditor::setText(const QString& text) {
    auto* line = qobject_cast<QLineEdit*>(m_input);
    if (!line || line->text() == text) return;
    line->setText(text);  // which is no edit
    line->setCursorPosition(0);
}

bool FieldEditor::eventFilter(QObject* watched, QEvent* event) {
    // Scrolling over the form must not change what it says.
    if (event->type() == QEvent::Wheel && watched == m_input && !m_input->hasFocus()) {
        event->ignore();
        return true;
    }
    return QWidget::eventFilter(watched, event);
}

}  // namespace linscope::app
