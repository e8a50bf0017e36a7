// Draws paths: round-ended strokes, each a rectangle that its distance function cuts to shape. A dot is a stroke of
// length zero.

struct Stroke {
    // Both ends, in pixels of the canvas.
    ends: vec4<f32>,
    colour: vec4<f32>,
    // Half the width, in pixels.
    radius: f32,
}

struct Canvas {
    size: vec2<f32>,
}

@group(0) @binding(0) var<storage, read> strokes: array<Stroke>;
@group(0) @binding(1) var<uniform> canvas: Canvas;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) at: vec2<f32>,
    @location(1) @interpolate(flat) stroke: u32,
}

@vertex
fn vertex(@builtin(vertex_index) i: u32, @builtin(instance_index) n: u32) -> Corner {
    let stroke = strokes[n];
    let a = stroke.ends.xy;
    let b = stroke.ends.zw;
    let length = distance(a, b);
    var along = vec2<f32>(1.0, 0.0);
    if length > 1e-3 {
        along = (b - a) / length;
    }
    let across = vec2<f32>(-along.y, along.x);
    // Two triangles, a pixel larger than the stroke on each side, for its soft rim.
    let reach = stroke.radius + 1.0;
    let far = select(0.0, 1.0, i == 1u || i == 2u || i == 4u);
    let side = select(-1.0, 1.0, i == 2u || i == 4u || i == 5u);
    let at = mix(a - along * reach, b + along * reach, far) + across * side * reach;
    let clip = at / canvas.size * 2.0 - 1.0;
    return Corner(vec4<f32>(clip.x, -clip.y, 0.0, 1.0), at, n);
}

@fragment
fn fragment(corner: Corner) -> @location(0) vec4<f32> {
    let stroke = strokes[corner.stroke];
    let a = stroke.ends.xy;
    let line = stroke.ends.zw - a;
    let along = clamp(dot(corner.at - a, line) / max(dot(line, line), 1e-6), 0.0, 1.0);
    let outside = distance(corner.at, a + along * line) - stroke.radius;
    let alpha = stroke.colour.a * clamp(0.5 - outside, 0.0, 1.0);
    return vec4<f32>(stroke.colour.rgb * alpha, alpha);
}
