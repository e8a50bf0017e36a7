// Shows one frame of a video straight from the model's buffer: values -1..1 in planes, as the decoder leaves them,
// enlarged to the canvas with Catmull-Rom's cubic.

struct Frame {
    // Width and height in values.
    size: vec2<u32>,
    // From the buffer's first value to this frame's, and from a channel, row and column to the next.
    start: u32,
    channel: u32,
    row: u32,
    column: u32,
    // Width and height of the canvas in pixels.
    canvas: vec2<f32>,
}

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<uniform> frame: Frame;

// One triangle that covers the canvas.
@vertex
fn vertex(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    let corner = vec2<f32>(f32((i << 1u) & 2u), f32(i & 2u));
    return vec4<f32>(corner * 2.0 - 1.0, 0.0, 1.0);
}

fn texel(at: vec2<i32>) -> vec3<f32> {
    let p = vec2<u32>(clamp(at, vec2<i32>(0), vec2<i32>(frame.size) - 1));
    let i = frame.start + p.y * frame.row + p.x * frame.column;
    return vec3<f32>(values[i], values[i + frame.channel], values[i + 2u * frame.channel]);
}

// Weights of the four neighbours of a place a fraction t past the second.
fn weights(t: f32) -> vec4<f32> {
    let t2 = t * t;
    let t3 = t2 * t;
    return 0.5 * vec4<f32>(
        -t3 + 2.0 * t2 - t,
        3.0 * t3 - 5.0 * t2 + 2.0,
        -3.0 * t3 + 4.0 * t2 + t,
        t3 - t2,
    );
}

@fragment
fn fragment(@builtin(position) pixel: vec4<f32>) -> @location(0) vec4<f32> {
    let at = pixel.xy / frame.canvas * vec2<f32>(frame.size) - 0.5;
    let corner = floor(at);
    let wx = weights(at.x - corner.x);
    let wy = weights(at.y - corner.y);
    var sum = vec3<f32>(0.0);
    for (var y = 0; y < 4; y++) {
        for (var x = 0; x < 4; x++) {
            sum += wx[x] * wy[y] * texel(vec2<i32>(corner) + vec2<i32>(x - 1, y - 1));
        }
    }
    return vec4<f32>(clamp(sum * 0.5 + 0.5, vec3<f32>(0.0), vec3<f32>(1.0)), 1.0);
}
