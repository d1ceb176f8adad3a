#include "app/shell/keys_dialog.h"

#include <QAction>
#include <QDialogButtonBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QVBoxLayout>

#include "app/shell/theme.h"

namespace linscope::app {

namespace {

QString row(const QString& keys, const QString& meaning) {
    return QString(
               "<tr><td style='padding:3px 18px 3px 0; '><b>%1</b></td><td style='padding:3px "
               "0'>%2</td></tr>")
        .arg(keys.toHtmlEscaped(), meaning.toHtmlEscaped());
}

QString heading(const QString& text) {
    return QString("<tr><td colspan='2' style='padding-top:10px; color:%1'>%2</td></tr>")
        .arg(mutedColor().name(), text);
}

}  // namespace

KeysDialog::KeysDialog(const QList<QAction*>& actions, QWidget* parent) : QDialog(parent) {
    setWindowTitle(tr("Keys"));
    QString window = heading(tr("Window"));
    for (const QAction* action : actions) {
        QStringList keys;
        for (const QKeySequence& key : action->shortcuts()) keys << key.toString(QKeySequence::NativeText);
        if (!keys.isEmpty()) window += row(keys.join(tr(" or ")), action->text().remove('&').remove(QChar(0x2026)));
    }
    QString table = heading(tr("Canvas and charts"));
    table += row(tr("Wheel"), tr("Zoom at the pointer; all linked panes follow"));
    table += row(tr("Drag"), tr("Pan"));
    table += row(tr("Double click"), tr("Show all, follow the data again"));
    table += row(tr("Right click in a chart"), tr("More: axes, export"));
    table += heading(tr("Maps"));
    table += row(tr("Click on a cell"), tr("Pin the cursor there; again: free it"));
    table += row(tr("Arrows"), tr("Move the cursor by a cell"));
    table += row(tr("Esc"), tr("Close a list or the tools over the maps; free the cursor"));
    table += row(tr("+ and −"), tr("Zoom"));
    table += row(tr("F"), tr("Show all"));
    table += row(tr("H and Shift+H"), tr("Head after, head before"));
    table += row(tr("Page Up and Page Down"), tr("Layer before, layer after"));
    auto* sides = new QHBoxLayout;  // below one another they would be higher than a small screen
    sides->setSpacing(32);
    for (const QString& side : {window, table}) {
        auto* text = new QLabel("<table>" + side + "</table>");
        text->setTextInteractionFlags(Qt::TextSelectableByMouse);
        text->setAlignment(Qt::AlignTop);
        sides->addWidget(text);
    }
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    auto* layout = new QVBoxLayout(this);
    layout->addLayout(sides);
    layout->addWidget(buttons);
}

}  // namespace linscope::app
