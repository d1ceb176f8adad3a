#include "app/canvas/canvas_widget.h"

#include "app/canvas/canvas_window.h"
#include "app/canvas/vulkan_host.h"
#include "app/shell/theme.h"
#include "viz/canvas/canvas_scene.h"
#include "viz/interop/map_source.h"

// After viz: Qt's Vulkan header switches off the prototypes that viz needs.
#include <QLabel>
#include <QVBoxLayout>

#include <exception>

namespace linscope::app {

namespace {

/// As in the charts.
std::vector<viz::Colour> laneColours(std::size_t lanes) {
    std::vector<viz::Colour> colours;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        const QColor color = laneColor(static_cast<int>(lane));
        colours.push_back({color.redF(), color.greenF(), color.blueF()});
    }
    return colours;
}

}  // namespace

CanvasWidget::CanvasWidget(QWidget* parent, const viz::DeviceOptions& options)
    : QWidget(parent), m_host(std::make_unique<VulkanHost>(options)) {
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    if (!m_host->device()) {
        showProblem(m_host->problem());
        return;
    }
    try {
        m_window = new CanvasWindow(*m_host);
    } catch (const std::exception& error) {
        showProblem(QString::fromUtf8(error.what()));
        return;
    }
    m_container = QWidget::createWindowContainer(m_window, this);
    m_container->setFocusPolicy(Qt::StrongFocus);
    m_container->setMinimumSize(minimumSizeHint());
    layout->addWidget(m_container);
    connect(m_window, &CanvasWindow::frameDrawn, this, &CanvasWidget::frameDrawn);
    // Queued: the window is inside its own drawing when it finds that it cannot go on.
    connect(m_window, &CanvasWindow::failed, this, &CanvasWidget::showProblem, Qt::QueuedConnection);
    m_window->scene().model().onChoice = [this](const viz::HeadChoice& choice) {
        Q_EMIT selectionChanged(choice.lane, choice.layer, choice.head);
    };
    m_window->scene().model().onPage = [this] { Q_EMIT pageChanged(); };
}

CanvasWidget::~CanvasWidget() {
    // The window draws with the host's device: it has to go first.
    delete m_container;
}

void CanvasWidget::changeEvent(QEvent* event) {
    QWidget::changeEvent(event);
    if (!isNewLook(*event) || !m_window) return;
    viz::CanvasModel& model = m_window->scene().model();
    model.setLaneColours(laneColours(model.lanes().size()));
    m_window->takeLook();
}

void CanvasWidget::showProblem(const QString& problem) {
    m_problem = problem;
    delete m_container;
    m_container = nullptr;
    m_window = nullptr;
    auto* label = new QLabel(this);
    label->setTextFormat(Qt::PlainText);
    label->setAlignment(Qt::AlignCenter);
    label->setWordWrap(true);
    label->setMargin(24);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    label->setText(tr("Maps cannot be drawn on this machine; everything else works.\n\n%1").arg(problem));
    layout()->addWidget(label);
}

void CanvasWidget::setCuda(bool wanted) {
    if (m_window) m_window->maps().setCuda(wanted);
}

void CanvasWidget::setLanes(const QStringList& laneNames) {
    if (!m_window) return;
    std::vector<std::string> names;
    for (const QString& name : laneNames) names.push_back(name.toStdString());
    auto colours = laneColours(names.size());
    m_window->scene().model().setLanes(std::move(names), std::move(colours));
    m_window->requestFrame(2);
}

void CanvasWidget::setFailure(const QString& why) {
    if (!m_window) return;
    m_window->scene().model().setFailure(why.toStdString());
    m_window->requestFrame(2);
}

void CanvasWidget::chooseLane(int lane) {
    if (!m_window) return;
    viz::CanvasModel& model = m_window->scene().model();
    viz::HeadChoice choice = model.choice();
    choice.lane = lane;
    model.choose(choice);
    m_window->requestFrame(2);
}

