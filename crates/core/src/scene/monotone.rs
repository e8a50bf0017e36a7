//! The monotone cubic of Fritsch and Butland (1984), which trajectories and poses follow between what they are given: it goes
//! through every value at its time with a continuous slope, and never beyond them.

/// Cubic from value `a` with slope `va` to value `b` with slope `vb`, `u` of the way through a span of length `h`.
pub(super) fn hermite(u: f32, h: f32, a: f32, b: f32, va: f32, vb: f32) -> f32 {
    let w = 1.0 - u;
    a * w * w * (1.0 + 2.0 * u) + b * u * u * (3.0 - 2.0 * u) + h * u * w * (va * w - vb * u)
}

/// Slopes of the monotone cubic through (`t`, `v`): weighted harmonic means of the neighbouring chords, zero at extremes.
pub(super) fn velocities(t: &[f32], v: &[f32]) -> Vec<f32> {
    let n = v.len();
    if n < 2 {
        return vec![0.0; n];
    }
    let h: Vec<f32> = t.windows(2).map(|p| p[1] - p[0]).collect();
    let chord: Vec<f32> = v
        .windows(2)
        .zip(&h)
        .map(|(p, h)| (p[1] - p[0]) / h)
        .collect();
    let mut slope = vec![0.0; n];
    for i in 1..n - 1 {
        let (a, b) = (chord[i - 1], chord[i]);
        if a * b > 0.0 {
            let (wa, wb) = (2.0 * h[i] + h[i - 1], h[i] + 2.0 * h[i - 1]);
            slope[i] = (wa + wb) / (wa / a + wb / b);
        }
    }
    // At an end: the parabola through the three nearest points, limited so that nothing overshoots.
    let end = |h0: f32, h1: f32, c0: f32, c1: f32| {
        let s = ((2.0 * h0 + h1) * c0 - h0 * c1) / (h0 + h1);
        if s * c0 <= 0.0 {
            0.0
        } else if c0 * c1 <= 0.0 && s.abs() > 3.0 * c0.abs() {
            3.0 * c0
        } else {
            s
        }
    };
    if n == 2 {
        slope.fill(chord[0]);
    } else {
        slope[0] = end(h[0], h[1], chord[0], chord[1]);
        slope[n - 1] = end(h[n - 2], h[n - 3], chord[n - 2], chord[n - 3]);
    }
    slope
}
