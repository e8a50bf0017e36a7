//! What a convolution's configuration says of its padding, for all ways of computing one.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::backend::Backend;

/// Zeros above, left of, below and right of each picture; `None` where as many as the output needs to be as large.
pub(super) fn padding<B: Backend>(conv: &Conv2d<B>) -> Option<[usize; 4]> {
    match conv.padding {
        PaddingConfig2d::Valid => Some([0; 4]),
        PaddingConfig2d::Explicit(top, left, bottom, right) => Some([top, left, bottom, right]),
        PaddingConfig2d::Same => None,
    }
}
