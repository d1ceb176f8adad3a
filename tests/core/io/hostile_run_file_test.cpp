#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "core/io/run_file.h"
#include "tests/core/io/synthetic_run.h"
#include "tests/core/io/test_folder.h"

namespace linscope {
namespace {

using testing::HasSubstr;

class HostileRunFile : public testing::Test {
protected:
    HostileRunFile() {
        const synthetic::Sizes sizes;
        RunFileWriter writer(path, synthetic::experiment(sizes), synthetic::SyntheticTask(sizes.length),
                             synthetic::layouts(sizes));
        for (std::int64_t step = 1; step <= 20; ++step) synthetic::feed(writer, sizes, step);
    }
    std::string bytes() const {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void put(const std::string& content) const { std::ofstream(path, std::ios::binary) << content; }
    std::string refusal() const {
        try {
            const RunFileReader reader(path);
        } catch (const Error& error) {
            return error.what();
        }
        return "opened";
    }
    /// Changes the file with plain HDF5.
    void change(const std::function<void(hid_t)>& edit) const {
        const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
        ASSERT_GE(file, 0);
        edit(file);
        H5Fclose(file);
    }
    static void replace(hid_t file, const char* name, hid_t type, std::vector<hsize_t> shape) {
        H5Ldelete(file, name, H5P_DEFAULT);
        std::vector<hsize_t> chunk(shape.size(), 1);
        const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data());
        const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
        H5Dclose(H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT));
        H5Sclose(space);
        H5Pclose(creation);
    }
    TestFolder folder{"hostile_run_file"};
    std::filesystem::path path = folder.path() / "run.h5";
};

TEST_F(HostileRunFile, EachKindHasASentenceOfItsOwn) {
    EXPECT_EQ(refusal(), "opened");
    put("");
    EXPECT_THAT(refusal(), HasSubstr("empty"));
    put("Sing, goddess, the anger of Peleus' son Achilleus and its devastation");
    EXPECT_THAT(refusal(), HasSubstr("not an HDF5 file"));
    std::filesystem::remove(path);
    EXPECT_THAT(refusal(), HasSubstr("no such file"));
    std::filesystem::create_directory(path);
    EXPECT_THAT(refusal(), HasSubstr("a folder"));
}

TEST_F(HostileRunFile, AnotherProgramsHdf5IsNamedSo) {
    H5Fclose(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    EXPECT_THAT(refusal(), HasSubstr("Linscope did not write"));
}

TEST_F(HostileRunFile, ANewerSchemaIsRefused) {
    change([](hid_t file) {
        const hid_t attribute = H5Aopen(file, "linscope_schema", H5P_DEFAULT);
        const std::int64_t schema = kRunFileSchema + 1;
        H5Awrite(attribute, H5T_NATIVE_INT64, &schema);
        H5Aclose(attribute);
    });
    EXPECT_THAT(refusal(), HasSubstr("written by schema 2; this program reads up to 1: update Linscope"));
    EXPECT_THROW((void)RunFileWriter::resume(path, 5), Error);
}

TEST_F(HostileRunFile, ATruncatedFileIsSaidToBe) {
    const std::string whole = bytes();
    for (std::size_t length = 1; length < whole.size(); length += 1 + whole.size() / 97) {
        put(whole.substr(0, length));
        EXPECT_THAT(refusal(), HasSubstr("truncated")) << length;
    }
}

TEST_F(HostileRunFile, FlippedBytesNeverCrash) {
    const std::string whole = bytes();
    int refused = 0;
    for (std::size_t place = 0; place < whole.size(); place += 1 + whole.size() / 149) {
        std::string damaged = whole;
        damaged[place] = static_cast<char>(~damaged[place]);
        put(damaged);
        try {
            const RunFileReader reader(path);
            (void)reader.snapshot(1, 20);
        } catch (const Error&) {
            ++refused;
        }
    }
    EXPECT_GT(refused, 0);
}

// HDF5 waits for a writer to end what it has begun, twice as long each time: for ever, by default.
TEST_F(HostileRunFile, AFlippedByteOfTheSuperblockIsSaidAtOnce) {
    const std::string whole = bytes();
    for (std::size_t place = 8; place < 48; ++place) {
        std::string damaged = whole;
        damaged[place] = static_cast<char>(~damaged[place]);
        put(damaged);
        const auto start = std::chrono::steady_clock::now();
        EXPECT_THAT(refusal(), HasSubstr("[")) << place;
        EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1)) << place;
    }
}

