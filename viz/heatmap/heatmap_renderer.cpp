#include "viz/heatmap/heatmap_renderer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/base/error.h"
#include "viz/gpu/check.h"
#include "viz/gpu/device.h"
#include "viz/heatmap/oklab.h"

namespace linscope::viz {
namespace {

constexpr std::uint32_t kVertexShader[] =
#include "shaders/heatmap.vert.inc"
    ;
constexpr std::uint32_t kFragmentShader[] =
#include "shaders/heatmap.frag.inc"
    ;

constexpr int kLoudColours = 3;
constexpr std::uint32_t kUnpooled = 3;  // of the shader's constant kPooling
constexpr double kPixelSlack = 1e-5;    // cells are not smaller than a pixel by rounding alone
constexpr float kGridPixels = 8, kGridStrength = 0.35f;
// A level of at most this many cells is brought to the device whole, so that panning copies nothing.
constexpr std::int64_t kWholeLevelCells = std::int64_t(1) << 21;

/// The push constants of shaders/heatmap.frag.
struct PaneConstants {
    float viewportOrigin[2];
    float cellsPerPixel[2];
    float origin[2];
    std::int32_t windowSize[2];
    float gridColour[3];
    float gridStrength;
    float cursor[4];
    float range[4];
    std::int32_t colourRange[2];
};
static_assert(sizeof(PaneConstants) <= 128, "more than every device allows");

// The level whose cells are from one up to two on a pixel; 0 while cells of the matrix are a pixel or more.
int levelOf(double pixelsPerCell, std::int64_t cells) {
    const double cellsPerPixel = 1 / pixelsPerCell;
    int level = cellsPerPixel > 1 ? int(std::floor(std::log2(cellsPerPixel) + 1e-6)) : 0;
    while (level > 0 && (std::int64_t(1) << (level - 1)) >= cells) --level;
    return level;
}

struct Span {
    std::int64_t begin = 0, end = 0;
    bool covers(const Span& other) const { return begin <= other.begin && other.end <= end; }
    std::int64_t size() const { return end - begin; }
};

// Cells of a level that an axis of the camera sees.
Span visibleSpan(const CameraAxis& axis, double viewportSize, int level, std::int64_t levelCells) {
    const double size = double(std::int64_t(1) << level);
    const auto first = std::int64_t(std::floor(axis.toCell(0, viewportSize) / size)) - 1;
    const auto last = std::int64_t(std::ceil(axis.toCell(viewportSize, viewportSize) / size)) + 1;
    const std::int64_t begin = std::clamp<std::int64_t>(first, 0, levelCells - 1);
    return {begin, std::clamp<std::int64_t>(last, begin + 1, levelCells)};
}

Span widened(const Span& span, std::int64_t levelCells) {
    const std::int64_t margin = span.size() / 2;
    return {std::max<std::int64_t>(0, span.begin - margin), std::min(levelCells, span.end + margin)};
}

/// What a slot holds: which matrix, which level, which part of it.
struct Window {
    std::uint64_t version = 0;
    int rowLevel = 0, colLevel = 0;
    Span rows, cols;
    bool serves(const Window& wanted) const {
        return version == wanted.version && rowLevel == wanted.rowLevel && colLevel == wanted.colLevel &&
               rows.covers(wanted.rows) && cols.covers(wanted.cols);
    }
};

/// A buffer that frames in flight may be reading.
struct Slot {
    Buffer cells;
    std::shared_ptr<const Buffer> given;  ///< read in place of `cells`
    BufferViewHandle view;
    DescriptorPoolHandle pool;
    VkDescriptorSet set = VK_NULL_HANDLE;
    Window window;
    std::optional<std::uint64_t> lastFrame;
};

BufferViewHandle makeView(const Device& device, const Buffer& buffer, VkFormat format) {
    VkBufferViewCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO};
    info.buffer = buffer.get();
    info.format = format;
    info.range = VK_WHOLE_SIZE;
    VkBufferView view = VK_NULL_HANDLE;
    check(vkCreateBufferView(device.handle(), &info, nullptr, &view), "vulkan", "create a buffer view");
    return {device.handle(), view};
}

/// Pixels with their ends excluded.
struct PixelBox {
    std::int32_t left, top, right, bottom;
    bool empty() const { return right <= left || bottom <= top; }
    VkRect2D rect() const { return {{left, top}, {std::uint32_t(right - left), std::uint32_t(bottom - top)}}; }
};

// The pixels whose centres lie in the rectangle.
PixelBox pixelsIn(double left, double top, double right, double bottom) {
    const auto edge = [](double at) { return std::int32_t(std::ceil(std::clamp(at, 0.0, 65536.0) - 0.5)); };
    return {edge(left), edge(top), edge(right), edge(bottom)};
}

PixelBox pixelsOf(std::int64_t rows, std::int64_t cols, const HeatmapCamera& camera, const PixelRect& viewport,
                  const PixelBox& pane) {
    const PixelBox whole = pixelsIn(viewport.x + camera.cols.toPixel(0, viewport.width),
                                    viewport.y + camera.rows.toPixel(0, viewport.height),
                                    viewport.x + camera.cols.toPixel(double(cols), viewport.width),
                                    viewport.y + camera.rows.toPixel(double(rows), viewport.height));
    return {std::max(whole.left, pane.left), std::max(whole.top, pane.top), std::min(whole.right, pane.right),
            std::min(whole.bottom, pane.bottom)};
}

void clear(VkCommandBuffer commands, const PixelBox& box, const Colour& colour, bool targetIsSrgb) {
    if (box.empty()) return;
    VkClearAttachment attachment{VK_IMAGE_ASPECT_COLOR_BIT, 0, {}};
    attachment.clearValue.color = {{colour.red, colour.green, colour.blue, 1.0f}};
    if (targetIsSrgb) {
        const LinearRgb linear = toLinear(colour);
        attachment.clearValue.color = {{float(linear.red), float(linear.green), float(linear.blue), 1.0f}};
    }
    const VkClearRect rect{box.rect(), 0, 1};
    vkCmdClearAttachments(commands, 1, &attachment, 1, &rect);
}

void setRange(PaneConstants& constants, const ValueScale& asked) {
    const ValueScale scale = asked.usable();
    const float p0 = scale.kind == ScaleKind::Diverging ? 0.5f : 0.0f;
    float factor = 0, offset = p0, inner = 0;
    switch (scale.kind) {
        case ScaleKind::Linear:
            factor = float(1 / (double(scale.hi) - scale.lo));
            inner = scale.lo;
            break;
        case ScaleKind::Diverging:
            factor = 0.5f / scale.hi;
            break;
        case ScaleKind::Log:
            factor = float(1 / std::log(double(scale.hi) / scale.lo));
            inner = 1 / scale.lo;
            break;
        case ScaleKind::Arcsinh: {
            const double width =
                scale.linearWidth > 0 ? scale.linearWidth : std::max(std::abs(scale.lo), std::abs(scale.hi)) / 100.0;
            const double low = std::asinh(scale.lo / width), high = std::asinh(scale.hi / width);
            factor = float(1 / (high - low));
            offset = float(-low / (high - low));
            inner = float(1 / width);
            break;
        }
    }
    constants.range[0] = factor;
    constants.range[1] = offset;
    constants.range[2] = inner;
}

// The head of the table is −∞, +∞, NaN as the shader numbers them; the maps follow in their order.
std::vector<std::array<std::uint8_t, 4>> colourTable() {
    std::vector<std::array<std::uint8_t, 4>> table;
    const auto byte = [](float channel) { return std::uint8_t(std::lround(channel * 255)); };
    const auto add = [&](const Colour& c) { table.push_back({byte(c.red), byte(c.green), byte(c.blue), 255}); };
    for (const Colour& loud : {kMinusInfColour, kPlusInfColour, kNanColour}) add(loud);
    for (const ColourMap& map : colourMaps())
        for (const Colour& entry : map.entries()) add(entry);
    return table;
}

int firstEntry(const ColourMap& map) {
    const auto& maps = colourMaps();
    const auto found =
        std::find_if(maps.begin(), maps.end(), [&](const ColourMap& other) { return other.name() == map.name(); });
    require(found != maps.end(), "heatmap", "a map of colourMaps() is required, but '{}' is none", map.name());
    return kLoudColours + int(found - maps.begin()) * ColourMap::kEntries;
}

}  // namespace

