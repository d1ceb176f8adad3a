#include "viz/imgui/imgui_host.h"

#include <gtest/gtest.h>
#include <imgui.h>
#include <imgui_internal.h>

#include <string_view>

namespace linscope::viz {
namespace {

class ImGuiHostTest : public testing::Test {
protected:
    void SetUp() override { host.setScale(1); }
    template <typename Draw>
    void frame(Draw draw) {
        host.beginFrame(400, 300, 0.016);
        ImGui::SetNextWindowPos({0, 0});
        ImGui::SetNextWindowSize({400, 300});
        ImGui::Begin("test", nullptr, ImGuiWindowFlags_NoDecoration);
        draw();
        ImGui::End();
        host.endFrame();
    }
    ImGuiHost host;
};

TEST_F(ImGuiHostTest, APressAndReleaseBetweenTwoFramesIsAClick) {
    int clicks = 0;
    const auto draw = [&] {
        ImGui::SetCursorScreenPos({10, 10});
        clicks += ImGui::Button("here", {100, 40}) ? 1 : 0;
    };
    host.mouseMoved(40, 30);
    frame(draw);
    host.mouseButton(0, true);
    host.mouseButton(0, false);
    frame(draw);
    EXPECT_TRUE(host.pending()) << "the release must be told in a further frame";
    frame(draw);
    frame(draw);
    EXPECT_EQ(clicks, 1);
}

TEST_F(ImGuiHostTest, LosingFocusReleasesKeysButtonsAndModifiers) {
    const auto nothing = [] {};
    host.key(UiKey::Left, true);
    host.mouseButton(0, true);
    host.modifiers({.control = true, .shift = true});
    frame(nothing);
    EXPECT_TRUE(ImGui::GetIO().KeyCtrl);
    EXPECT_TRUE(ImGui::IsMouseDown(0));
    EXPECT_TRUE(ImGui::IsKeyDown(ImGui::GetKeyIndex(ImGuiKey_LeftArrow)));
    host.focus(false);
    for (int settle = 0; settle < 3; ++settle) frame(nothing);
    EXPECT_FALSE(ImGui::GetIO().KeyCtrl);
    EXPECT_FALSE(ImGui::GetIO().KeyShift);
    EXPECT_FALSE(ImGui::IsMouseDown(0));
    EXPECT_FALSE(ImGui::IsKeyDown(ImGui::GetKeyIndex(ImGuiKey_LeftArrow)));
}

TEST_F(ImGuiHostTest, FontsAreBuiltAnewForAnotherScreenAndKeepTheirLogicalSize) {
    const float before = host.fonts().text->FontSize * ImGui::GetIO().FontGlobalScale;
    EXPECT_FALSE(host.setScale(1));
    EXPECT_TRUE(host.setScale(1.5F));
    EXPECT_NEAR(host.fonts().text->FontSize, before * 1.5F, 0.01F);
    EXPECT_NEAR(host.fonts().text->FontSize * ImGui::GetIO().FontGlobalScale, before, 0.01F);
}

TEST_F(ImGuiHostTest, EveryGlyphThatTheCanvasWritesIsInItsFonts) {
    if (!host.fonts().found) GTEST_SKIP() << "no fonts are installed here";
    const std::u32string_view used = U"−×·≤‖εΣ␣⏎→↑▸◂…–σκ²ÅĀ";
    for (const ImFont* font : {host.fonts().text, host.fonts().small, host.fonts().number, host.fonts().tiny})
        for (const char32_t letter : used)
            EXPECT_NE(font->FindGlyphNoFallback(static_cast<ImWchar>(letter)), nullptr)
                << "U+" << std::hex << static_cast<unsigned>(letter) << " in " << font->GetDebugName();
}

TEST(Fonts, AFamilyThatIsNotThereIsNotReplacedInSilence) {
    EXPECT_FALSE(findFont("No Such Family At All", true).has_value());
}

TEST(ImGuiHosts, TwoLiveSideBySide) {
    ImGuiHost first, second;
    first.setScale(1);
    second.setScale(2);
    first.mouseMoved(10, 20);
    second.mouseMoved(30, 40);
    first.beginFrame(100, 100, 0.016);
    EXPECT_EQ(ImGui::GetIO().MousePos.x, 10);
    first.endFrame();
    second.beginFrame(100, 100, 0.016);
    EXPECT_EQ(ImGui::GetIO().MousePos.x, 30);
    second.endFrame();
}

}  // namespace
}  // namespace linscope::viz
