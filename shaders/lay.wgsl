// Lays what a mesh has become, pixel by pixel, over what lies beneath it.

@group(0) @binding(0) var bent: texture_2d<f32>;

// One triangle that covers the canvas.
@vertex
fn vertex(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    let corner = vec2<f32>(f32((i << 1u) & 2u), f32(i & 2u));
    return vec4<f32>(corner * 2.0 - 1.0, 0.0, 1.0);
}

@fragment
fn fragment(@builtin(position) pixel: vec4<f32>) -> @location(0) vec4<f32> {
    return textureLoad(bent, vec2<i32>(pixel.xy), 0);
}
