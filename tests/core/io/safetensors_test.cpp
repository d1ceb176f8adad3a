#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/base/error.h"
#include "core/io/checkpoint.h"
#include "core/tensor/arena.h"
#include "tests/core/io/test_folder.h"

namespace linscope {
namespace {

using testing::HasSubstr;

class Safetensors : public testing::Test {
protected:
    void putHeader(const std::string& header, const std::string& data) const {
        std::string bytes(8, '\0');
        for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
        std::ofstream(path, std::ios::binary) << bytes << header << data;
    }
    std::string refusal() const {
        try {
            const SafetensorsFile file(path);
        } catch (const Error& error) {
            return error.what();
        }
        return "opened";
    }
    TestFolder folder{"safetensors"};
    std::filesystem::path path = folder.path() / "checkpoint.safetensors";
};

TEST_F(Safetensors, GivesBackWhatWasWritten) {
    Arena arena;
    const Tensor weight = arena.tensor({3, 2}), moment = arena.tensor({2}, DType::F64),
                 tokens = arena.tensor({1, 3}, DType::I32), scalar = arena.tensor({});
    for (int i = 0; i < 6; ++i) weight.as<float>()[i] = 0.5F * static_cast<float>(i);
    moment.as<double>()[0] = 1e-300;
    moment.as<double>()[1] = -2;
    for (int i = 0; i < 3; ++i) tokens.as<std::int32_t>()[i] = -i;
    scalar.as<float>()[0] = 7;
    writeSafetensors(path, {{"w", weight}, {"m", moment}, {"t", tokens}, {"s", scalar}}, {{"step", "12"}, {"ä", "⏎"}});

    const SafetensorsFile file(path);
    EXPECT_EQ(file.names(), (std::vector<std::string>{"m", "s", "t", "w"}));
    EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"step", "12"}, {"ä", "⏎"}}));
    EXPECT_EQ(file.tensor("w").shape(), (Shape{3, 2}));
    EXPECT_EQ(file.tensor("w").as<float>()[5], 2.5F);
    EXPECT_EQ(file.tensor("m").as<double>()[0], 1e-300);
    EXPECT_EQ(file.tensor("t").as<std::int32_t>()[2], -2);
    EXPECT_EQ(file.tensor("s").elements(), 1);
    EXPECT_EQ(file.tensor("s").as<float>()[0], 7);
    EXPECT_THROW((void)file.tensor("absent"), Error);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "nothing stays aside";
}

TEST_F(Safetensors, DamageIsRefused) {
    EXPECT_THAT(refusal(), HasSubstr("there is none"));
    const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
    const std::string data(8, '\0');
    putHeader("{" + a + "}", data);
    EXPECT_EQ(refusal(), "opened");
    const std::vector<std::pair<std::string, std::string>> broken{
        {"{" + a + "}", data.substr(1)},
        {"{" + a + "}", data + "x"},
        {"not JSON", data},
        {"[]", data},
        {"{" + a, data},
        {R"({"a":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}})", data},
        {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", data},
        {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", data},
        {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8]}})", data},
        {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,2],"data_offsets":[0,8]}})", data},
        {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", data},
        {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})", data},
        {"{" + a + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", data},
        {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", data},
        {"{" + a + R"(,"__metadata__":{"step":1}})", data},
        {"{" + a + R"(,"__metadata__":[]})", data},
        {R"({"a":3})", data},
        {std::string(100000, '['), data},
    };
    for (const auto& [header, content] : broken) {
        putHeader(header, content);
        EXPECT_THAT(refusal(), HasSubstr("[checkpoint]")) << header.substr(0, 80);
    }
    std::ofstream(path, std::ios::binary) << std::string(8, '\xff') << "{}";
    EXPECT_THAT(refusal(), HasSubstr("header would have"));
}

TEST_F(Safetensors, AFailedWriteLeavesTheOldFile) {
    Arena arena;
    const Tensor one = arena.zeros({1});
    writeSafetensors(path, {{"a", one}}, {});
    EXPECT_THROW(writeSafetensors(path, {{"b", one}, {"b", one}}, {}), Error);
    EXPECT_EQ(SafetensorsFile(path).names(), std::vector<std::string>{"a"});
    EXPECT_THROW(writeSafetensors(folder.path() / "absent" / "x", {{"a", one}}, {}), Error);
}

}  // namespace
}  // namespace linscope
