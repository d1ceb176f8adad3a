#include "app/panels/experiment_panel.h"

#include <QFileDialog>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QScrollArea>
#include <QScrollBar>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>

#include "app/panels/elided_label.h"
#include "app/shell/theme.h"

namespace linscope::app {

namespace {

constexpr int kSwatch = 14;

/// "lane.0.attention.k" → "k", "optimizer.learning_rate" → "learning rate".
QString labelOf(const ExperimentField& field) {
    QString name = QString::fromStdString(field.spec.name);
    return name.replace('_', ' ');
}

bool isLane(const std::string& section) {
    return section.starts_with("lane.");
}

}  // namespace

ExperimentPanel::ExperimentPanel(Session& session, QWidget* parent)
    : QWidget(parent), m_session(session), m_scroll(new QScrollArea), m_problem(new QLabel) {
    m_scroll->setWidgetResizable(true);
    m_scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_problem->setProperty("error", true);
    m_problem->setWordWrap(true);
    m_problem->setContentsMargins(8, 2, 8, 2);
    m_problem->hide();
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_scroll, 1);
    layout->addWidget(m_problem);
    layout->addWidget(makeButtons());

    // A field may be the cause; it must not be deleted while it speaks.
    connect(&m_draft, &ExperimentDraft::fieldsChanged, this, [this] {
        if (std::exchange(m_rebuildDue, true)) return;
        QMetaObject::invokeMethod(this, &ExperimentPanel::rebuild, Qt::QueuedConnection);
    });
    connect(&m_draft, &ExperimentDraft::errorsChanged, this, &ExperimentPanel::showErrors);
    connect(&m_draft, &ExperimentDraft::valueChanged, this, [this](const std::string& key, const std::string& text) {
        if (FieldEditor* editor = field(key)) editor->setText(QString::fromStdString(text));
    });
}

void ExperimentPanel::changeEvent(QEvent* event) {
    QWidget::changeEvent(event);
    if (!isNewLook(*event)) return;
    for (std::size_t lane = 0; lane < m_swatches.size(); ++lane)
        m_swatches[lane]->setPixmap(laneSwatch(static_cast<int>(lane)).pixmap(kSwatch, kSwatch));
}

QWidget* ExperimentPanel::makeButtons() {
    m_start = new QPushButton(icon("run"), tr("Start as new run"));
    m_start->setProperty("primary", true);
    m_start->setToolTip(
        tr("Trains this experiment from step 0 in a new run file; a live run is stopped and keeps its file"));
    m_addLane = new QPushButton(icon("add"), tr("Lane"));
    m_addLane->setToolTip(tr("Adds a lane, a copy of the last one; all lanes train on the same batches"));
    m_addLane->setAccessibleName(tr("Add a lane"));
    const auto tool = [](const QString& name, const QString& help) {
        auto* button = new QToolButton;
        button->setIcon(icon(name));
        button->setToolTip(help);
        button->setAccessibleName(help);
        button->setAutoRaise(true);
        return button;
    };
    QToolButton* load = tool("open", tr("Load an experiment file (TOML)"));
    QToolButton* save = tool("save", tr("Save as an experiment file (TOML)"));
    connect(m_start, &QPushButton::clicked, this, &ExperimentPanel::start);
    connect(m_addLane, &QPushButton::clicked, this, [this] {
        m_laneAdded = true;
        m_draft.addLane();
    });
    connect(load, &QToolButton::clicked, this, &ExperimentPanel::askLoad);
    connect(save, &QToolButton::clicked, this, &ExperimentPanel::askSave);

    auto* buttons = new QWidget;
    auto* row = new QHBoxLayout(buttons);
    row->setContentsMargins(8, 6, 8, 6);
    row->addWidget(m_start, 1);
    row->addWidget(m_addLane);
    row->addWidget(load);
    row->addWidget(save);
    return buttons;
}

FieldEditor* ExperimentPanel::field(const std::string& key) const {
    const auto found = m_fields.find(key);
    return found == m_fields.end() ? nullptr : found->second;
}

void ExperimentPanel::rebuild() {
    m_rebuildDue = false;
    const int place = m_scroll->verticalScrollBar()->value();
    const QWidget* focused = m_scroll->focusWidget();
    const QString focusedKey = focused ? focused->objectName() : QString();
    m_fields.clear();
    m_swatches.clear();
    m_sections.clear();

    auto* page = new QWidget;
    auto* form = m_form = new QFormLayout(page);
    form->setContentsMargins(8, 2, 8, 8);
    form->setHorizontalSpacing(10);
    form->setVerticalSpacing(4);
    form->setLabelAlignment(Qt::AlignRight);
    form->setFieldGrowthPolicy(QFormLayout::ExpandingFieldsGrow);
    QWidget* lastLane = nullptr;
    for (const ExperimentField& field : orderedFields()) {
        if (!m_sections.contains(field.section)) {
            QWidget* heading = addSection(form, field.section);
            if (isLane(field.section)) lastLane = heading;
        }
        auto* editor = new FieldEditor(field);
        auto* label = new QLabel(labelOf(field));
        label->setToolTip(describe(field.spec));
        form->addRow(label, editor);
        m_fields[field.key] = editor;
        m_sections[field.section].editors.push_back(editor);
        connect(editor, &FieldEditor::edited, &m_draft, &ExperimentDraft::set);
    }
    for (const auto& [name, section] : m_sections) showFolded(name);
    m_scroll->setWidget(page);
    m_scroll->verticalScrollBar()->setValue(place);
    if (std::exchange(m_laneAdded, false) && lastLane) {
        form->activate();
        m_scroll->verticalScrollBar()->setValue(lastLane->y());
    }
    if (FieldEditor* editor = field(focusedKey.toStdString())) editor->input()->setFocus();
    m_addLane->setEnabled(m_draft.canAddLane());
    showErrors();
}

