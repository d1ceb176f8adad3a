#pragma once

#include <QImage>
#include <QStringList>
#include <QVariantMap>
#include <QWidget>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/train/snapshot.h"
#include "viz/canvas/canvas_page.h"
#include "viz/gpu/device.h"

namespace linscope::app {

class CanvasWindow;
class VulkanHost;

/// The canvas as a widget: linked maps of a lane or of all lanes, and the projections, of the open run, drawn by
/// Vulkan. Where there is no Vulkan it is a label that says what is missing and how to mend it; all calls remain
/// allowed. GUI thread only.
class CanvasWidget : public QWidget {
    Q_OBJECT
public:
    explicit CanvasWidget(QWidget* parent = nullptr, const viz::DeviceOptions& options = {});
    ~CanvasWidget() override;

    /// Whether the maps that are asked for from now on may be computed on the CUDA device. At first they may.
    void setCuda(bool wanted);
    /// Names of the run's lanes; forgets all snapshots.
    void setLanes(const QStringList& laneNames);
    /// Why the run failed, and no snapshot comes; empty while one may.
    void setFailure(const QString& why);
    /// Shows a lane's maps, as if it had been chosen in the canvas.
    void chooseLane(int lane);
    /// Any lane; the newest of each is kept.
    void setSnapshot(std::shared_ptr<const linscope::Snapshot> snapshot);
    void setTokenText(std::function<std::string(std::int32_t)> text);
    using Page = viz::CanvasPage;
    void setPage(Page page);
    Page page() const;

    /// The frame drawn last, in device pixels, for screenshots; null without Vulkan.
    QImage grabImage();
    /// True while maps of the newest snapshot are still being computed.
    bool busy() const;
    bool hasVulkan() const;
    QString problem() const;  ///< empty with Vulkan
    QString deviceName() const;

    QVariantMap saveState() const;
    void restoreState(const QVariantMap& state);
    /// The window inside, for tests and measurements; nullptr without Vulkan.
    CanvasWindow* canvasWindow() const { return m_window; }

    QSize sizeHint() const override { return {1000, 720}; }
    QSize minimumSizeHint() const override { return {200, 150}; }

Q_SIGNALS:
    void selectionChanged(int lane, int layer, int head);
    /// A person went to another page in the canvas, which is drawing.
    void pageChanged();
    void frameDrawn(double milliseconds);

protected:
    void changeEvent(QEvent* event) override;

private:
    void showProblem(const QString& problem);

    std::unique_ptr<VulkanHost> m_host;
    CanvasWindow* m_window = nullptr;  // owned by its container
    QWidget* m_container = nullptr;
    QString m_problem;
};

}  // namespace linscope::app
