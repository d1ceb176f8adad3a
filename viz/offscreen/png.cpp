#include "viz/offscreen/png.h"

#include <png.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "core/base/error.h"
#include "core/io/replaceable.h"

namespace linscope::viz {
namespace {

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// libpng reports errors by longjmp, which must not skip destructors; throwing from its handler unwinds
// through C frames that hold nothing, which its own documentation allows for C++.
[[noreturn]] void onError(png_structp, png_const_charp message) {
    fail("png", "{}", message);
}
void onWarning(png_structp, png_const_charp) {}

struct Writer {
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, onError, onWarning);
    png_infop info = png_create_info_struct(png);
    ~Writer() { png_destroy_write_struct(&png, &info); }
};
struct Reader {
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, onError, onWarning);
    png_infop info = png_create_info_struct(png);
    ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

bool isAscii(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

/// libpng's own says no more than "Write Error"; the file keeps in mind that it failed.
void putBytes(png_structp png, png_bytep bytes, png_size_t count) {
    std::fwrite(bytes, 1, count, static_cast<std::FILE*>(png_get_io_ptr(png)));
}

void writeTo(std::FILE* file, const RgbaImage& image, const PngText& text) {
    Writer writer;
    png_set_write_fn(writer.png, file, putBytes, nullptr);
    png_set_IHDR(writer.png, writer.info, png_uint_32(image.width), png_uint_32(image.height), 8, PNG_COLOR_TYPE_RGBA,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_sRGB(writer.png, writer.info, PNG_sRGB_INTENT_PERCEPTUAL);
    PngText owned = text;
    std::vector<png_text> items(owned.size());
    for (std::size_t i = 0; i < owned.size(); ++i) {
        items[i].compression = isAscii(owned[i].second) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
        items[i].key = owned[i].first.data();
        items[i].text = owned[i].second.data();
        items[i].text_length = owned[i].second.size();
    }
    png_set_text(writer.png, writer.info, items.data(), int(items.size()));
    png_write_info(writer.png, writer.info);
    for (int y = 0; y < image.height; ++y) png_write_row(writer.png, image.at(0, y));
    png_write_end(writer.png, writer.info);
}

}  // namespace

void writePng(const std::string& path, const RgbaImage& image, const PngText& text) {
    require(image.width > 0 && image.height > 0, "png", "a picture with pixels is required, but it has {} × {}",
            image.width, image.height);
    const std::filesystem::path target = replaceableFile(path, FileKind::Png, "png");
    const std::string aside = target.string() + ".part";
    std::error_code ignored;
    try {
        File file(std::fopen(aside.c_str(), "wb"));
        require(file != nullptr, "png", "{} must be writable, but it is not; choose another place", path);
        writeTo(file.get(), image, text);
        const bool flushed = std::fflush(file.get()) == 0 && !std::ferror(file.get());
        require(flushed, "png", "{} must be written whole, but the disk would not take it; make room", path);
    } catch (...) {
        std::filesystem::remove(aside, ignored);
        throw;
    }
    std::error_code error;
    std::filesystem::rename(aside, target, error);
    if (error) std::filesystem::remove(aside, ignored);
    require(!error, "png", "{} must be writable, but: {}", path, error.message());
}

RgbaImage readPng(const std::string& path, PngText* text) {
    File file(std::fopen(path.c_str(), "rb"));
    require(file != nullptr, "png", "{} must be readable, but it is not", path);
    png_byte head[8] = {};
    require(std::fread(head, 1, 8, file.get()) == 8 && png_sig_cmp(head, 0, 8) == 0, "png",
            "{} must be a PNG file, but it is not", path);
    Reader reader;
    png_init_io(reader.png, file.get());
    png_set_sig_bytes(reader.png, 8);
    png_read_info(reader.png, reader.info);
    png_set_expand(reader.png);
    png_set_strip_16(reader.png);
    png_set_gray_to_rgb(reader.png);
    png_set_add_alpha(reader.png, 0xff, PNG_FILLER_AFTER);
    png_read_update_info(reader.png, reader.info);
    RgbaImage image(int(png_get_image_width(reader.png, reader.info)),
                    int(png_get_image_height(reader.png, reader.info)));
    std::vector<png_bytep> rows;
    for (int y = 0; y < image.height; ++y) rows.push_back(image.at(0, y));
    png_read_image(reader.png, rows.data());
    png_read_end(reader.png, reader.info);
    if (text) {
        png_textp items = nullptr;
        int count = 0;
        png_get_text(reader.png, reader.info, &items, &count);
        text->clear();
        for (int i = 0; i < count; ++i) text->emplace_back(items[i].key, items[i].text);
    }
    return image;
}

}  // namespace linscope::viz