std::vector<ExperimentField> ExperimentPanel::orderedFields() const {
    std::vector<ExperimentField> fields = m_draft.fields();
    const std::string first = fields.empty() ? std::string() : fields.front().section;
    std::ranges::stable_sort(fields, {}, [&](const ExperimentField& field) {
        return field.section == first ? 0 : isLane(field.section) ? 1 : 2;
    });
    return fields;
}

QWidget* ExperimentPanel::addSection(QFormLayout* form, const std::string& section) {
    auto* heading = new QWidget;
    auto* row = new QHBoxLayout(heading);
    row->setContentsMargins(0, 6, 0, 0);
    Section& made = m_sections[section];
    made.toggle = new QToolButton;
    made.toggle->setProperty("section", true);
    made.toggle->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    made.toggle->setToolTip(tr("A click folds this section or unfolds it"));
    made.toggle->setText(QString::fromStdString(section).toUpper());
    connect(made.toggle, &QToolButton::clicked, this, [this, section] { fold(section, !isFolded(section)); });
    row->addWidget(made.toggle);
    made.summary = new ElidedLabel;
    made.summary->setProperty("muted", true);
    made.summary->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    if (isLane(section)) {
        const std::size_t index = m_swatches.size();
        auto* swatch = new QLabel;
        swatch->setPixmap(laneSwatch(static_cast<int>(index)).pixmap(kSwatch, kSwatch));
        m_swatches.emplace_back(swatch);
        row->addWidget(swatch);
        made.toggle->setText(tr("LANE %1").arg(index));
        row->addWidget(made.summary, 1);
        auto* remove = new QToolButton;
        remove->setIcon(icon("remove"));
        remove->setAutoRaise(true);
        remove->setToolTip(tr("Removes this lane"));
        remove->setAccessibleName(tr("Remove lane %1").arg(index));
        remove->setEnabled(m_draft.experiment().lanes.size() > 1);
        connect(remove, &QToolButton::clicked, this, [this, index] {
            std::erase_if(m_folded, isLane);  // they move up
            m_draft.removeLane(index);
        });
        row->addWidget(remove);
    } else {
        row->addWidget(made.summary, 1);
    }
    form->addRow(heading);
    return heading;
}

void ExperimentPanel::fold(const std::string& section, bool folded) {
    folded ? (void)m_folded.insert(section) : (void)m_folded.erase(section);
    showFolded(section);
}

void ExperimentPanel::showFolded(const std::string& name) {
    const auto found = m_sections.find(name);
    if (found == m_sections.end()) return;
    const bool folded = isFolded(name);
    found->second.toggle->setArrowType(folded ? Qt::RightArrow : Qt::DownArrow);
    found->second.summary->setText(folded ? summaryOf(name) : QString());
    for (FieldEditor* editor : found->second.editors) m_form->setRowVisible(editor, !folded);
}

QString ExperimentPanel::summaryOf(const std::string& section) const {
    constexpr int kTold = 2;
    QStringList told;
    for (const ExperimentField& field : m_draft.fields()) {
        if (field.section != section || told.size() == kTold) continue;
        const QString value = QString::fromStdString(toPlainText(field.value));
        if (isLane(section)) return value;  // its name
        told << labelOf(field) + " " + value;
    }
    return told.join(", ");
}

void ExperimentPanel::showErrors() {
    const auto& errors = m_draft.errors();
    QString elsewhere;
    for (const auto& [name, section] : m_sections)  // what must be mended is in sight
        if (isFolded(name) && std::ranges::any_of(section.editors, [&](const FieldEditor* editor) {
                return errors.contains(editor->key());
            }))
            fold(name, false);
    for (const auto& [key, sentence] : errors)
        if (!field(key)) elsewhere = QString::fromStdString(sentence);
    for (const auto& [key, editor] : m_fields) {
        const auto found = errors.find(key);
        editor->setError(found == errors.end() ? QString() : QString::fromStdString(found->second));
    }
    if (elsewhere.isEmpty() && !errors.empty())
        elsewhere = errors.size() == 1 ? tr("One field must be mended before a run can start")
                                       : tr("%1 fields must be mended before a run can start").arg(errors.size());
    m_problem->setText(elsewhere);
    m_problem->setVisible(!elsewhere.isEmpty());
    m_start->setEnabled(errors.empty());
}

void ExperimentPanel::start() {
    if (m_draft.isValid()) m_session.start(m_draft.experiment());
}

void ExperimentPanel::askLoad() {
    const QString path = QFileDialog::getOpenFileName(this, tr("Load an experiment"), {}, tr("Experiments (*.toml)"));
    if (path.isEmpty()) return;
    try {
        m_draft.loadFile(path);
    } catch (const std::exception& error) {
        Q_EMIT m_session.message(QString::fromUtf8(error.what()), true);
    }
}

void ExperimentPanel::askSave() {
    const QString path =
        QFileDialog::getSaveFileName(this, tr("Save the experiment"), "experiment.toml", tr("Experiments (*.toml)"));
    if (path.isEmpty()) return;
    try {
        m_draft.saveFile(path);
    } catch (const std::exception& error) {
        Q_EMIT m_session.message(QString::fromUtf8(error.what()), true);
    }
}

}  // namespace linscope::app
