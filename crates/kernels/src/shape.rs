//! What a convolution is, and how places in a picture are counted.

use std::ops::Range;

/// A convolution of pictures, without dilation and groups.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<'a> {
    /// `[out_channels, in_channels, height, width]`
    pub weight: &'a [f32],
    /// `[out_channels]`
    pub bias: Option<&'a [f32]>,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps downwards and to the right.
    pub stride: [usize; 2],
    /// Rows of zeros above and below, then columns of zeros left and right.
    pub padding: [[usize; 2]; 2],
}

impl Conv2d<'_> {
    /// Height and width of the output; `None` where the kernel is larger than the padded input.
    pub fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let padded = size[axis] + self.padding[axis][0] + self.padding[axis][1];
            let free = padded.checked_sub(self.kernel[axis])?;
            Some(free / self.stride[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// Whether the output is as large as the input, by a 3x3 kernel with one row and column of zeros around the input.
    pub(crate) fn keeps_size(&self) -> bool {
        self.kernel == [3, 3] && self.stride == [1, 1] && self.padding == [[1, 1], [1, 1]]
    }
}

/// Neighbouring columns of one row.
pub(crate) struct Run {
    /// Of the first, counted over all rows.
    pub place: usize,
    pub row: usize,
    pub columns: Range<usize>,
}

/// `places`, counted over rows of `width`, row by row.
pub(crate) fn runs(places: &Range<usize>, width: usize) -> impl Iterator<Item = Run> + use<> {
    let (mut place, end) = (places.start, places.end);
    std::iter::from_fn(move || {
        if place >= end {
            return None;
        }
        let (row, first) = (place / width, place % width);
        let last = (first + end - place).min(width);
        let run = Run {
            place,
            row,
            columns: first..last,
        };
        place += last - first;
        Some(run)
    })
}