struct HeatmapPane::State {
    HeatmapRenderer* renderer;
    std::optional<PoolPyramid> pyramid;
    std::shared_ptr<const Buffer> given;  ///< with it there is no pyramid, and the one level is its cells
    std::int64_t rows = 0, cols = 0;
    Pooling pooling = Pooling::Max;
    std::uint64_t version = 0;
    std::vector<Slot> slots;

    int level(const CameraAxis& axis, std::int64_t cells) const {
        return given ? 0 : levelOf(axis.pixelsPerCell, cells);
    }
    /// Rows and columns of a level.
    std::array<std::int64_t, 2> extent(int rowLevel, int colLevel);
    Slot& freeSlot();
    Slot& slotFor(const Window& wanted);
    void fill(Slot& slot, const Window& window);
    void bind(Slot& slot, const Buffer& cells);
};

HeatmapPane::HeatmapPane(HeatmapRenderer& renderer) : m_state(std::make_unique<State>()) {
    m_state->renderer = &renderer;
}
HeatmapPane::~HeatmapPane() = default;
HeatmapPane::HeatmapPane(HeatmapPane&&) noexcept = default;
HeatmapPane& HeatmapPane::operator=(HeatmapPane&&) noexcept = default;

void HeatmapPane::setMatrix(std::shared_ptr<const Matrix> matrix, Pooling pooling) {
    require(matrix && matrix->rows > 0 && matrix->cols > 0, "heatmap",
            "a matrix with cells is required, but it is empty");
    require(std::int64_t(matrix->values.size()) == matrix->rows * matrix->cols, "heatmap",
            "{} × {} values are required, but there are {}", matrix->rows, matrix->cols, matrix->values.size());
    m_state->rows = matrix->rows;
    m_state->cols = matrix->cols;
    m_state->pooling = pooling;
    m_state->given.reset();
    m_state->pyramid.emplace(std::move(matrix), pooling);
    ++m_state->version;
}