TEST_F(HostileRunFile, MissingAndWrongPartsAreErrors) {
    const std::string whole = bytes();
    for (const char* name : {"lanes", "lanes/0", "lanes/1/metrics", "lanes/1/metrics/loss", "lanes/0/snapshots",
                             "lanes/1/projections/E/step", "lanes/1/snapshots/projections/F", "events", "events/new",
                             "state", "state/run", "baselines/value", "vocabulary"}) {
        put(whole);
        change([name](hid_t file) { ASSERT_GE(H5Ldelete(file, name, H5P_DEFAULT), 0); });
        EXPECT_NE(refusal(), "opened") << name;
    }
    const char* loss = "lanes/0/metrics/loss";
    const hid_t varying = H5Tcopy(H5T_C_S1);
    H5Tset_size(varying, H5T_VARIABLE);
    for (const hid_t type : {H5T_NATIVE_INT32, H5T_C_S1, varying}) {
        put(whole);
        change([&](hid_t file) { replace(file, loss, type, {20}); });
        EXPECT_THAT(refusal(), HasSubstr("must hold reals"));
    }
    put(whole);
    change([&](hid_t file) { replace(file, "state/run", varying, {1}); });
    EXPECT_THAT(refusal(), HasSubstr("fixed length"));
    H5Tclose(varying);
    put(whole);
    change([&](hid_t file) { replace(file, loss, H5T_NATIVE_DOUBLE, {20, 1}); });
    EXPECT_THAT(refusal(), HasSubstr("1 dimensions"));
}

TEST_F(HostileRunFile, ParametersOfForgedShapesAreErrors) {
    const std::string whole = bytes();
    const std::string name = "lanes/1/snapshots/parameters/attention.layer0.kernel";
    const auto reshaped = [&](hid_t type, const std::vector<std::int64_t>& shape) {
        put(whole);
        change([&](hid_t file) {
            H5Adelete_by_name(file, name.c_str(), "shape", H5P_DEFAULT);
            const auto count = static_cast<hsize_t>(shape.size());
            const hid_t space = H5Screate_simple(1, &count, nullptr);
            const hid_t attribute =
                H5Acreate_by_name(file, name.c_str(), "shape", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
            if (type == H5T_NATIVE_INT64) H5Awrite(attribute, type, shape.data());
            H5Aclose(attribute);
            H5Sclose(space);
        });
        return refusal();
    };
    EXPECT_EQ(reshaped(H5T_NATIVE_INT64, {1, 6}), "opened");
    for (const std::vector<std::int64_t>& shape : std::vector<std::vector<std::int64_t>>{
             {7}, {2, 2}, {0}, {-2, -3}, {12, 0}, {std::int64_t{1} << 62, 4}, {2, 3, 2}})
        EXPECT_THAT(reshaped(H5T_NATIVE_INT64, shape), HasSubstr("as many numbers")) << shape.front();
    EXPECT_THAT(reshaped(H5T_NATIVE_INT64, std::vector<std::int64_t>(40, 1)), HasSubstr("integers"));
    EXPECT_THAT(reshaped(H5T_NATIVE_DOUBLE, {6, 1}), HasSubstr("integers"));
    put(whole);
    change([&](hid_t file) { H5Adelete_by_name(file, name.c_str(), "shape", H5P_DEFAULT); });
    EXPECT_THAT(refusal(), HasSubstr("shape"));
    put(whole);
    change([&](hid_t file) { replace(file, name.c_str(), H5T_NATIVE_FLOAT, {1, 2, 3}); });
    EXPECT_THAT(refusal(), HasSubstr("2 dimensions"));
}

// What versions have written that did not keep a mechanism's own parameters.
TEST_F(HostileRunFile, AFileWithoutParametersIsReadAndGoneOnWith) {
    change([](hid_t file) {
        for (const char* name : {"lanes/0/snapshots/parameters", "lanes/1/snapshots/parameters"})
            ASSERT_GE(H5Ldelete(file, name, H5P_DEFAULT), 0);
    });
    ASSERT_EQ(refusal(), "opened");
    EXPECT_TRUE(RunFileReader(path).snapshot(1, 20).parameters.empty());
    const synthetic::Sizes sizes;
    const auto writer = RunFileWriter::resume(path, 20);
    for (std::int64_t step = 21; step <= 40; ++step) synthetic::feed(*writer, sizes, step);
    writer->flush();
    const RunFileReader reader(path);
    EXPECT_EQ(reader.lanes()[1].snapshotSteps, (std::vector<std::int64_t>{20, 40}));
    EXPECT_TRUE(reader.snapshot(1, 40).parameters.empty());
    EXPECT_EQ(reader.snapshot(1, 40).projections.size(), 2U);
}

TEST_F(HostileRunFile, ClaimsBeyondTheFileTakeNoMemory) {
    change([](hid_t file) { replace(file, "lanes/1/projections/E/spectrum", H5T_NATIVE_FLOAT, {4, 1ULL << 40}); });
    EXPECT_THAT(refusal(), HasSubstr("damaged"));
}

}  // namespace
}  // namespace linscope
