#include "app/panels/integer_box.h"

#include <QLineEdit>
#include <limits>

namespace linscope::app {

IntegerBox::IntegerBox(qint64 value, QWidget* parent) : QAbstractSpinBox(parent), m_value(value) {
    lineEdit()->setText(QString::number(value));
    connect(lineEdit(), &QLineEdit::textChanged, this, &IntegerBox::take);
}

void IntegerBox::setValue(qint64 value) {
    lineEdit()->setText(QString::number(value));
}

void IntegerBox::take(const QString& text) {
    bool isNumber = false;
    const qint64 value = text.trimmed().toLongLong(&isNumber);
    if (!isNumber || value == m_value) return;
    m_value = value;
    Q_EMIT valueChanged(value);
}

void IntegerBox::stepBy(int steps) {
    constexpr qint64 kLeast = std::numeric_limits<qint64>::min(), kMost = std::numeric_limits<qint64>::max();
    if (steps > 0)
        setValue(m_value > kMost - steps ? kMost : m_value + steps);
    else
        setValue(m_value < kLeast - steps ? kLeast : m_value + steps);
    selectAll();
}

QValidator::State IntegerBox::validate(QString& text, int&) const {
    const QString typed = text.trimmed();
    if (typed.isEmpty() || typed == "-" || typed == "+") return QValidator::Intermediate;
    bool isNumber = false;
    (void)typed.toLongLong(&isNumber);
    return isNumber ? QValidator::Acceptable : QValidator::Invalid;
}

void IntegerBox::fixup(QString& text) const {
    text = QString::number(m_value);
}

}  // namespace linscope::app