void HeatmapPane::setCells(std::shared_ptr<const Buffer> cells, std::int64_t rows, std::int64_t cols, Pooling pooling) {
    require(cells && rows > 0 && cols > 0, "heatmap", "a matrix with cells is required, but it is empty");
    require(std::int64_t(cells->bytes() / sizeof(float)) >= rows * cols, "heatmap",
            "a buffer of {} × {} values is required, but it has {} bytes", rows, cols, cells->bytes());
    m_state->rows = rows;
    m_state->cols = cols;
    m_state->pooling = pooling;
    m_state->pyramid.reset();
    m_state->given = std::move(cells);
    ++m_state->version;
}

bool HeatmapPane::empty() const {
    return m_state->rows == 0;
}

const Matrix& HeatmapPane::matrix() const {
    require(m_state->pyramid.has_value(), "heatmap", "a matrix is required, but the pane has none");
    return m_state->pyramid->base();
}

Pooling HeatmapPane::pooling() const {
    return m_state->pooling;
}

std::array<std::int64_t, 2> HeatmapPane::State::extent(int rowLevel, int colLevel) {
    if (given) return {rows, cols};
    const Matrix& matrix = pyramid->level(rowLevel, colLevel);
    return {matrix.rows, matrix.cols};
}

Slot& HeatmapPane::State::freeSlot() {
    for (Slot& slot : slots)
        if (!slot.lastFrame || *slot.lastFrame + renderer->m_framesInFlight <= renderer->m_frame) return slot;
    const VkDevice device = renderer->m_device.handle();
    Slot slot;
    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, 2};
    VkDescriptorPoolCreateInfo poolInfo{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
    poolInfo.maxSets = 1;
    poolInfo.poolSizeCount = 1;
    poolInfo.pPoolSizes = &size;
    VkDescriptorPool pool = VK_NULL_HANDLE;
    check(vkCreateDescriptorPool(device, &poolInfo, nullptr, &pool), "vulkan", "create a descriptor pool");
    slot.pool = DescriptorPoolHandle(device, pool);
    VkDescriptorSetAllocateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
    info.descriptorPool = pool;
    info.descriptorSetCount = 1;
    info.pSetLayouts = renderer->m_setLayout.address();
    check(vkAllocateDescriptorSets(device, &info, &slot.set), "vulkan", "allocate a descriptor set");
    return slots.emplace_back(std::move(slot));
}

