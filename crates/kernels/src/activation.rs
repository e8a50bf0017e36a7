//! Activations, on the widest vectors that the processor has: the functions below have no branch and no call, which
//! lets the compiler compute many elements at once.

use crate::parallel::for_each_chunk;
use crate::wide::wide;

/// Elements of one piece of work: few enough for the second level of cache, enough to be worth a thread's while.
const PIECE: usize = 16 * 1024;

/// e to the power of `x`, within 2 units in the last place; infinities and NaN as everywhere, and 0 where the result
/// would be smaller than the smallest normal number.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // 2^n e^r with |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to a whole number and leaves it in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Beyond this the power of two would leave the numbers that the shift below can make.
    let bounded = x.clamp(-87.0, 88.0);
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (bounded - n * LN_2_HIGH) - n * LN_2_LOW;
    // Minimax polynomial of Cephes' expf.
    let mut p = 1.987_569_1e-4;
    for c in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = p * r + c;
    }
    let p = p * (r * r) + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1f32.to_bits()));
    p * power
}

/// `x / (1 + e^-x)`
#[inline(always)]
pub(crate) fn silu_of(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// The error function, within 4 units in the last place (the rational approximation of Eigen and XLA).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let mut p = -2.726_142_3e-10;
    for c in [
        2.770_681_5e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ] {
        p = p * s + c;
    }
    let mut q = -1.456_607_2e-5;
    for c in [
        -2.133_740_5e-4,
        -1.682_827e-3,
        -7.373_329e-3,
        -1.426_473_9e-2,
    ] {
        q = q * s + c;
    }
    x * p / q
}

/// GELU by the error function, as PyTorch's default.
#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// SiLU of every element, in place.
pub fn silu(values: &mut [f32]) {
    for_each_chunk(values, PIECE, |_, values| {
        wide(
            #[inline(always)]
            || {
                for value in values.iter_mut() {
                    *value = silu_of(*value);
                }
            },
        );
    });
}

/// GELU of every element, by the error function, in place.
pub fn gelu(values: &mut [f32]) {
    for_each_chunk(values, PIECE, |_, values| {
        wide(
            #[inline(always)]
            || {
                for value in values.iter_mut() {
                    *value = gelu_of(*value);
                }
            },
        );
    });
}

/// The first half of each row times the GELU of the second (`diffusers.models.activations.GEGLU`, after its projection).
///
/// # Shapes
/// - `x`: `[rows, 2 * width]`
/// - output: `[rows, width]`
pub fn geglu(x: &[f32], width: usize) -> Vec<f32> {
    assert!(width > 0 && x.len().is_multiple_of(2 * width));
    let rows = (PIECE / width).max(1);
    let mut out = vec![0.0; x.len() / 2];
    for_each_chunk(&mut out, rows * width, |i, out| {
        let x = &x[i * rows * 2 * width..];
        wide(
            #[inline(always)]
            || {
                for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(2 * width)) {
                    let (values, gates) = x.split_at(width);
                    for ((out, value), gate) in out.iter_mut().zip(values).zip(gates) {
                        *out = value * gelu_of(*gate);
                    }
                }
            },
        );
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(from: f64, to: f64) -> impl Iterator<Item = f32> {
        (0..200_001).map(move |i| (from + (to - from) * i as f64 / 200_000.0) as f32)
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for x in line(-87.0, 88.0) {
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (got - want).abs() <= 2.0 * f64::from(f32::EPSILON) * want,
                "exp({x}) = {got}, not {want}"
            );
        }
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn silu_keeps_to_the_definition_at_every_size_of_number() {
        for x in line(-100.0, 100.0) {
            let want = f64::from(x) / (1.0 + (-f64::from(x)).exp());
            let got = f64::from(silu_of(x));
            assert!(
                (got - want).abs() <= 4e-7 * want.abs() + 1e-35,
                "silu({x}) = {got}, not {want}"
            );
        }
        assert!(silu_of(f32::NAN).is_nan(), "errors are not hidden");
        assert_eq!(silu_of(f32::INFINITY), f32::INFINITY);
        let mut values: Vec<f32> = line(-8.0, 8.0).collect();
        let want: Vec<f32> = values.iter().map(|&x| silu_of(x)).collect();
        silu(&mut values);
        assert!(
            values
                .iter()
                .zip(&want)
                .all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs()),
            "in pieces as one by one"
        );
    }

    /// The error function's power series, which converges for all that is tried here.
    fn erf_series(x: f64) -> f64 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while f64::abs(term) > 1e-18 {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn geglu_multiplies_by_the_gelu_of_the_second_half() {
        let gates: Vec<f32> = line(-4.0, 4.0).step_by(25).collect();
        let x: Vec<f32> = gates.iter().flat_map(|&gate| [1.5, gate]).collect();
        let mut alone = gates.clone();
        gelu(&mut alone);
        for (alone, product) in alone.iter().zip(geglu(&x, 1)) {
            assert!((1.5 * alone - product).abs() <= 1e-6 * product.abs());
        }
        for (got, gate) in geglu(&x, 1).into_iter().zip(gates) {
            let gate = f64::from(gate);
            let want = 0.75 * gate * (1.0 + erf_series(gate * std::f64::consts::FRAC_1_SQRT_2));
            assert!(
                (f64::from(got) - want).abs() < 1e-6 * (1.0 + want.abs()),
                "gelu({gate}) = {got}, not {want}"
            );
        }
        let [small, large] = geglu(&[1.0, 2.0, 0.0, 100.0], 2)[..] else {
            panic!("a row of two");
        };
        assert_eq!(small, 0.0);
        assert!((large - 200.0).abs() < 1e-4, "far out: {large}");
        assert!(geglu(&[1.0, f32::NAN], 1)[0].is_nan());
    }
}
