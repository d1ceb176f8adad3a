#include "app/session/projection_csv.h"

#include <gtest/gtest.h>

#include <sstream>

namespace linscope::app {
namespace {

TEST(ProjectionCsv, HoldsOneNumberARow) {
    ProjectionSeries series;
    series.label = "E.layer0";
    series.steps = {0, 25};
    series.spectrum = {{2, 1}, {3, 1.5F}};
    series.angles = {{}, {0.5F}};
    series.measures = {{"condition_number", {2, 2}}, {"subspace_overlap", {1, 0.75}}};
    std::ostringstream out;
    writeProjectionCsv(out, {.run = "a", .lane = "k=2, shared", .spectrum = false}, series);
    EXPECT_EQ(out.str(),
              "run,lane,matrix,step,measure,index,value\r\n"
              "a,\"k=2, shared\",E.layer0,0,condition_number,,2\r\n"
              "a,\"k=2, shared\",E.layer0,0,subspace_overlap,,1\r\n"
              "a,\"k=2, shared\",E.layer0,25,condition_number,,2\r\n"
              "a,\"k=2, shared\",E.layer0,25,subspace_overlap,,0.75\r\n"
              "a,\"k=2, shared\",E.layer0,25,principal_angle_radians,1,0.5\r\n");
    out.str({});
    writeProjectionCsv(out, {.run = "a", .lane = "b", .conditioning = false, .drift = false}, series);
    EXPECT_NE(out.str().find("a,b,E.layer0,25,singular_value,2,1.5\r\n"), std::string::npos);
    EXPECT_EQ(out.str().find("condition_number"), std::string::npos);
}

}  // namespace
}  // namespace linscope::app