void HeatmapPane::State::bind(Slot& slot, const Buffer& cells) {
    Device& device = renderer->m_device;
    slot.view = makeView(device, cells, VK_FORMAT_R32_UINT);
    const VkBufferView views[] = {slot.view.get(), renderer->m_colourView.get()};
    VkWriteDescriptorSet write{VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
    write.dstSet = slot.set;
    write.descriptorCount = 2;
    write.descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
    write.pTexelBufferView = views;
    vkUpdateDescriptorSets(device.handle(), 1, &write, 0, nullptr);
}

void HeatmapPane::State::fill(Slot& slot, const Window& window) {
    Device& device = renderer->m_device;
    const std::int64_t count = window.rows.size() * window.cols.size();
    const std::int64_t limit = device.properties().limits.maxTexelBufferElements;
    require(count <= limit, "heatmap",
            "a view of at most {} cells is required on {}, but this one has {}; make it smaller", limit, device.name(),
            count);
    if (given) {
        bind(slot, *given);
        slot.given = given;
        slot.window = window;
        return;
    }
    const VkDeviceSize bytes = VkDeviceSize(count) * sizeof(float);
    if (slot.cells.bytes() < bytes || slot.given) {
        slot.view.reset();
        if (slot.cells.bytes() < bytes)
            slot.cells = Buffer(device, bytes, VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT, MemoryKind::Upload);
        bind(slot, slot.cells);
        slot.given.reset();
    }
    const Matrix& level = pyramid->level(window.rowLevel, window.colLevel);
    auto* out = static_cast<float*>(slot.cells.mapped());
    for (std::int64_t r = window.rows.begin; r < window.rows.end; ++r, out += window.cols.size())
        std::memcpy(out, &level.values[std::size_t(r * level.cols + window.cols.begin)],
                    std::size_t(window.cols.size()) * sizeof(float));
    slot.window = window;
}

Slot& HeatmapPane::State::slotFor(const Window& wanted) {
    for (Slot& slot : slots)
        if (slot.lastFrame && slot.window.serves(wanted)) return slot;
    const auto [levelRows, levelCols] = extent(wanted.rowLevel, wanted.colLevel);
    Window window = wanted;
    if (given || levelRows * levelCols <= kWholeLevelCells) {
        window.rows = {0, levelRows};
        window.cols = {0, levelCols};
    } else {
        window.rows = widened(wanted.rows, levelRows);
        window.cols = widened(wanted.cols, levelCols);
    }
    Slot& slot = freeSlot();
    slot.lastFrame.reset();  // until it is filled, should filling throw
    fill(slot, window);
    return slot;
}

void HeatmapPane::draw(VkCommandBuffer commands, const HeatmapCamera& camera, const PixelRect& viewport,
                       const HeatmapStyle& style) {
    if (viewport.width < 1 || viewport.height < 1) return;
    HeatmapRenderer& renderer = *m_state->renderer;
    const PixelBox pane =
        pixelsIn(viewport.x, viewport.y, double(viewport.x) + viewport.width, double(viewport.y) + viewport.height);
    if (empty()) return clear(commands, pane, style.background, renderer.m_targetIsSrgb);
    const PixelBox box = pixelsOf(m_state->rows, m_state->cols, camera, viewport, pane);
    if (box.left > pane.left || box.top > pane.top || box.right < pane.right || box.bottom < pane.bottom)
        clear(commands, pane, style.background, renderer.m_targetIsSrgb);
    if (box.empty()) return;

    Window wanted{m_state->version,
                  m_state->level(camera.rows, m_state->rows),
                  m_state->level(camera.cols, m_state->cols),
                  {},
                  {}};
    const double rowSize = double(std::int64_t(1) << wanted.rowLevel),
                 colSize = double(std::int64_t(1) << wanted.colLevel);
    const auto [levelRows, levelCols] = m_state->extent(wanted.rowLevel, wanted.colLevel);
    wanted.rows = visibleSpan(camera.rows, viewport.height, wanted.rowLevel, levelRows);
    wanted.cols = visibleSpan(camera.cols, viewport.width, wanted.colLevel, levelCols);
    Slot& slot = m_state->slotFor(wanted);
    slot.lastFrame = renderer.m_frame;
    const Window& window = slot.window;

    const auto x = [&](double col) { return float(col / colSize - double(window.cols.begin)); };
    const auto y = [&](double row) { return float(row / rowSize - double(window.rows.begin)); };
    const bool gridded = style.grid && std::min(camera.rows.pixelsPerCell, camera.cols.pixelsPerCell) >= kGridPixels;
    PaneConstants constants{
        {viewport.x, viewport.y},
        {float(1 / (camera.cols.pixelsPerCell * colSize)), float(1 / (camera.rows.pixelsPerCell * rowSize))},
        {x(camera.cols.toCell(0, viewport.width)), y(camera.rows.toCell(0, viewport.height))},
        {std::int32_t(window.cols.size()), std::int32_t(window.rows.size())},
        {style.background.red, style.background.green, style.background.blue},
        gridded ? kGridStrength : 0.0f,
        {0, 0, 0, 0},
        {0, 0, 0, 0},
        {0, 0}};
    if (style.cursor.valid()) {
        constants.cursor[0] = x(double(style.cursor.col));
        constants.cursor[1] = y(double(style.cursor.row));
        constants.cursor[2] = x(double(style.cursor.col) + 1);
        constants.cursor[3] = y(double(style.cursor.row) + 1);
    }
    setRange(constants, style.scale);
    const ColourMap& colours =
        style.colours ? *style.colours : defaultColourMap(style.scale.kind == ScaleKind::Diverging);
    constants.colourRange[0] = firstEntry(colours);
    constants.colourRange[1] = constants.colourRange[0] + ColourMap::kEntries - 1;

    const bool pooled = std::max(constants.cellsPerPixel[0], constants.cellsPerPixel[1]) > 1 + kPixelSlack;
    const Pipeline& pipeline = renderer.pipeline(style.scale.kind, pooled ? std::uint32_t(m_state->pooling) : kUnpooled,
                                                 gridded || style.cursor.valid());
    const VkViewport area{viewport.x, viewport.y, viewport.width, viewport.height, 0, 1};
    vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline.pipeline.get());
    vkCmdSetViewport(commands, 0, 1, &area);
    const VkRect2D scissor = box.rect();
    vkCmdSetScissor(commands, 0, 1, &scissor);
    vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline.layout.get(), 0, 1, &slot.set, 0,
                            nullptr);
    vkCmdPushConstants(commands, pipeline.layout.get(), VK_SHADER_STAGE_VERTEX_BIT | VK_SHADER_STAGE_FRAGMENT_BIT, 0,
                       sizeof(constants), &constants);
    vkCmdDraw(commands, 3, 1, 0, 0);
}

