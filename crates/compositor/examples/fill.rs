//! Fills what a mask marks of a picture: `fill PICTURE MASK OUT`, the mask white where it is to be filled.

use dragentity_compositor::plate;
use dragentity_core::Cancel;
use dragentity_core::scene::{Mask, Picture};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [picture, mask, out] = arguments.as_slice() else {
        return Err("fill PICTURE MASK OUT".into());
    };
    let picture = Picture::from_rgb_image(image::open(picture)?.into_rgb8());
    let mask = image::open(mask)?.into_luma8();
    let alpha = mask
        .pixels()
        .map(|p| if p[0] >= 128 { 255 } else { 0 })
        .collect();
    let mask = Mask::from_alpha(mask.width(), mask.height(), alpha)?;
    let start = std::time::Instant::now();
    let plate = plate::fill(&picture, &mask, None, &Cancel::new(), &mut |_, _| {})?;
    println!("{:.2} s", start.elapsed().as_secs_f64());
    std::fs::write(out, plate.to_png()?)?;
    Ok(())
}
