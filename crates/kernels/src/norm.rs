//! Group norm, with or without the SiLU that follows nearly all of them.

use crate::activation::silu_of;
use crate::parallel::for_each_chunk;
use crate::wide::wide;

/// Elements whose mean is known before their squares are summed: they stay in the first level of cache.
const BLOCK: usize = 4096;

/// A group norm over pictures.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// Channels of a picture, a multiple of `groups`.
    pub channels: usize,
    /// Groups of channels.
    pub groups: usize,
    /// Pictures in a row that share their statistics: 1, or the frames of a clip.
    pub frames: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// `[channels]`; 1 where there is none.
    pub gamma: Option<&'a [f32]>,
    /// `[channels]`; 0 where there is none.
    pub beta: Option<&'a [f32]>,
    /// Whether SiLU follows.
    pub silu: bool,
}

/// Count, mean and sum of squared differences from it.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Of both sets together (Chan, Golub and LeVeque).
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let apart = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + apart * other.count / count,
            squares: self.squares
                + other.squares
                + apart * apart * self.count * other.count / count,
        }
    }

    #[inline(always)]
    fn of_block(values: &[f32]) -> Self {
        let count = values.len() as f32;
        let mean = sum(values, |x| x) / count;
        Self {
            count: f64::from(count),
            mean: f64::from(mean),
            squares: f64::from(sum(values, |x| (x - mean) * (x - mean))),
        }
    }
}

/// In 32 sums beside each other: the order of a single one would forbid the compiler to use vectors.
#[inline(always)]
fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0f32; 32];
    let mut rows = values.chunks_exact(32);
    for row in rows.by_ref() {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f(value);
        }
    }
    let rest: f32 = rows.remainder().iter().map(|&value| f(value)).sum();
    sums.iter().sum::<f32>() + rest
}

/// Normalizes `x`, `[pictures, channels, ...]`, whose first dimension is a multiple of `norm.frames`.
pub fn group_norm(x: &[f32], pictures: usize, norm: &GroupNorm<'_>) -> Vec<f32> {
    let (channels, groups, frames) = (norm.channels, norm.groups, norm.frames);
    assert!(pictures > 0 && frames > 0 && pictures.is_multiple_of(frames));
    assert!(groups > 0 && channels > 0 && channels.is_multiple_of(groups));
    assert!(!x.is_empty() && x.len().is_multiple_of(pictures * channels));
    let pixels = x.len() / pictures / channels;
    let own = channels / groups;

    let mut out = vec![0.0; x.len()];
    let moments_of = |picture: usize, group: usize| {
        let start = (picture * groups + group) * own * pixels;
        let values = &x[start..start + own * pixels];
        let mut all = Moments::default();
        wide(
            #[inline(always)]
            || {
                for block in values.chunks(BLOCK) {
                    all = all.and(Moments::of_block(block));
                }
            },
        );
        all
    };
    // Of clips, so that each is found once; of single pictures it is found where it is used, and the values are still
    // in a cache.
    let mut of_clips = vec![[0f32; 2]; 0];
    if frames > 1 {
        let mut found = vec![0f32; pictures / frames * groups * 2];
        for_each_chunk(&mut found, 2, |i, found| {
            let (clip, group) = (i / groups, i % groups);
            let all = (0..frames).fold(Moments::default(), |all, frame| {
                all.and(moments_of(clip * frames + frame, group))
            });
            found.copy_from_slice(&centre_and_scale(all, norm.epsilon));
        });
        of_clips = found.as_chunks::<2>().0.to_vec();
    }

    for_each_chunk(&mut out, own * pixels, |i, out| {
        let (picture, group) = (i / groups, i % groups);
        let [mean, scale] = match of_clips.is_empty() {
            true => centre_and_scale(moments_of(picture, group), norm.epsilon),
            false => of_clips[picture / frames * groups + group],
        };
        let x = &x[i * own * pixels..][..own * pixels];
        let rows = out.chunks_exact_mut(pixels).zip(x.chunks_exact(pixels));
        for (c, (out, x)) in rows.enumerate() {
            let channel = group * own + c;
            let gamma = norm.gamma.map_or(1.0, |gamma| gamma[channel]) * scale;
            let beta = norm.beta.map_or(0.0, |beta| beta[channel]);
            wide(
                #[inline(always)]
                || {
                    if norm.silu {
                        for (out, x) in out.iter_mut().zip(x) {
                            *out = silu_of((x - mean) * gamma + beta);
                        }
                    } else {
                        for (out, x) in out.iter_mut().zip(x) {
                            *out = (x - mean) * gamma + beta;
                        }
                    }
                },
            );
        }
    });
    out
}

fn centre_and_scale(all: Moments, epsilon: f32) -> [f32; 2] {
    let variance = all.squares / all.count;
    let scale = 1.0 / (variance + f64::from(epsilon)).sqrt();
    [all.mean as f32, scale as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As written in the papers, in double precision.
    fn slow(x: &[f32], pictures: usize, norm: &GroupNorm<'_>) -> Vec<f64> {
        let picture = x.len() / pictures;
        let pixels = picture / norm.channels;
        let own = norm.channels / norm.groups * pixels;
        let of = |p: usize, group: usize| &x[p * picture + group * own..][..own];
        let mut out = Vec::new();
        for p in 0..pictures {
            let clip = p / norm.frames * norm.frames;
            for channel in 0..norm.channels {
                let group = channel / (norm.channels / norm.groups);
                let all: Vec<f64> = (clip..clip + norm.frames)
                    .flat_map(|p| of(p, group))
                    .map(|&x| f64::from(x))
                    .collect();
                let mean = all.iter().sum::<f64>() / all.len() as f64;
                let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
                let deviation = (variance / all.len() as f64 + f64::from(norm.epsilon)).sqrt();
                for pixel in 0..pixels {
                    let x = f64::from(x[p * picture + channel * pixels + pixel]);
                    let y = (x - mean) / deviation * f64::from(norm.gamma.unwrap()[channel])
                        + f64::from(norm.beta.unwrap()[channel]);
                    out.push(if norm.silu { y / (1.0 + (-y).exp()) } else { y });
                }
            }
        }
        out
    }

    #[test]
    fn statistics_span_a_group_of_one_picture_or_of_a_clip() {
        let (pictures, channels, pixels) = (4, 6, 1500);
        let x: Vec<f32> = (0..pictures * channels * pixels)
            .map(|i| ((i * i % 8191) as f32 * 0.37).sin() * 3.0 + 20.0 + (i / 1500) as f32)
            .collect();
        let gamma: Vec<f32> = (0..channels).map(|c| 0.5 + c as f32).collect();
        let beta: Vec<f32> = (0..channels).map(|c| c as f32 - 2.0).collect();
        for (frames, groups, silu) in [(1, 2, false), (2, 3, true), (4, 6, false), (1, 1, true)] {
            let norm = GroupNorm {
                channels,
                groups,
                frames,
                epsilon: 1e-5,
                gamma: Some(&gamma),
                beta: Some(&beta),
                silu,
            };
            let got = group_norm(&x, pictures, &norm);
            for (i, (got, want)) in got.iter().zip(slow(&x, pictures, &norm)).enumerate() {
                assert!(
                    (f64::from(*got) - want).abs() < 2e-5 * (1.0 + want.abs()),
                    "{frames} frames, {groups} groups, element {i}: {got}, not {want}"
                );
            }
        }
    }
}
