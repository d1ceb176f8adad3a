#include "app/panels/chart_picture.h"

#include <QFontMetrics>
#include <QPainter>

#include "app/panels/chart.h"
#include "app/shell/theme.h"

namespace linscope::app {

namespace {

constexpr double kFineness = 2;
constexpr int kMargin = 8, kGap = 2;

/// Text of one font and colour, wrapped to the width of the picture.
struct Paragraph {
    QString text;
    QFont font;
    QColor color;
    int height(int width) const {
        constexpr int kTall = 10'000;
        return QFontMetrics(font)
            .boundingRect(QRect(0, 0, width - 2 * kMargin, kTall), Qt::TextWordWrap | Qt::TextWrapAnywhere, text)
            .height();
    }
};

QFont sized(double points, bool bold = false) {
    QFont font = QApplication::font();
    font.setPointSizeF(points);
    font.setBold(bold);
    return font;
}

}  // namespace

ChartCaption captionOf(const Run& run) {
    const Experiment& experiment = run.record.experiment;
    return {QString::fromStdString(experiment.title),
            QObject::tr("%1 · %2 · step %3")
                .arg(QString::fromStdString(experiment.task.name), QString::fromStdString(run.file.filename().string()))
                .arg(run.record.lastStep)};
}

QImage chartPicture(const ChartCaption& caption, const std::vector<Legend::Entry>& legend, const QStringList& notes,
                    QWidget& charts) {
    const int width = charts.width();
    const QColor text = charts.palette().color(QPalette::WindowText);
    std::vector<Paragraph> above{{caption.title, sized(11, true), text}, {caption.detail, sized(8.5), mutedColor()}};
    std::vector<Paragraph> below;
    for (const QString& note : notes) below.push_back({note, sized(8.5), mutedColor()});
    Legend names;
    names.setRows(static_cast<int>(legend.size()));
    names.setEntries(legend);
    names.resize(width, names.heightForWidth(width));

    int height = 2 * kMargin + names.height() + charts.height();
    for (const auto* paragraphs : {&above, &below})
        for (const Paragraph& one : *paragraphs) height += one.height(width) + kGap;
    QImage picture(QSize(width, height) * kFineness, QImage::Format_RGB32);
    picture.setDevicePixelRatio(kFineness);
    picture.fill(charts.palette().color(QPalette::Window));
    picture.setText("Title", caption.title);
    picture.setText("Run", caption.detail);
    picture.setText("Software", "Linscope");

    QPainter painter(&picture);
    int y = kMargin;
    const auto write = [&](const std::vector<Paragraph>& paragraphs) {
        for (const Paragraph& one : paragraphs) {
            const int tall = one.height(width);
            painter.setFont(one.font);
            painter.setPen(one.color);
            painter.drawText(QRect(kMargin, y, width - 2 * kMargin, tall), Qt::TextWordWrap | Qt::TextWrapAnywhere,
                             one.text);
            y += tall + kGap;
        }
    };
    write(above);
    names.render(&painter, QPoint(0, y));
    y += names.height();
    write(below);
    y += kMargin;
    const auto all = charts.findChildren<Chart*>();
    for (Chart* chart : all) chart->setFineness(kFineness);
    charts.render(&painter, QPoint(0, y));
    for (Chart* chart : all) chart->setFineness(chart->devicePixelRatioF());
    return picture;
}

}  // namespace linscope::app
