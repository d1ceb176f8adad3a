#include "app/shell/guide_dialog.h"

#include <QDialogButtonBox>
#include <QScreen>
#include <QTextBrowser>
#include <QVBoxLayout>

#include "app/shell/theme.h"

namespace linscope::app {

namespace {

constexpr QSize kSize{660, 740};
constexpr int kFrame = 100;  // what a desktop and the dialog's own window take of a small screen

QString heading(const QString& text) {
    return QString("<p style='margin:14px 0 2px 0; color:%1'>%2</p>").arg(mutedColor().name(), text);
}

QString entry(const QString& name, const QString& meaning) {
    return QString("<p style='margin:4px 0'><b>%1</b> &nbsp;%2</p>").arg(name, meaning);
}

QString guide() {
    QString text =
        "<p style='margin:0'>" +
        QObject::tr(
            "An experiment trains up to six <b>lanes</b>: the same model with another attention each, from the same "
            "first weights and on the same batches, so that what differs between lanes is the mechanism. All maps in "
            "sight are of one head, one sequence and one step; exact and lifted map come from the same Q, K and V.") +
        "</p>";
    text += heading(QObject::tr("Maps"));
    text += entry(QObject::tr("exact P"),
                  QObject::tr("softmax(QKᵀ/√D): how much each query (row) takes from each key (column) in exact "
                              "attention. A row sums to 1."));
    text += entry(QObject::tr("compressed P̄"),
                  QObject::tr("what Linformer computes: E and F mix the tokens into K slots, and a query weighs slots, "
                              "softmax(Q(EK)ᵀ/√D). A row sums to 1 over slots, so its colours are not those of P."));
    text +=
        entry(QObject::tr("lifted L = P̄F"),
              QObject::tr("the same, back on tokens: how much of each token's value arrives. This is what "
                          "compares with P. F is learned, so that L may be negative and its rows need not sum to 1."));
    text += entry(QObject::tr("implied map L"),
                  QObject::tr("of mechanisms without slots: the weight that each token's value arrives with."));
    text += entry(QObject::tr("difference L − P"),
                  QObject::tr("where the mechanism takes too much, and where too little."));
    text += heading(QObject::tr("How near a head is to exact attention"));
    text += entry(QObject::tr("output error ε"), QObject::tr("‖O − Õ‖/‖O‖ of what the head writes: the main figure."));
    text += entry(QObject::tr("map error"),
                  QObject::tr("‖P − L‖/‖P‖; beside it what the best map of rank K would have. Up to there K is too "
                              "small; beyond it the projection could be better."));
    text += entry(QObject::tr("KL and JS divergence"),
                  QObject::tr("only where L is a probability too; a signed map has none, and none is shown."));
    text += heading(QObject::tr("Projection"));
    text += entry(QObject::tr("spectrum, condition κ"),
                  QObject::tr("the singular values of E or F, and the largest over the smallest. Dashed: those of a "
                              "random matrix of this size. A κ that grows says that slots "
                              "depend on one another: some of them add little."));
    text += entry(QObject::tr("drift"),
                  QObject::tr("how far it has moved from step 0: its size, its rotation, and the overlap of the "
                              "subspace that it keeps (1: the same; dashed: two unrelated ones)."));
    text += heading(QObject::tr("To begin with"));
    text += "<ul style='margin:2px 0 0 -22px'>";
    for (const QString& one :
         {QObject::tr("Change K of lane 1 in the form, start a new run, and lay the old one over its charts."),
          QObject::tr("Point at a map: all of them show the same cell; a click keeps it. The wheel magnifies."),
          QObject::tr("Ctrl+3 shows what the same head does in every lane; the slider below goes back in time."),
          QObject::tr("Freeze a projection while it trains, or change the learning rate: the charts mark the step.")})
        text += "<li>" + one + "</li>";
    return text + "</ul><p style='margin:14px 0 0 0'><i>" +
           QObject::tr(
               "A map shows what a head mixes. It is a measurement, not an explanation of what the model "
               "does.") +
           "</i></p>";
}

}  // namespace

GuideDialog::GuideDialog(QWidget* parent) : QDialog(parent) {
    setWindowTitle(tr("What is shown"));
    auto* text = new QTextBrowser;
    text->setFrameShape(QFrame::NoFrame);
    text->document()->setDocumentMargin(14);
    text->setHtml(guide());
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(text);
    layout->addWidget(buttons);
    resize(screen() ? kSize.boundedTo(screen()->availableSize() - QSize(kFrame, kFrame)) : kSize);
}

}  // namespace linscope::app