CellRange HeatmapPane::cellsUnder(const HeatmapCamera& camera, const PixelRect& viewport, float px, float py) const {
    if (empty()) return {};
    // The same pixel centre, level and footprint as in the shader.
    const double column = std::floor(px - viewport.x) + 0.5, line = std::floor(py - viewport.y) + 0.5;
    if (!camera.cellAt(float(viewport.x + column), float(viewport.y + line), m_state->rows, m_state->cols, viewport)
             .valid())
        return {};
    const auto along = [this](const CameraAxis& axis, double pixel, double size, std::int64_t cells) -> Span {
        const std::int64_t block = std::int64_t(1) << m_state->level(axis, cells);
        const double perPixel = 1 / (axis.pixelsPerCell * double(block));
        const double centre = axis.toCell(pixel, size) / double(block);
        const bool wide = perPixel <= 1 + kPixelSlack;
        const double from = wide ? std::floor(centre) : std::max(0.0, std::floor(centre - perPixel / 2 + 1e-3));
        const double to = wide ? from + 1 : std::max(from + 1, std::ceil(centre + perPixel / 2 - 1e-3));
        return {std::int64_t(from) * block, std::min(cells, std::int64_t(to) * block)};
    };
    const Span rows = along(camera.rows, line, viewport.height, m_state->rows);
    const Span cols = along(camera.cols, column, viewport.width, m_state->cols);
    return {rows.begin, rows.end, cols.begin, cols.end};
}

