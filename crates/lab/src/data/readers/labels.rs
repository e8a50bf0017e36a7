//! Pictures whose pixels say which thing they show.

use dragentity_core::error::Result;
use dragentity_core::scene::Mask;
use dragentity_media::read::decode_picture;
use image::DynamicImage;
use std::collections::BTreeSet;
use std::path::Path;

/// Up to here VIPSeg's numbers are classes of what cannot be counted, as sky and grass; 0 is nothing.
const STUFF: u32 = 124;

/// What each pixel shows; 0 is nothing that could be dragged.
#[derive(Clone)]
pub struct Labels {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `[height, width]`
    pub ids: Vec<u32>,
}

impl Labels {
    /// Reads a picture: of VIPSeg's kind (`panoptic`, the numbers of grey pixels of 8 or 16 bits), or with a colour for each
    /// thing and black for the rest.
    ///
    /// # Errors
    /// [`dragentity_core::Error::Picture`] and [`dragentity_core::Error::Io`].
    pub fn read(path: &Path, panoptic: bool) -> Result<Self> {
        let image = decode_picture(path)?;
        let (width, height) = (image.width(), image.height());
        let ids: Vec<u32> = match (&image, panoptic) {
            (DynamicImage::ImageLuma16(grey), true) => {
                grey.pixels().map(|p| u32::from(p[0])).collect()
            }
            (_, true) => image.to_luma8().pixels().map(|p| u32::from(p[0])).collect(),
            (_, false) => {
                let rgb = image.to_rgb8();
                let colour =
                    |p: &image::Rgb<u8>| p.0.iter().fold(0, |id, c| (id << 8) | u32::from(*c));
                rgb.pixels().map(colour).collect()
            }
        };
        let stuff = if panoptic { STUFF } else { 0 };
        Ok(Self {
            width,
            height,
            ids: ids
                .into_iter()
                .map(|id| if id > stuff { id } else { 0 })
                .collect(),
        })
    }

    /// At another size, by the nearest pixel.
    pub fn resized(&self, width: u32, height: u32) -> Self {
        let nearest = |k: u32, to: u32, from: u32| {
            (u64::from(2 * k + 1) * u64::from(from) / u64::from(2 * to)) as usize
        };
        let columns: Vec<usize> = (0..width).map(|x| nearest(x, width, self.width)).collect();
        let ids = (0..height).flat_map(|y| {
            let row = nearest(y, height, self.height) * self.width as usize;
            columns.iter().map(move |column| self.ids[row + column])
        });
        Self {
            width,
            height,
            ids: ids.collect(),
        }
    }

    /// The things in it.
    pub fn things(&self) -> BTreeSet<u32> {
        self.ids.iter().copied().filter(|id| *id > 0).collect()
    }

    /// Where one of them is.
    pub fn mask(&self, id: u32) -> Mask {
        Mask {
            width: self.width,
            height: self.height,
            alpha: self
                .ids
                .iter()
                .map(|other| if *other == id { 255 } else { 0 })
                .collect(),
        }
    }
}
