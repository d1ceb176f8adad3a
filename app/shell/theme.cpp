#include "app/shell/theme.h"

#include <QApplication>
#include <QEvent>
#include <QFontDatabase>
#include <QPalette>
#include <array>
#include <utility>

#include "app/shell/workbench_style.h"

namespace linscope::app {

namespace {

/// Colours of one look by what they are for.
struct Shades {
    QColor window, base, alternate, button, text, disabled, muted, tip, edge, border, raised, accent, selection, error,
        warning, good;
};

const Shades& shades(Look look) {
    static const Shades dark{.window = "#1f2227",
                             .base = "#17191d",
                             .alternate = "#1b1e23",
                             .button = "#2b2f36",
                             .text = "#d7dbe0",
                             .disabled = "#6b727c",
                             .muted = "#98a1ad",
                             .tip = "#30353d",
                             .edge = "#14161a",
                             .border = "#454b56",
                             .raised = "#3a3f48",
                             .accent = "#56b4e9",
                             .selection = "#2c5f8a",
                             .error = "#f08a6c",
                             .warning = "#f0c742",
                             .good = "#5cc48d"};
    static const Shades light{.window = "#f1f2f4",
                              .base = "#ffffff",
                              .alternate = "#f6f7f8",
                              .button = "#e4e7eb",
                              .text = "#1c2026",
                              .disabled = "#9aa2ad",
                              .muted = "#5a626e",
                              .tip = "#ffffff",
                              .edge = "#d3d7dd",
                              .border = "#b4bbc5",
                              .raised = "#ffffff",
                              .accent = "#0f6cbd",
                              .selection = "#2f78b7",
                              .error = "#b3401d",
                              .warning = "#9a6700",
                              .good = "#1a7f4b"};
    return look == Look::Dark ? dark : light;
}

const Shades& shades() {
    return shades(look());
}

QPalette paletteOf(const Shades& shades) {
    QPalette palette;
    palette.setColor(QPalette::Window, shades.window);
    palette.setColor(QPalette::WindowText, shades.text);
    palette.setColor(QPalette::Base, shades.base);
    palette.setColor(QPalette::AlternateBase, shades.alternate);
    palette.setColor(QPalette::Text, shades.text);
    palette.setColor(QPalette::PlaceholderText, shades.disabled);
    palette.setColor(QPalette::Button, shades.button);
    palette.setColor(QPalette::ButtonText, shades.text);
    palette.setColor(QPalette::BrightText, shades.error);
    palette.setColor(QPalette::ToolTipBase, shades.tip);
    palette.setColor(QPalette::ToolTipText, shades.text);
    palette.setColor(QPalette::Link, shades.accent);
    palette.setColor(QPalette::Highlight, shades.selection);
    palette.setColor(QPalette::HighlightedText, QColor("#ffffff"));
    palette.setColor(QPalette::Light, shades.raised);
    palette.setColor(QPalette::Midlight, shades.button.lighter(110));
    palette.setColor(QPalette::Mid, shades.button.darker(115));
    palette.setColor(QPalette::Dark, shades.edge);
    palette.setColor(QPalette::Shadow, shades.edge.darker(140));
    for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::HighlightedText})
        palette.setColor(QPalette::Disabled, role, shades.disabled);
    palette.setColor(QPalette::Disabled, QPalette::Highlight, shades.button);
    return palette;
}

