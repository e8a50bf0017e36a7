// Draws a piece of the live view: the plate, a thing, a shadow. Its corners are where they have gone, and each pixel is looked up where
// it was at rest: with Catmull-Rom's cubic, as the frames of a video are, or by a mean where the piece is seen smaller than it is.

struct Piece {
    // The part of the image in which there is something, in its pixels: low corner, high corner. Beyond it nothing is seen.
    bounds: vec4<f32>,
}

// Premultiplied, with smaller ones of it.
@group(0) @binding(0) var image: texture_2d<f32>;
@group(0) @binding(1) var smoothly: sampler;
// How much of each place of a mesh is its triangle's own.
@group(0) @binding(2) var shares: texture_2d<f32>;
@group(0) @binding(3) var<uniform> piece: Piece;

struct Corner {
    @builtin(position) position: vec4<f32>,
    // In pixels of the image.
    @location(0) at: vec2<f32>,
    // In fractions of `shares`.
    @location(1) share: vec2<f32>,
}

@vertex
fn vertex(@location(0) to: vec2<f32>, @location(1) at: vec2<f32>, @location(2) share: vec2<f32>) -> Corner {
    return Corner(vec4<f32>(to, 0.0, 1.0), at, share);
}

fn texel(at: vec2<i32>) -> vec4<f32> {
    let last = vec2<i32>(textureDimensions(image)) - 1;
    return textureLoad(image, clamp(at, vec2<i32>(0), last), 0);
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

fn cubic(at: vec2<f32>) -> vec4<f32> {
    // What lies on a pixel, but for rounding, is that pixel.
    let between = at - 0.5;
    let near = round(between);
    let place = select(between, near, abs(between - near) < vec2<f32>(0.004));
    let first = floor(place);
    let t = place - first;
    let corner = vec2<i32>(first);
    if all(t == vec2<f32>(0.0)) {
        return texel(corner);
    }
    let across = weights(t.x);
    let down = weights(t.y);
    var sum = vec4<f32>(0.0);
    for (var y = 0; y < 4; y++) {
        for (var x = 0; x < 4; x++) {
            sum += across[x] * down[y] * texel(corner + vec2<i32>(x - 1, y - 1));
        }
    }
    return sum;
}

// The mean of what a pixel shows: four looks, each at an image so small that none of its pixels is left out.
fn mean(at: vec2<f32>, right: vec2<f32>, down: vec2<f32>, shrinks: f32) -> vec4<f32> {
    let size = vec2<f32>(textureDimensions(image));
    let level = max(log2(0.5 * shrinks), 0.0);
    var sum = vec4<f32>(0.0);
    for (var y = -0.25; y < 0.5; y += 0.5) {
        for (var x = -0.25; x < 0.5; x += 0.5) {
            sum += textureSampleLevel(image, smoothly, (at + x * right + y * down) / size, level);
        }
    }
    return 0.25 * sum;
}

// Not premultiplied: what lies beneath it in the same mesh is added as far as there is room, which takes its alpha apart.
@fragment
fn fragment(corner: Corner) -> @location(0) vec4<f32> {
    let right = dpdx(corner.at);
    let down = dpdy(corner.at);
    // The larger singular value.
    let shrinks = 0.5 * (length(vec2<f32>(right.x + down.y, right.y - down.x)) + length(vec2<f32>(right.x - down.y, right.y + down.x)));
    var value: vec4<f32>;
    if shrinks > 1.25 {
        value = mean(corner.at, right, down, shrinks);
    } else {
        value = cubic(corner.at);
    }
    let share = textureSampleLevel(shares, smoothly, corner.share, 0.0).r;
    // An edge that lies between pixels is soft.
    let pixel = max(vec2<f32>(length(vec2<f32>(right.x, down.x)), length(vec2<f32>(right.y, down.y))), vec2<f32>(1e-6));
    let inner = min(corner.at - piece.bounds.xy, piece.bounds.zw - corner.at) / pixel + 0.5;
    let seen = clamp(inner, vec2<f32>(0.0), vec2<f32>(1.0));
    // Cubic taps swing beyond what is there.
    let alpha = clamp(value.a, 0.0, 1.0);
    let colour = clamp(value.rgb, vec3<f32>(0.0), vec3<f32>(alpha)) / max(alpha, 1e-6);
    return vec4<f32>(colour, alpha * share * seen.x * seen.y);
}
