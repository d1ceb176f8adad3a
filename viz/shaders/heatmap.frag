#version 450

// Draws a window of one level of a matrix. "Cells" are cells of that level, counted from the window's
// first; x is the column, y the row.

// What does not change from pixel to pixel is constant in the pipeline: software devices execute every
// branch of a shader for every pixel, taken or not.
layout(constant_id = 0) const uint kTargetIsSrgb = 0;
layout(constant_id = 1) const uint kScale = 0;    // as ScaleKind
layout(constant_id = 2) const uint kPooling = 0;  // as Pooling; 3: no cell is smaller than a pixel
layout(constant_id = 3) const uint kOverlay = 0;  // grid or cursor

// Texel buffers, which software devices read much faster than storage buffers.
layout(set = 0, binding = 0) uniform utextureBuffer cells;
layout(set = 0, binding = 1) uniform textureBuffer colours;

layout(push_constant) uniform Pane {
    vec2 viewportOrigin;  // pixels
    vec2 cellsPerPixel;
    vec2 origin;          // cell coordinate at the viewport's corner
    ivec2 windowSize;     // cells
    vec3 gridColour;
    float gridStrength;   // 0: no grid
    vec4 cursor;          // the marked row and column: left, top, right, bottom in cells; right <= left: none
    vec4 range;           // position = x·(value − z) + y, or x·f(value·z) + y for log and arcsinh
    ivec2 colourRange;    // first and last entry of the colour map
} pane;

layout(location = 0) out vec4 colour;

const uint kLog = 1, kArcsinh = 3;
const uint kMax = 0, kMean = 1, kUnpooled = 3;
const uint kInfinity = 0x7f800000u;

// 0 finite, 1 −∞, 2 +∞, 3 NaN; by bits, since compilers may assume that there is no NaN.
int loudness(uint bits) {
    uint magnitude = bits & 0x7fffffffu;
    if (magnitude < kInfinity) return 0;
    if (magnitude > kInfinity) return 3;
    return bits == kInfinity ? 2 : 1;
}

uint cellBits(ivec2 at) { return texelFetch(cells, at.y * pane.windowSize.x + at.x).r; }

// The pooled value of all cells between `from` and `to`, what is not finite before all else.
uint pooled(vec2 from, vec2 to) {
    ivec2 first = clamp(ivec2(floor(from + 1e-3)), ivec2(0), pane.windowSize - 1);
    ivec2 last = clamp(ivec2(ceil(to - 1e-3)) - 1, first, pane.windowSize - 1);
    uint largest = 0u;  // magnitude, as bits
    bool plusInfinity = false;
    float best = uintBitsToFloat(cellBits(first));
    float sum = 0.0, area = 0.0;
    for (int row = first.y; row <= last.y; ++row)
        for (int col = first.x; col <= last.x; ++col) {
            uint bits = cellBits(ivec2(col, row));
            largest = max(largest, bits & 0x7fffffffu);
            plusInfinity = plusInfinity || bits == kInfinity;
            float value = uintBitsToFloat(bits);
            if (kPooling == kMax) {
                best = max(best, value);
            } else if (kPooling == kMean) {
                vec2 overlap = min(to, vec2(col + 1, row + 1)) - max(from, vec2(col, row));
                float weight = max(overlap.x, 1e-6) * max(overlap.y, 1e-6);
                sum += weight * value;
                area += weight;
            } else {
                best = abs(value) > abs(best) ? value : best;
            }
        }
    uint finite = floatBitsToUint(kPooling == kMean ? sum / area : best);
    uint loud = largest > kInfinity ? largest : plusInfinity ? kInfinity : kInfinity | 0x80000000u;
    return largest >= kInfinity ? loud : finite;
}

vec3 colourOf(uint bits) {
    int loud = loudness(bits);
    int last = pane.colourRange.y - pane.colourRange.x;
    // The three fixed colours stand at the head of the table: −∞, +∞, NaN.
    float value = uintBitsToFloat(bits);
    float position;
    if (kScale == kLog)
        position = value > 0.0 ? pane.range.x * log(value * pane.range.z) + pane.range.y : 0.0;
    else if (kScale == kArcsinh)
        position = pane.range.x * sign(value) * asinh(abs(value) * pane.range.z) + pane.range.y;
    else
        position = pane.range.x * (value - pane.range.z) + pane.range.y;
    int entry = pane.colourRange.x + int(clamp(position, 0.0, 1.0) * float(last) + 0.5);
    return texelFetch(colours, loud > 0 ? loud - 1 : entry).rgb;
}

vec3 toLinear(vec3 c) { return mix(c / 12.92, pow((c + 0.055) / 1.055, vec3(2.4)), greaterThan(c, vec3(0.04045))); }

vec3 overlaid(vec3 result, vec2 centre) {
    vec2 fromBorder = fract(centre) / pane.cellsPerPixel;
    bool onGrid = pane.gridStrength > 0.0 && min(fromBorder.x, fromBorder.y) < 1.0;
    result = mix(result, pane.gridColour, onGrid ? pane.gridStrength : 0.0);

    vec2 from = centre - 0.5 * pane.cellsPerPixel, to = from + pane.cellsPerPixel;
    bool inCol = from.x < pane.cursor.z && to.x > pane.cursor.x, inRow = from.y < pane.cursor.w && to.y > pane.cursor.y;
    // Wide bands show their edges alone, so that the cells in them keep their colours.
    vec2 edge = min(abs(centre - pane.cursor.xy), abs(pane.cursor.zw - centre)) / pane.cellsPerPixel;
    vec2 band = (pane.cursor.zw - pane.cursor.xy) / pane.cellsPerPixel;
    bool marked = inCol && (band.x < 4.0 || edge.x < 1.0) || inRow && (band.y < 4.0 || edge.y < 1.0);
    float strength = marked && pane.cursor.z > pane.cursor.x ? (inCol && inRow ? 0.95 : 0.55) : 0.0;
    float light = dot(result, vec3(0.2126, 0.7152, 0.0722));
    return mix(result, vec3(light > 0.5 ? 0.0 : 1.0), strength);
}

// The scissor leaves only pixels whose centre is on the matrix.
void main() {
    vec2 centre = pane.origin + (gl_FragCoord.xy - pane.viewportOrigin) * pane.cellsPerPixel;
    uint bits;
    if (kPooling == kUnpooled) {
        bits = cellBits(clamp(ivec2(floor(centre)), ivec2(0), pane.windowSize - 1));
    } else {
        // An axis along which cells are at least a pixel wide is read at the pixel's centre.
        vec2 reach = mix(0.5 * pane.cellsPerPixel, vec2(0.0), lessThanEqual(pane.cellsPerPixel, vec2(1.0 + 1e-5)));
        bits = pooled(centre - reach, centre + reach);
    }
    vec3 result = colourOf(bits);
    if (kOverlay != 0u) result = overlaid(result, centre);
    if (kTargetIsSrgb != 0u) result = toLinear(result);
    colour = vec4(result, 1.0);
}
