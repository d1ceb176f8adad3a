#include <cstdio>

#include "app/canvas/canvas_widget.h"
#include "app/canvas/canvas_window.h"
#include "tests/app/canvas/synthetic_snapshot.h"
#include "viz/imgui/imgui_host.h"

// After viz: Qt's Vulkan header switches off the prototypes that viz needs.
#include <QApplication>
#include <QCommandLineParser>
#include <QTimer>

using linscope::app::CanvasWidget;

int main(int argc, char** argv) {
    QApplication application(argc, argv);
    QCommandLineParser parser;
    parser.addHelpOption();
    parser.addOptions({{"out", "Write the canvas as PNG, then close.", "file"},
                       {"page", "maps or projection.", "name", "maps"},
                       {"lane", "0 full, 1 linformer.", "index", "1"},
                       {"head", "Head.", "index", "0"},
                       {"scale", "linear, log, arcsinh or diverging.", "name"},
                       {"size", "WIDTHxHEIGHT.", "size", "1600x1000"},
                       {"magnification", "Zoom over the fitted view.", "factor", "1"},
                       {"point", "X,Y of the mouse, logical pixels.", "position"}});
    parser.process(application);

    CanvasWidget canvas;
    const QStringList size = parser.value("size").split('x');
    canvas.resize(size.value(0).toInt(), size.value(1).toInt());
    canvas.setWindowTitle("Linscope canvas");
    canvas.setLanes({"full", "linformer k=64"});
    canvas.setSnapshot(linscope::test::syntheticSnapshot({.slots = 0, .lane = 0}));
    canvas.setSnapshot(linscope::test::syntheticSnapshot());
    const double magnification = parser.value("magnification").toDouble();
    canvas.restoreState({{"lane", parser.value("lane").toInt()},
                         {"head", parser.value("head").toInt()},
                         {"scale", parser.value("scale")},
                         {"page", parser.value("page") == "projection" ? 1 : 0},
                         {"fitted", magnification <= 1},
                         {"row", 0.12},
                         {"column", 0.12},
                         {"slot", 0.12},
                         {"magnification", magnification}});
    canvas.show();
    if (!canvas.hasVulkan()) std::fprintf(stderr, "%s\n", canvas.problem().toUtf8().constData());
    if (parser.isSet("out")) {
        QTimer poll;
        int quiet = 0;
        QObject::connect(&poll, &QTimer::timeout, &canvas, [&] {
            if (canvas.canvasWindow() && parser.isSet("point")) {
                const QStringList at = parser.value("point").split(',');
                canvas.canvasWindow()->imgui().mouseMoved(at.value(0).toFloat(), at.value(1).toFloat());
                canvas.canvasWindow()->requestFrame(2);
            }
            quiet = canvas.busy() ? 0 : quiet + 1;
            if (quiet < 8) return;
            canvas.grabImage().save(parser.value("out"));
            application.quit();
        });
        poll.start(100);
        return application.exec();
    }
    return application.exec();
}