void CanvasWidget::setSnapshot(std::shared_ptr<const linscope::Snapshot> snapshot) {
    if (!m_window) return;
    m_window->scene().model().setSnapshot(std::move(snapshot));
    m_window->requestFrame(2);
}

void CanvasWidget::setTokenText(std::function<std::string(std::int32_t)> text) {
    if (!m_window) return;
    m_window->scene().model().setTokenText(std::move(text));
    m_window->requestFrame();
}

void CanvasWidget::setPage(Page page) {
    if (!m_window) return;
    m_window->scene().model().setPage(page);
    m_window->requestFrame(2);
}

CanvasWidget::Page CanvasWidget::page() const {
    return m_window ? m_window->scene().model().page() : Page::Maps;
}

QImage CanvasWidget::grabImage() {
    return m_window ? m_window->grabImage() : QImage();
}

bool CanvasWidget::busy() const {
    return m_window && m_window->scene().model().busy();
}

bool CanvasWidget::hasVulkan() const {
    return m_window != nullptr;
}

QString CanvasWidget::problem() const {
    return m_problem;
}

QString CanvasWidget::deviceName() const {
    return m_window ? QString::fromStdString(m_host->device()->name()) : QString();
}

QVariantMap CanvasWidget::saveState() const {
    if (!m_window) return {};
    const viz::CanvasSettings settings = m_window->scene().settings();
    QVariantMap state{{"lane", settings.choice.lane},
                      {"layer", settings.choice.layer},
                      {"head", settings.choice.head},
                      {"sample", settings.choice.sample},
                      {"page", static_cast<int>(settings.page)},
                      {"scale", QString::fromStdString(settings.scale)},
                      {"weights", QString::fromStdString(settings.sequential)},
                      {"signed", QString::fromStdString(settings.diverging)},
                      {"rangeEach", settings.rangeEach},
                      {"tools", settings.tools},
                      {"fitted", settings.place.fitted},
                      {"row", settings.place.row},
                      {"column", settings.place.column},
                      {"slot", settings.place.slot},
                      {"magnification", settings.place.magnification},
                      {"slotMagnification", settings.place.slotMagnification}};
    if (settings.joint.ofSigned) state["jointSigned"] = *settings.joint.ofSigned;
    if (settings.joint.ofWeights) state["jointWeights"] = *settings.joint.ofWeights;
    return state;
}

void CanvasWidget::restoreState(const QVariantMap& state) {
    if (!m_window || state.isEmpty()) return;
    viz::CanvasSettings settings = m_window->scene().settings();
    const auto number = [&](const char* key, double otherwise) {
        bool good = false;
        const double value = state.value(key).toDouble(&good);
        return good ? value : otherwise;
    };
    settings.choice = {.lane = state.value("lane", -1).toInt(),
                       .layer = state.value("layer").toInt(),
                       .head = state.value("head").toInt(),
                       .sample = state.value("sample").toInt()};
    const int page = state.value("page").toInt();
    settings.page = page > 0 && page < viz::kCanvasPageCount ? static_cast<Page>(page) : Page::Maps;
    settings.scale = state.value("scale").toString().toStdString();
    settings.sequential = state.value("weights").toString().toStdString();
    settings.diverging = state.value("signed").toString().toStdString();
    if (state.contains("jointSigned")) settings.joint.ofSigned = state.value("jointSigned").toBool();
    if (state.contains("jointWeights")) settings.joint.ofWeights = state.value("jointWeights").toBool();
    settings.rangeEach = state.value("rangeEach").toBool();
    settings.tools = state.value("tools", true).toBool();
    settings.place = {.row = number("row", 0.5),
                      .column = number("column", 0.5),
                      .slot = number("slot", 0.5),
                      .magnification = number("magnification", 1),
                      .slotMagnification = number("slotMagnification", 1),
                      .fitted = state.value("fitted", true).toBool()};
    try {
        m_window->scene().restore(settings);
    } catch (const std::exception&) {
        // Settings of another version may name what is no longer there: what was restored so far stays.
    }
    m_window->requestFrame(2);
}

}  // namespace linscope::app
