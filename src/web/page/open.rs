//! Pictures from files, drops, the clipboard and the samples.

use super::{canvas, dom, stage};
use dragentity_core::error::{Error, Result};
use dragentity_core::scene::Picture;
use dragentity_core::scene::picture::{MAX_PIXELS, MAX_SIDE, MIN_SIDE, WORKING_SIDE};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, ImageBitmap, Response};

/// Names of the sample pictures, in `www/samples`; the first is shown at the start.
pub const SAMPLES: [&str; 3] = ["cat", "astronaut", "coffee"];

/// Reads a picture. The browser decodes, which is faster, off this thread, and knows more formats; its size is looked at
/// first, and what is wrong is put into words by [`Picture::decode`].
pub async fn picture(blob: &Blob, name: &str) -> Result<Picture> {
    let refuse = |reason: String| Error::Picture {
        name: name.into(),
        reason,
    };
    let buffer = JsFuture::from(blob.array_buffer()).await.map_err(|e| {
        refuse(format!(
            "cannot be read ({}); open it again",
            dom::reason(&e)
        ))
    })?;
    let bytes = js_sys::Uint8Array::new(&buffer).to_vec();
    // A file whose header says that it is too large, or says nothing, is not given to the browser.
    match size(&bytes) {
        Header::Fits | Header::Unknown => match by_browser(blob).await {
            Ok(picture) => Ok(picture),
            Err(_) => Picture::decode(&bytes, name),
        },
        Header::Bad => Picture::decode(&bytes, name),
    }
}

/// Whether a file that can be opened ends before its picture does.
pub async fn is_cut_short(blob: &Blob) -> bool {
    let buffer = JsFuture::from(blob.array_buffer()).await;
    buffer.is_ok_and(|buffer| {
        dragentity_core::scene::picture::is_cut_short(&js_sys::Uint8Array::new(&buffer).to_vec())
    })
}

enum Header {
    /// A picture of a usable size.
    Fits,
    /// Not one of the formats that are known here; the browser may know it.
    Unknown,
    /// Too large, too small, or cut short.
    Bad,
}

fn size(bytes: &[u8]) -> Header {
    let Ok(reader) = image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format()
    else {
        return Header::Bad;
    };
    if reader.format().is_none() {
        return Header::Unknown;
    }
    match reader.into_dimensions() {
        Ok((w, h))
            if w.max(h) <= MAX_SIDE
                && w.min(h) >= MIN_SIDE
                && u64::from(w) * u64::from(h) <= MAX_PIXELS =>
        {
            Header::Fits
        }
        _ => Header::Bad,
    }
}

async fn by_browser(blob: &Blob) -> std::result::Result<Picture, ()> {
    let promise = dom::window()
        .create_image_bitmap_with_blob(blob)
        .map_err(|_| ())?;
    let bitmap: ImageBitmap = JsFuture::from(promise)
        .await
        .map_err(|_| ())?
        .unchecked_into();
    let (w, h) = (bitmap.width(), bitmap.height());
    let shrink = (f64::from(WORKING_SIDE) / f64::from(w.max(h).max(1))).min(1.0);
    let side = |n: u32| ((f64::from(n) * shrink).round() as u32).max(1);
    let (tw, th) = (side(w), side(h));
    let canvas = dom::canvas(tw, th);
    let ctx = canvas::context_in_memory(&canvas);
    // Transparent pictures lie on white.
    ctx.set_fill_style_str("#fff");
    ctx.fill_rect(0.0, 0.0, f64::from(tw), f64::from(th));
    stage::smooth(&ctx);
    ctx.draw_image_with_image_bitmap_and_dw_and_dh(&bitmap, 0.0, 0.0, f64::from(tw), f64::from(th))
        .map_err(|_| ())?;
    bitmap.close();
    let data = ctx
        .get_image_data(0.0, 0.0, f64::from(tw), f64::from(th))
        .map_err(|_| ())?;
    let rgb = data
        .data()
        .0
        .chunks_exact(4)
        .flat_map(|p| [p[0], p[1], p[2]])
        .collect();
    Picture::from_rgb(tw, th, rgb).map_err(|_| ())
}

/// A sample's file.
pub async fn sample(name: &str) -> Result<Blob> {
    file(&format!("samples/{name}.jpg")).await
}

/// The picture that the page's address names: a file beside the page, or elsewhere on its server. Whoever made the link is not to
/// have the page ask others.
pub async fn named(address: &str) -> Result<Blob> {
    let location = dom::window().location();
    let base = dom::document().base_uri().ok().flatten();
    let whole = web_sys::Url::new_with_base(address, &base.unwrap_or_default());
    match whole {
        Ok(url) if location.origin().is_ok_and(|own| own == url.origin()) => {
            file(&url.href()).await
        }
        _ => Err(Error::Picture {
            name: address.into(),
            reason: "is not on this page's own server; open the picture itself".into(),
        }),
    }
}

async fn file(path: &str) -> Result<Blob> {
    let promise = fetch(path)
        .await?
        .blob()
        .map_err(|_| unreachable_file(path))?;
    let blob = JsFuture::from(promise)
        .await
        .map_err(|_| unreachable_file(path))?;
    Ok(blob.unchecked_into())
}

/// The text of the scene that comes with a sample.
pub async fn example(name: &str) -> Result<String> {
    let path = format!("samples/{name}.json");
    let promise = fetch(&path)
        .await?
        .text()
        .map_err(|_| unreachable_file(&path))?;
    let text = JsFuture::from(promise)
        .await
        .map_err(|_| unreachable_file(&path))?;
    Ok(text.as_string().unwrap_or_default())
}

async fn fetch(path: &str) -> Result<Response> {
    let response = JsFuture::from(dom::window().fetch_with_str(path))
        .await
        .map_err(|_| unreachable_file(path))?;
    let response: Response = response.unchecked_into();
    if !response.ok() {
        return Err(Error::Picture {
            name: path.into(),
            reason: format!(
                "the server answered {}; open a picture of your own",
                response.status()
            ),
        });
    }
    Ok(response)
}

fn unreachable_file(path: &str) -> Error {
    Error::Picture {
        name: path.into(),
        reason: "cannot be fetched; check the connection to the server and try again".into(),
    }
}
