#pragma once

#include <QAbstractSpinBox>

namespace linscope::app {

/// A spin box for all 64-bit integers: QSpinBox ends at 2³¹ − 1, and seeds and steps do not. It refuses what is no
/// integer; whether one suits is for others to say.
class IntegerBox : public QAbstractSpinBox {
    Q_OBJECT
    Q_PROPERTY(qint64 value READ value WRITE setValue NOTIFY valueChanged USER true)
public:
    explicit IntegerBox(qint64 value, QWidget* parent = nullptr);

    qint64 value() const { return m_value; }
    void setValue(qint64 value);
    void stepBy(int steps) override;
    QValidator::State validate(QString& text, int& position) const override;
    void fixup(QString& text) const override;

Q_SIGNALS:
    /// By typing, by a step, or by setValue().
    void valueChanged(qint64 value);

protected:
    StepEnabled stepEnabled() const override { return StepUpEnabled | StepDownEnabled; }

private:
    void take(const QString& text);

    qint64 m_value;
};

}  // namespace linscope::app
