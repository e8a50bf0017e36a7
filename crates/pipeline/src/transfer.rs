//! Between host memory and the device: pictures in, values out.

use super::plan::push_planes;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dragentity_core::Error;
use dragentity_core::Result;
use dragentity_core::platform;
use dragentity_core::{Cancel, Video};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// `[n, 3, height, width]` from pictures of `[height, width, 3]`.
pub fn pictures<B: Backend>(
    items: &[Vec<f32>],
    width: usize,
    height: usize,
    device: &B::Device,
) -> Tensor<B, 4> {
    let mut planes = Vec::with_capacity(items.len() * width * height * 3);
    for item in items {
        push_planes(item, &mut planes);
    }
    Tensor::from_data(
        TensorData::new(planes, [items.len(), 3, height, width]),
        device,
    )
}

/// The values of a tensor.
///
/// # Errors
/// [`Error::Device`] when they cannot be read back.
pub async fn read<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Result<Vec<f32>> {
    let data = tensor.into_data_async().await.map_err(|reason| {
        Error::Device(format!(
            "reading the result failed ({reason:?}): reload, or choose the CPU"
        ))
    })?;
    data.convert::<f32>().to_vec().map_err(|reason| {
        Error::Device(format!("the device returned unexpected data ({reason:?})"))
    })
}

/// Waits until `tensor` is computed, by reading one number of it: devices work behind the program's back.
///
/// # Errors
/// As [`read`].
pub async fn settle<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Result<()> {
    read(tensor.slice(std::array::from_fn::<_, D, _>(|_| 0..1)))
        .await
        .map(drop)
}

/// Frames as bytes, from `[frames, 3, height, width]` in -1..1; what is beyond is cut off.
///
/// # Errors
/// As [`read`].
pub async fn video<B: Backend>(frames: Tensor<B, 4>, fps: u32) -> Result<Video> {
    let [_, _, height, width] = frames.dims();
    let area = width * height;
    let frames = read(frames)
        .await?
        .chunks_exact(area * 3)
        .map(|planes| {
            let mut rgb = vec![0; area * 3];
            for (at, value) in planes.iter().enumerate() {
                rgb[(at % area) * 3 + at / area] = ((value + 1.0) * 127.5).round() as u8;
            }
            rgb
        })
        .collect();
    Ok(Video {
        width: width as u32,
        height: height as u32,
        fps,
        frames,
    })
}

/// Lets the page or terminal act, then checks whether the job is to stop.
///
/// # Errors
/// [`Error::Cancelled`].
pub async fn pause(cancel: &Cancel) -> Result<()> {
    platform::yield_now().await;
    if cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    Ok(())
}

/// What `work` gives, unless the job is to stop before: looked at whenever it gives way to others.
///
/// # Errors
/// Those of `work`, and [`Error::Cancelled`].
pub async fn unless_cancelled<T>(
    cancel: &Cancel,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut work = pin!(work);
    poll_fn(|context| match cancel.is_cancelled() {
        true => Poll::Ready(Err(Error::Cancelled)),
        false => work.as_mut().poll(context),
    })
    .await
}

/// Means of `factor` by `factor` blocks.
pub fn shrink(map: &[f32], width: usize, height: usize, factor: usize) -> Vec<f32> {
    let (w, h) = (width / factor, height / factor);
    let mut small = vec![0.0; w * h];
    for y in 0..h * factor {
        for x in 0..w * factor {
            small[(y / factor) * w + x / factor] += map[y * width + x];
        }
    }
    let area = (factor * factor) as f32;
    for v in &mut small {
        *v /= area;
    }
    small
}