/// With the names of shades between dollar signs.
constexpr auto kStyle = R"(
QMainWindow::separator { background: $edge$; width: 4px; height: 4px; }
QMainWindow::separator:hover { background: $selection$; }
QDockWidget { titlebar-close-icon: none; }
QDockWidget::title { background: $window$; padding: 5px 8px; text-align: left; }
QToolBar { border: 0; border-bottom: 1px solid $edge$; padding: 3px 6px; spacing: 4px; }
QToolBar QToolButton { padding: 4px 8px; border-radius: 4px; }
QToolBar QToolButton:hover, QToolButton[flat="true"]:hover { background: $button$; }
QToolBar QToolButton:pressed, QToolBar QToolButton:checked { background: $selection$; }
QToolButton[popupMode="2"] { padding-right: 14px; }
QStatusBar { border-top: 1px solid $edge$; }
QStatusBar::item { border: 0; }
QHeaderView::section { background: $window$; color: $muted$; border: 0; border-bottom: 1px solid $button$; padding: 3px 6px; }
QTreeView, QTableView, QScrollArea { border: 0; }
QTreeView::item, QTableView::item { padding: 2px 0; }
QTabBar::tab { background: $alternate$; color: $muted$; padding: 5px 12px; border: 0; border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: $text$; border-bottom: 2px solid $accent$; background: $window$; }
QTabBar::tab:hover { color: $text$; }
QMenu { border: 1px solid $border$; }
QToolTip { background: $tip$; color: $text$; border: 1px solid $border$; padding: 3px; }
QProgressBar { background: $edge$; border: 0; border-radius: 3px; max-height: 6px; }
QProgressBar::chunk { background: $accent$; border-radius: 3px; }
QLineEdit, QAbstractSpinBox, QComboBox { min-height: 20px; }
QLineEdit[refused="true"], QAbstractSpinBox[refused="true"], QComboBox[refused="true"] { border: 1px solid $error$; border-radius: 3px; }
QLabel[error="true"] { color: $error$; }
QLabel[muted="true"] { color: $muted$; }
QLabel[section="true"] { color: $muted$; font-weight: 600; padding-top: 8px; }
QToolButton[section="true"] { color: $muted$; font-weight: 600; border: 0; padding: 2px 4px 2px 0; }
QToolButton[section="true"]:hover { color: $text$; }
QPushButton[primary="true"] { background: $selection$; color: #ffffff; padding: 5px 12px; border: 0; border-radius: 4px; font-weight: 600; }
QPushButton[primary="true"]:hover { background: $accent$; }
QPushButton[primary="true"]:disabled { background: $button$; color: $disabled$; }
)";

QString styleOf(const Shades& shades) {
    QString style = kStyle;
    for (const auto& [name, color] : {std::pair("window", shades.window),
                                      {"alternate", shades.alternate},
                                      {"button", shades.button},
                                      {"text", shades.text},
                                      {"disabled", shades.disabled},
                                      {"muted", shades.muted},
                                      {"tip", shades.tip},
                                      {"edge", shades.edge},
                                      {"border", shades.border},
                                      {"accent", shades.accent},
                                      {"selection", shades.selection},
                                      {"error", shades.error}})
        style.replace(QString("$%1$").arg(name), color.name());
    return style;
}

}  // namespace

void applyTheme(QApplication& application, Look look) {
    if (application.styleSheet().isEmpty()) application.setStyle(new WorkbenchStyle);
    application.setPalette(paletteOf(shades(look)));
    QFont font = application.font();
    if (QFontDatabase::families().contains("Inter")) font.setFamily("Inter");
    font.setPointSizeF(9.5);
    application.setFont(font);
    application.setStyleSheet(styleOf(shades(look)));
    application.setWindowIcon(icon("linscope"));
}

bool isNewLook(const QEvent& event) {
    return event.type() == QEvent::StyleChange;  // the style sheet comes last
}

Look look() {
    constexpr int kMiddle = 128;
    return QApplication::palette().color(QPalette::Window).lightness() > kMiddle ? Look::Light : Look::Dark;
}

LightLook::LightLook() : m_before(look()) {
    if (m_before != Look::Light) applyTheme(*qApp, Look::Light);
}

LightLook::~LightLook() {
    if (m_before != Look::Light) applyTheme(*qApp, m_before);
}

QColor laneColor(int lane) {
    static const std::array<QColor, 6> onDark{QColor(0x56, 0xb4, 0xe9), QColor(0xe6, 0x9f, 0x00),
                                              QColor(0x00, 0x9e, 0x73), QColor(0xcc, 0x79, 0xa7),
                                              QColor(0xf0, 0xe4, 0x42), QColor(0xd5, 0x5e, 0x00)};
    // The palette's other blue for its light one, and a yellow that is seen on white.
    static const std::array<QColor, 6> onLight{QColor(0x00, 0x72, 0xb2), QColor(0xe6, 0x9f, 0x00),
                                               QColor(0x00, 0x9e, 0x73), QColor(0xcc, 0x79, 0xa7),
                                               QColor(0xa8, 0x9c, 0x00), QColor(0xd5, 0x5e, 0x00)};
    const auto& colors = look() == Look::Light ? onLight : onDark;
    return colors[static_cast<std::size_t>(lane < 0 ? 0 : lane) % colors.size()];
}

QColor errorColor() {
    return shades().error;
}
QColor warningColor() {
    return shades().warning;
}
QColor goodColor() {
    return shades().good;
}
QColor mutedColor() {
    return shades().muted;
}
QColor gridColor() {
    return shades().button;
}
QColor axisColor() {
    return shades().border;
}
QColor plotColor() {
    return shades().base;
}
QColor tipColor() {
    return shades().tip;
}

}  // namespace linscope::app
