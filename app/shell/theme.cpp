#include "app/shell/theme.h"

#include <QApplication>
#include <QFontDatabase>
#include <QPainter>
#include <QPalette>
#include <QPixmap>
#include <QStyleFactory>
#include <QSvgRenderer>
#include <array>

namespace linscope::app {

namespace {

QPalette darkPalette() {
    const QColor window("#1f2227"), base("#17191d"), button("#2b2f36"), text("#d7dbe0"), disabled("#6b727c");
    QPalette palette;
    palette.setColor(QPalette::Window, window);
    palette.setColor(QPalette::WindowText, text);
    palette.setColor(QPalette::Base, base);
    palette.setColor(QPalette::AlternateBase, QColor("#1b1e23"));
    palette.setColor(QPalette::Text, text);
    palette.setColor(QPalette::PlaceholderText, disabled);
    palette.setColor(QPalette::Button, button);
    palette.setColor(QPalette::ButtonText, text);
    palette.setColor(QPalette::BrightText, errorColor());
    palette.setColor(QPalette::ToolTipBase, QColor("#30353d"));
    palette.setColor(QPalette::ToolTipText, text);
    palette.setColor(QPalette::Link, QColor("#56b4e9"));
    palette.setColor(QPalette::Highlight, QColor("#2c5f8a"));
    palette.setColor(QPalette::HighlightedText, QColor("#ffffff"));
    palette.setColor(QPalette::Light, QColor("#3a3f48"));
    palette.setColor(QPalette::Midlight, QColor("#32373f"));
    palette.setColor(QPalette::Mid, QColor("#25282e"));
    palette.setColor(QPalette::Dark, QColor("#14161a"));
    palette.setColor(QPalette::Shadow, QColor("#0d0e11"));
    for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::HighlightedText})
        palette.setColor(QPalette::Disabled, role, disabled);
    palette.setColor(QPalette::Disabled, QPalette::Highlight, button);
    return palette;
}

constexpr auto kStyle = R"(
QMainWindow::separator { background: #14161a; width: 4px; height: 4px; }
QMainWindow::separator:hover { background: #2c5f8a; }
QDockWidget { titlebar-close-icon: none; }
QDockWidget::title { background: #1f2227; padding: 5px 8px; text-align: left; }
QToolBar { border: 0; border-bottom: 1px solid #14161a; padding: 3px 6px; spacing: 4px; }
QToolBar QToolButton { padding: 4px 8px; border-radius: 4px; }
QToolBar QToolButton:hover, QToolButton[flat="true"]:hover { background: #343943; }
QToolBar QToolButton:pressed, QToolBar QToolButton:checked { background: #2c5f8a; }
QToolButton[popupMode="2"] { padding-right: 14px; }
QStatusBar { border-top: 1px solid #14161a; }
QStatusBar::item { border: 0; }
QHeaderView::section { background: #1f2227; color: #98a1ad; border: 0; border-bottom: 1px solid #2b2f36; padding: 3px 6px; }
QTreeView, QTableView, QScrollArea { border: 0; }
QTreeView::item, QTableView::item { padding: 2px 0; }
QTabBar::tab { background: #1b1e23; color: #98a1ad; padding: 5px 12px; border: 0; border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: #ffffff; border-bottom: 2px solid #56b4e9; background: #1f2227; }
QTabBar::tab:hover { color: #d7dbe0; }
QToolTip { background: #30353d; color: #d7dbe0; border: 1px solid #454b56; padding: 3px; }
QProgressBar { background: #14161a; border: 0; border-radius: 3px; max-height: 6px; }
QProgressBar::chunk { background: #56b4e9; border-radius: 3px; }
QLineEdit, QAbstractSpinBox, QComboBox { min-height: 20px; }
QLineEdit[refused="true"], QAbstractSpinBox[refused="true"], QComboBox[refused="true"] { border: 1px solid #e8795a; border-radius: 3px; }
QLabel[error="true"] { color: #f08a6c; }
QLabel[muted="true"] { color: #98a1ad; }
QLabel[section="true"] { color: #98a1ad; font-weight: 600; padding-top: 8px; }
QPushButton[primary="true"] { background: #2c5f8a; color: #ffffff; padding: 5px 12px; border: 0; border-radius: 4px; font-weight: 600; }
QPushButton[primary="true"]:hover { background: #3672a5; }
QPushButton[primary="true"]:disabled { background: #2b2f36; color: #6b727c; }
)";

}  // namespace

void applyTheme(QApplication& application) {
    application.setStyle(QStyleFactory::create("Fusion"));
    application.setPalette(darkPalette());
    QFont font = application.font();
    if (QFontDatabase::families().contains("Inter")) font.setFamily("Inter");
    font.setPointSizeF(9.5);
    application.setFont(font);
    application.setStyleSheet(kStyle);
    application.setWindowIcon(icon("linscope"));
}

QColor laneColor(int lane) {
    static const std::array<QColor, 6> colors{QColor(0x56, 0xb4, 0xe9), QColor(0xe6, 0x9f, 0x00),
                                              QColor(0x00, 0x9e, 0x73), QColor(0xcc, 0x79, 0xa7),
                                              QColor(0xf0, 0xe4, 0x42), QColor(0xd5, 0x5e, 0x00)};
    return colors[static_cast<std::size_t>(lane < 0 ? 0 : lane) % colors.size()];
}

QIcon laneSwatch(int lane) {
    QPixmap pixmap(24, 24);
    pixmap.fill(Qt::transparent);
    QPainter painter(&pixmap);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(Qt::NoPen);
    painter.setBrush(laneColor(lane));
    painter.drawRoundedRect(5, 5, 14, 14, 3, 3);
    return QIcon(pixmap);
}

QColor errorColor() {
    return QColor("#f08a6c");
}
QColor mutedColor() {
    return QColor("#98a1ad");
}
QColor gridColor() {
    return QColor("#2b2f36");
}
QColor plotColor() {
    return QColor("#17191d");
}

QIcon icon(const QString& name) {
    QSvgRenderer renderer(":/icons/" + name + ".svg");
    QPixmap pixmap(64, 64);
    pixmap.fill(Qt::transparent);
    QPainter painter(&pixmap);
    renderer.render(&painter);
    painter.end();
    QIcon result;
    result.addPixmap(pixmap);
    QPixmap faint(pixmap.size());
    faint.fill(Qt::transparent);
    painter.begin(&faint);
    painter.setOpacity(0.35);
    painter.drawPixmap(0, 0, pixmap);
    painter.end();
    result.addPixmap(faint, QIcon::Disabled);
    return result;
}

}  // namespace linscope::app
