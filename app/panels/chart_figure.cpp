#include "app/panels/chart_figure.h"

#include <QFileInfo>
#include <QPageSize>
#include <QPdfWriter>
#include <QSvgGenerator>
#include <memory>

#include "app/panels/chart_frame.h"
#include "app/shell/theme.h"

namespace linscope::app {

namespace {

// Pixels of 1/96 inch: as wide as a page of a paper has room for text, 6.25 inches.
constexpr int kDotsPerInch = 96, kWidth = 600, kHeight = 230;
constexpr int kMargin = 8, kGap = 2, kBetween = 10;
constexpr double kPointsPerPixel = 72.0 / kDotsPerInch;

QFont sized(double points, bool bold = false) {
    QFont font = QApplication::font();
    font.setPointSizeF(points);
    font.setBold(bold);
    return font;
}

/// Text of one font and colour, wrapped to the width of the figure.
struct Line {
    QString text;
    QFont font;
    QColor color;
};

std::vector<Legend::Entry> legendOf(const Chart& chart) {
    std::vector<Legend::Entry> entries;
    for (int i = 0; i < chart.graphCount(); ++i)
        if (const QCPGraph* graph = chart.graph(i); graph->visible()) entries.push_back({graph->pen(), graph->name()});
    return entries;
}

/// Draws downwards from the top; without a painter it only measures.
class Sheet {
public:
    explicit Sheet(QCPPainter* painter) : m_painter(painter) {}
    int height() const { return m_y + kMargin; }
    void skip(int pixels) { m_y += pixels; }

    void write(const Line& line, Qt::Alignment alignment = Qt::AlignLeft) {
        constexpr int kTall = 10'000;
        const int flags = Qt::TextWordWrap | Qt::TextWrapAnywhere | static_cast<int>(alignment);
        const QRect room(kMargin, m_y, kWidth - 2 * kMargin, kTall);
        const int tall = QFontMetrics(line.font).boundingRect(room, flags, line.text).height();
        if (m_painter) {
            m_painter->setFont(line.font);
            m_painter->setPen(line.color);
            m_painter->drawText(QRect(room.topLeft(), QSize(room.width(), tall)), flags, line.text);
        }
        m_y += tall + kGap;
    }
    void legend(const std::vector<Legend::Entry>& entries) {
        if (entries.empty()) return;
        Legend names;
        names.setRows(static_cast<int>(entries.size()));
        names.setEntries(entries);
        names.resize(kWidth, names.heightForWidth(kWidth));
        if (m_painter) names.render(m_painter, QPoint(0, m_y), {}, QWidget::DrawChildren);
        m_y += names.height();
    }
    void chart(Chart& chart) {
        if (m_painter) {
            m_painter->save();
            m_painter->translate(0, m_y);
            m_painter->setMode(QCPPainter::pmVectorized);
            chart.toPainter(m_painter, kWidth, kHeight);
            m_painter->restore();
        }
        m_y += kHeight;
    }

private:
    QCPPainter* m_painter;
    int m_y = kMargin;
};

}  // namespace

bool writeFigure(const QString& path, ChartFormat format, const ChartCaption& caption,
                 const std::vector<Legend::Entry>& legend, const QStringList& notes,
                 const std::vector<ChartFrame*>& charts) {
    const auto draw = [&](QCPPainter* painter) {
        Sheet sheet(painter);
        const QColor ink = QApplication::palette().color(QPalette::WindowText);
        sheet.write({caption.title, sized(11, true), ink});
        if (!caption.detail.isEmpty()) sheet.write({caption.detail, sized(8.5), mutedColor()});
        sheet.legend(legend);
        for (const QString& note : notes) sheet.write({note, sized(8.5), mutedColor()});
        for (ChartFrame* frame : charts) {
            sheet.skip(kBetween);
            sheet.write({frame->title(), sized(9.5, true), ink});
            if (legend.empty()) sheet.legend(legendOf(frame->chart()));
            sheet.chart(frame->chart());
            sheet.skip(-kBetween);  // below the numbers of the axis, whose margin has room for more
            sheet.write({frame->across(), sized(8), mutedColor()}, Qt::AlignRight);
        }
        return sheet.height();
    };
    const QSize size(kWidth, draw(nullptr));
    const auto paint = [&](QPaintDevice& device) {
        QCPPainter painter;
        if (!painter.begin(&device)) return false;
        painter.fillRect(QRect(QPoint(), size), Qt::white);
        draw(&painter);
        return painter.end();
    };
    if (format == ChartFormat::Svg) {
        QSvgGenerator svg;
        svg.setFileName(path);
        svg.setResolution(kDotsPerInch);
        svg.setSize(size);
        svg.setViewBox(QRect(QPoint(), size));
        svg.setTitle(caption.title);
        svg.setDescription(caption.detail);
        return paint(svg);
    }
    QPdfWriter pdf(path);
    pdf.setResolution(kDotsPerInch);
    pdf.setPageSize(QPageSize(QSizeF(size) * kPointsPerPixel, QPageSize::Point, {}, QPageSize::ExactMatch));
    pdf.setPageMargins({});
    pdf.setTitle(caption.title + (caption.detail.isEmpty() ? QString() : " · " + caption.detail));
    pdf.setCreator("Linscope");
    return paint(pdf);
}

}  // namespace linscope::app