HeatmapRenderer::HeatmapRenderer(Device& device, VkRenderPass renderPass, VkFormat format, std::uint32_t framesInFlight)
    : m_device(device),
      m_framesInFlight(framesInFlight),
      m_renderPass(renderPass),
      m_targetIsSrgb(format == VK_FORMAT_B8G8R8A8_SRGB || format == VK_FORMAT_R8G8B8A8_SRGB) {
    require(framesInFlight >= 1, "heatmap", "at least one frame in flight is required, but {} were given",
            framesInFlight);
    VkDescriptorSetLayoutBinding bindings[2]{};
    for (std::uint32_t i = 0; i < 2; ++i) {
        bindings[i].binding = i;
        bindings[i].descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
        bindings[i].descriptorCount = 1;
        bindings[i].stageFlags = VK_SHADER_STAGE_FRAGMENT_BIT;
    }
    VkDescriptorSetLayoutCreateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
    info.bindingCount = 2;
    info.pBindings = bindings;
    VkDescriptorSetLayout layout = VK_NULL_HANDLE;
    check(vkCreateDescriptorSetLayout(device.handle(), &info, nullptr, &layout), "vulkan",
          "create a descriptor set layout");
    m_setLayout = DescriptorLayoutHandle(device.handle(), layout);

    const auto table = colourTable();
    m_colours =
        Buffer(device, table.size() * sizeof(table[0]), VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT, MemoryKind::Upload);
    std::memcpy(m_colours.mapped(), table.data(), table.size() * sizeof(table[0]));
    m_colourView = makeView(device, m_colours, VK_FORMAT_R8G8B8A8_UNORM);
}

const Pipeline& HeatmapRenderer::pipeline(ScaleKind scale, std::uint32_t pooling, bool overlay) {
    const std::array<std::uint32_t, 4> key{m_targetIsSrgb, std::uint32_t(scale), pooling, overlay};
    if (const auto found = m_pipelines.find(key); found != m_pipelines.end()) return found->second;
    return m_pipelines
        .emplace(key, makePipeline(m_device, {.vertexShader = kVertexShader,
                                              .fragmentShader = kFragmentShader,
                                              .renderPass = m_renderPass,
                                              .setLayouts = std::span(m_setLayout.address(), 1),
                                              .pushConstantBytes = sizeof(PaneConstants),
                                              .fragmentConstants = key}))
        .first->second;
}

HeatmapRenderer::~HeatmapRenderer() = default;

}  // namespace linscope::viz
