//! How much arithmetic a pass of the UNet is, by the kinds of layers that devices are differently good at. What is left out (norms,
//! activations, the context of one token) moves numbers rather than computing with them.

use super::unet::{DownBlockType, UNetConfig, UpBlockType};

/// Floating point operations, of which a product and its sum are two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Arithmetic {
    /// Of convolutions, over space and over time.
    pub convolutions: f64,
    /// Of linear layers.
    pub linear: f64,
    /// Of attention between tokens, without its linear layers.
    pub attention: f64,
}

impl Arithmetic {
    /// All of them.
    pub fn total(&self) -> f64 {
        self.convolutions + self.linear + self.attention
    }
}

/// One pass of `frames` frames whose latents are `width` x `height`.
struct Pass {
    frames: f64,
    depth: usize,
    sum: Arithmetic,
}

impl Pass {
    /// A convolution of `taps` weights for each pair of channels.
    fn convolution(&mut self, size: [usize; 2], taps: f64, from: usize, to: usize) {
        self.sum.convolutions += 2.0 * self.pixels(size) * taps * (from * to) as f64;
    }

    fn pixels(&self, [width, height]: [usize; 2]) -> f64 {
        self.frames * (width * height) as f64
    }

    /// A residual block over space and one over time.
    fn residual(&mut self, size: [usize; 2], from: usize, to: usize) {
        self.convolution(size, 9.0, from, to);
        self.convolution(size, 9.0, to, to);
        if from != to {
            self.convolution(size, 1.0, from, to);
        }
        self.convolution(size, 3.0, to, to);
        self.convolution(size, 3.0, to, to);
    }

    /// A transformer over space and one over time.
    fn transformer(&mut self, size: [usize; 2], width: usize) {
        // Squares of the width: projections in and out; then for each pair of blocks self-attention's four, cross-attention's two,
        // and the gated layers' twelve, of which a block over time has two.
        let squares = 2.0 + self.depth as f64 * (18.0 + 30.0);
        let tokens = self.pixels(size);
        let wide = width as f64;
        self.sum.linear += 2.0 * tokens * wide * wide * squares;
        let in_frame = (size[0] * size[1]) as f64;
        // Scores, and what they weigh.
        self.sum.attention += self.depth as f64 * 4.0 * tokens * wide * (in_frame + self.frames);
    }
}

impl UNetConfig {
    /// The arithmetic of a pass over `frames` frames whose latents are `[width, height]`, without guidance.
    pub fn arithmetic(&self, latents: [usize; 2], frames: usize) -> Arithmetic {
        let mut pass = Pass {
            frames: frames as f64,
            depth: 0,
            sum: Arithmetic::default(),
        };
        let channels = &self.block_out_channels;
        let (Some(&first), Some(&last)) = (channels.first(), channels.last()) else {
            return pass.sum;
        };
        pass.convolution(latents, 9.0, self.in_channels, first);
        let mut skips = vec![first];
        let mut sizes = vec![latents];
        let mut from = first;
        for (level, &to) in channels.iter().enumerate() {
            let size = sizes[level];
            let kind = self.down_block_types.get(level);
            let attends = kind == Some(&DownBlockType::CrossAttnDownBlockSpatioTemporal);
            pass.depth = self.transformer_layers_per_block.at(level);
            for _ in 0..self.layers_per_block.at(level) {
                pass.residual(size, from, to);
                from = to;
                if attends {
                    pass.transformer(size, to);
                }
                skips.push(to);
            }
            if level + 1 < channels.len() {
                let half = size.map(|side| side.div_ceil(2));
                pass.convolution(half, 9.0, to, to);
                skips.push(to);
                sizes.push(half);
            }
        }
        let lowest = sizes[channels.len() - 1];
        pass.residual(lowest, last, last);
        pass.transformer(lowest, last);
        pass.residual(lowest, last, last);
        for (up, level) in (0..channels.len()).rev().enumerate() {
            let (size, to) = (sizes[level], channels[level]);
            let kind = self.up_block_types.get(up);
            let attends = kind == Some(&UpBlockType::CrossAttnUpBlockSpatioTemporal);
            pass.depth = self.transformer_layers_per_block.at(level);
            for _ in 0..=self.layers_per_block.at(level) {
                pass.residual(size, from + skips.pop().unwrap_or_default(), to);
                from = to;
                if attends {
                    pass.transformer(size, to);
                }
            }
            if level > 0 {
                pass.convolution(sizes[level - 1], 9.0, to, to);
            }
        }
        pass.convolution(latents, 9.0, first, self.out_channels);
        pass.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_pytorch_counts() {
        // torch.utils.flop_counter over diffusers' network, 14 frames of 576 x 320 (docs/src/bench.md).
        let published = UNetConfig::default();
        let pass = published.arithmetic([72, 40], 14);
        assert!((pass.total() / 12.1e12 - 1.0).abs() < 0.005, "{pass:?}");
        // Twice the frames are twice the work but for attention over time; twice the pixels more than that.
        let longer = published.arithmetic([72, 40], 28);
        assert_eq!(longer.convolutions, 2.0 * pass.convolutions);
        assert_eq!(longer.linear, 2.0 * pass.linear);
        let wider = published.arithmetic([144, 40], 14);
        assert!(wider.attention > 3.9 * pass.attention, "{wider:?}");
    }
}
