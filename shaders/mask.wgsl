// Tints where an entity should be in a frame: its mask, moved along its path, with its edge drawn.

struct Tint {
    colour: vec4<f32>,
    // How far the mask has been moved, in fractions of the frame.
    offset: vec2<f32>,
    // Width and height of the canvas in pixels.
    canvas: vec2<f32>,
}

@group(0) @binding(0) var mask: texture_2d<f32>;
@group(0) @binding(1) var smoothly: sampler;
@group(0) @binding(2) var<uniform> tint: Tint;

@vertex
fn vertex(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    let corner = vec2<f32>(f32((i << 1u) & 2u), f32(i & 2u));
    return vec4<f32>(corner * 2.0 - 1.0, 0.0, 1.0);
}

@fragment
fn fragment(@builtin(position) pixel: vec4<f32>) -> @location(0) vec4<f32> {
    let at = pixel.xy / tint.canvas - tint.offset;
    let level = textureSampleLevel(mask, smoothly, at, 0.0).r;
    // How many pixels away the contour at one half is.
    let slope = max(length(vec2<f32>(dpdx(level), dpdy(level))), 1e-4);
    let distance = abs(level - 0.5) / slope;
    // What has been moved out of the frame's other side is not there.
    let inside = all(at >= vec2<f32>(0.0)) && all(at <= vec2<f32>(1.0));
    let fill = select(0.0, 0.2, level >= 0.5);
    let edge = 1.0 - smoothstep(0.8, 1.8, distance);
    let alpha = select(0.0, max(fill, edge), inside) * tint.colour.a;
    return vec4<f32>(tint.colour.rgb * alpha, alpha);
}
