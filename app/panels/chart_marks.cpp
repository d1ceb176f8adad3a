#include "app/panels/chart_marks.h"

#include <QApplication>
#include <QFontMetrics>
#include <algorithm>
#include <cmath>

#include "app/shell/theme.h"

namespace linscope::app {

namespace {

constexpr int kHeightForTwoRows = 60;  // pixels of the plot
constexpr double kNear = 6;            // pixels

QFont markFont() {
    QFont font = QApplication::font();
    font.setPointSizeF(7);
    return font;
}

}  // namespace

ChartMarks::ChartMarks(QCustomPlot& plot) : QObject(&plot), m_plot(plot) {
    connect(&plot, &QCustomPlot::afterLayout, this, &ChartMarks::place);
}

void ChartMarks::set(std::vector<ChartMark> marks) {
    if (marks == m_marks) return;
    m_marks = std::move(marks);
    restyle();
}

void ChartMarks::restyle() {
    for (QCPItemStraightLine* line : m_lines) m_plot.removeItem(line);
    for (QCPItemText* text : m_texts) m_plot.removeItem(text);
    m_lines.clear();
    m_texts.clear();
    for (const ChartMark& mark : m_marks) {
        QColor color = mark.color.isValid() ? mark.color : mutedColor();
        auto* text = new QCPItemText(&m_plot);
        text->setFont(markFont());
        text->setColor(color);
        text->setText(mark.text);
        text->setPositionAlignment(Qt::AlignLeft | Qt::AlignTop);
        text->setPadding(QMargins(3, 1, 2, 1));
        QColor ground = plotColor();
        ground.setAlphaF(0.7F);  // curves behind the text do not cross it out
        text->setBrush(ground);
        text->position->setTypeX(QCPItemPosition::ptPlotCoords);
        text->position->setTypeY(QCPItemPosition::ptAxisRectRatio);
        text->position->setCoords(mark.x, 0);
        auto* line = new QCPItemStraightLine(&m_plot);
        color.setAlphaF(0.75F);
        line->setPen(QPen(color, 1, Qt::DotLine));
        for (QCPItemPosition* point : {line->point1, line->point2}) {
            point->setTypeX(QCPItemPosition::ptPlotCoords);
            point->setTypeY(QCPItemPosition::ptAxisRectRatio);
        }
        line->point1->setCoords(mark.x, 0);
        line->point2->setCoords(mark.x, 1);
        for (QCPAbstractItem* item : std::initializer_list<QCPAbstractItem*>{text, line}) item->setSelectable(false);
        m_lines.push_back(line);
        m_texts.push_back(text);
    }
}

void ChartMarks::place() {
    const QFontMetrics metrics(markFont());
    const QRect plot = m_plot.axisRect()->rect();
    const int row = metrics.height() + 2;
    std::vector<double> taken(plot.height() >= kHeightForTwoRows ? 2 : 1, -1e9);
    for (std::size_t i = 0; i < m_marks.size(); ++i) {
        const double x = m_plot.xAxis->coordToPixel(m_marks[i].x);
        const int wide = metrics.horizontalAdvance(m_marks[i].text) + 6;
        // At the right edge the text stands on the left of its line.
        const bool left = x + wide > plot.right();
        const double begin = left ? x - wide : x;
        const auto free = std::find_if(taken.begin(), taken.end(), [&](double end) { return begin >= end; });
        const bool room = free != taken.end() && x >= plot.left() && x <= plot.right();
        m_texts[i]->setVisible(room);
        if (!room) continue;
        *free = begin + wide + 4;
        m_texts[i]->setPositionAlignment((left ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignTop);
        const auto line = static_cast<double>(free - taken.begin());
        m_texts[i]->position->setCoords(m_marks[i].x, line * row / std::max(1, plot.height()));
    }
}

QString ChartMarks::textNear(double x) const {
    double least = kNear;
    QString text;
    for (const ChartMark& mark : m_marks) {
        const double away = std::abs(m_plot.xAxis->coordToPixel(mark.x) - m_plot.xAxis->coordToPixel(x));
        if (away > least) continue;
        least = away;
        text = mark.text;
    }
    return text;
}

QStringList ChartMarks::shownTexts() const {
    QStringList texts;
    for (const QCPItemText* text : m_texts)
        if (text->visible()) texts << text->text();
    return texts;
}

}  // namespace linscope::app
