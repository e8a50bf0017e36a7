//! Fills what a mask marks of a picture: `fill PICTURE MASK OUT [GUIDE]`, the mask white where it is to be filled, the guide a
//! picture of any size of what the whole may look like, or `none`; without one, lines are continued.

use dragentity_compositor::plate::{Filling, Guide};
use dragentity_core::scene::{Mask, Picture};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ([picture, mask, out] | [picture, mask, out, _]) = arguments.as_slice() else {
        return Err("fill PICTURE MASK OUT [GUIDE]".into());
    };
    let open = |path: &String| -> Result<Picture, image::ImageError> {
        Ok(Picture::from_rgb_image(image::open(path)?.into_rgb8()))
    };
    let picture = open(picture)?;
    let mask = image::open(mask)?.into_luma8();
    let alpha = mask
        .pixels()
        .map(|p| if p[0] >= 128 { 255 } else { 0 })
        .collect();
    let mask = Mask::from_alpha(mask.width(), mask.height(), alpha)?;
    let start = std::time::Instant::now();
    let mut filling = Filling::new(&picture, &mask, None)?;
    match arguments.get(3).map(String::as_str) {
        None => filling = filling.guessed(),
        Some("none") => {}
        Some(_) => {
            let guide = Guide {
                picture: &open(&arguments[3])?,
                area: [0, 0, picture.width, picture.height],
            };
            filling = filling.guided(&guide)?;
        }
    }
    while filling.advance() {}
    println!("{:.2} s", start.elapsed().as_secs_f64());
    std::fs::write(out, filling.finish().to_png()?)?;
    Ok(())
}
