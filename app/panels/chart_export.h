#pragma once

#include <QString>
#include <functional>
#include <string>

#include "app/session/session.h"

class QToolButton;
class QWidget;

namespace linscope::app {

enum class ChartFormat {
    Pdf,  ///< these two are lines and texts, on a white ground, for papers and lecture notes
    Svg,
    Png,  ///< as on the screen
    Csv,  ///< the numbers, as they were measured
};
inline constexpr ChartFormat kChartFormats[] = {ChartFormat::Pdf, ChartFormat::Svg, ChartFormat::Png, ChartFormat::Csv};

/// "PDF"; its ending is the same in small letters.
QString formatName(ChartFormat format);
/// "first_light-20261130-083512-loss.pdf": of which run and what of it.
QString chartFileName(const Run* run, const QString& what, ChartFormat format);
/// Asks a person where to, with that name to begin with; empty: nowhere.
QString askChartFile(QWidget* parent, const Run* run, const QString& what, ChartFormat format);
/// A button whose menu offers all formats.
QToolButton* exportButton(std::function<void(ChartFormat)> chosen);
/// Says in the session's messages what became of it.
void tellExported(Session& session, const QString& path, bool done);

/// Writes it aside, and in its place when it is whole.
bool writeText(const QString& path, const std::string& text);

}  // namespace linscope::app
