#include "app/session/metrics_csv.h"

#include <gtest/gtest.h>

#include <sstream>

namespace linscope::app {
namespace {

TEST(MetricsCsv, HoldsRawValuesWithStepLaneAndRun) {
    RunRecord record;
    record.lanes.resize(2);
    record.lanes[0].name = "full";
    record.lanes[0].metrics = {
        {.name = "loss", .unit = {}, .longName = {}, .steps = {1, 2}, .values = {2.5, 0.1}},
        {.name = "validation_bits_per_byte", .unit = {}, .longName = {}, .steps = {0, 2}, .values = {8, 3}}};
    record.lanes[1].name = "k=8, \"shared\"";
    record.lanes[1].metrics = {{.name = "loss", .unit = {}, .longName = {}, .steps = {1}, .values = {2.75}}};
    std::ostringstream out;
    writeMetricsCsv(out, {{"first", "copy", &record.lanes[0]}, {"second", "mqar", &record.lanes[1]}},
                    {"loss", "validation_bits_per_byte"});
    EXPECT_EQ(out.str(),
              "step,lane,run,task,loss,validation_bits_per_byte\r\n"
              "0,full,first,copy,,8\r\n"
              "1,full,first,copy,2.5,\r\n"
              "2,full,first,copy,0.1,3\r\n"
              "1,\"k=8, \"\"shared\"\"\",second,mqar,2.75,\r\n");
}

}  // namespace
}  // namespace linscope::app
