#include "app/panels/chart_export.h"

#include <QFileDialog>
#include <QFileInfo>
#include <QMenu>
#include <QSaveFile>
#include <QToolButton>

#include "app/shell/theme.h"

namespace linscope::app {

QString formatName(ChartFormat format) {
    switch (format) {
        case ChartFormat::Pdf:
            return "PDF";
        case ChartFormat::Svg:
            return "SVG";
        case ChartFormat::Png:
            return "PNG";
        case ChartFormat::Csv:
            break;
    }
    return "CSV";
}

QString chartFileName(const Run* run, const QString& what, ChartFormat format) {
    QString name = what;
    for (QChar& letter : name)
        if (!letter.isLetterOrNumber() && !QString("._-=").contains(letter)) letter = '_';
    if (run) name.prepend(QString::fromStdString(run->file.stem().string()) + "-");
    return name + "." + formatName(format).toLower();
}

QString askChartFile(QWidget* parent, const Run* run, const QString& what, ChartFormat format) {
    const QString name = chartFileName(run, what, format), type = formatName(format);
    QString path = QFileDialog::getSaveFileName(
        parent, format == ChartFormat::Csv ? QObject::tr("Export the numbers") : QObject::tr("Export as %1").arg(type),
        name, QObject::tr("%1 files (*.%2)").arg(type, type.toLower()));
    if (!path.isEmpty() && QFileInfo(path).suffix().isEmpty()) path += "." + type.toLower();
    return path;
}

QToolButton* exportButton(std::function<void(ChartFormat)> chosen) {
    auto* button = new QToolButton;
    button->setIcon(icon("export"));
    button->setToolTip(QObject::tr("Export the charts"));
    button->setAccessibleName(QObject::tr("Export the charts"));
    button->setPopupMode(QToolButton::InstantPopup);
    auto* menu = new QMenu(button);
    for (const ChartFormat format : kChartFormats)
        menu->addAction(QObject::tr("As %1…").arg(formatName(format)), menu, [chosen, format] { chosen(format); });
    button->setMenu(menu);
    return button;
}

void tellExported(Session& session, const QString& path, bool done) {
    Q_EMIT session.message(done ? QObject::tr("Written: %1").arg(path) : QObject::tr("%1 cannot be written").arg(path),
                           !done);
}

bool writeText(const QString& path, const std::string& text) {
    QSaveFile file(path);
    const QByteArray bytes = QByteArray::fromStdString(text);
    return file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size() && file.commit();
}

}  // namespace linscope::app
