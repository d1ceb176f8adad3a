#pragma once

// QCustomPlot's header is written with Qt's keywords, which this library is built without: `slots` and `emit`
// are names of members in core.
#define foreach Q_FOREACH
#define signals Q_SIGNALS
#include <qcustomplot.h>
#undef foreach
#undef signals
