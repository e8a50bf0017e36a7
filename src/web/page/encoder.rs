//! Films that the browser encodes (WebCodecs) and [`mux`] puts together: MP4s, and WebMs where it encodes no H.264. Where it encodes
//! nothing at all, we do, frame by frame between which the page is drawn.
//!
//! The bindings are our own: `web-sys` has these only where every crate is built with a flag of its own.

use super::dom;
use dragentity_core::Video;
use dragentity_media::h264;
use dragentity_media::mux::{self, Packet, WebmCodec};
use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use serde::Serialize;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    type VideoEncoder;

    #[wasm_bindgen(constructor, catch)]
    fn new(init: &Object) -> Result<VideoEncoder, JsValue>;

    #[wasm_bindgen(static_method_of = VideoEncoder, js_name = isConfigSupported, catch)]
    fn is_config_supported(config: &JsValue) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn configure(this: &VideoEncoder, config: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn encode(this: &VideoEncoder, frame: &VideoFrame, options: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn flush(this: &VideoEncoder) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, getter, js_name = encodeQueueSize)]
    fn encode_queue_size(this: &VideoEncoder) -> u32;

    #[wasm_bindgen(method, catch)]
    fn close(this: &VideoEncoder) -> Result<(), JsValue>;

    type VideoFrame;

    #[wasm_bindgen(constructor, catch)]
    fn new(data: &Uint8Array, init: &JsValue) -> Result<VideoFrame, JsValue>;

    #[wasm_bindgen(method)]
    fn close(this: &VideoFrame);

    type EncodedVideoChunk;

    #[wasm_bindgen(method, getter, js_name = type)]
    fn kind(this: &EncodedVideoChunk) -> String;

    #[wasm_bindgen(method, getter, js_name = byteLength)]
    fn byte_length(this: &EncodedVideoChunk) -> u32;

    #[wasm_bindgen(method, catch, js_name = copyTo)]
    fn copy_to(this: &EncodedVideoChunk, into: &Uint8Array) -> Result<(), JsValue>;
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// MP4, of H.264.
    Mp4,
    /// WebM, of VP9 or VP8.
    Webm(WebmCodec),
}

impl Container {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "MP4",
            Self::Webm(_) => "WebM",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::Webm(_) => "video/webm",
        }
    }
}

/// What is asked for, the best first: H.264 in its high, main and baseline profile, at a level for 2,048 x 1,024 pixels at 60 frames a
/// second, then VP9 of that level, and VP8.
const CODECS: [(&str, Container); 5] = [
    ("avc1.64002a", Container::Mp4),
    ("avc1.4d002a", Container::Mp4),
    ("avc1.42002a", Container::Mp4),
    ("vp09.00.41.08", Container::Webm(WebmCodec::Vp9)),
    ("vp8", Container::Webm(WebmCodec::Vp8)),
];
/// Frames between two that can be shown without those before them: a second, at 24 a second.
const KEY_FRAME_EVERY: usize = 24;
/// Bits for a pixel of a frame, and the fewest for a second: videos are short, and what is saved is looked at closely.
const BITS_FOR_A_PIXEL: f64 = 0.3;
const FEWEST_BITS: f64 = 4e6;
/// Frames that wait in the encoder at most.
const QUEUE: u32 = 8;

#[derive(Serialize)]
struct Config {
    codec: &'static str,
    width: u32,
    height: u32,
    bitrate: f64,
    framerate: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    avc: Option<Avc>,
}

#[derive(Serialize)]
struct Avc {
    format: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    format: &'static str,
    coded_width: u32,
    coded_height: u32,
    /// In microseconds, as `duration`.
    timestamp: f64,
    duration: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    key_frame: bool,
}

fn object(value: &impl Serialize) -> Result<JsValue, JsValue> {
    Ok(serde_wasm_bindgen::to_value(value)?)
}

/// How this browser encodes frames of that size, if it does.
async fn config([width, height]: [u32; 2], framerate: u32) -> Option<(JsValue, Container)> {
    if !Reflect::has(&dom::window(), &"VideoEncoder".into()).unwrap_or(false) {
        return None;
    }
    let pixels = f64::from(width) * f64::from(height) * f64::from(framerate);
    for (codec, container) in CODECS {
        let config = Config {
            codec,
            width,
            height,
            bitrate: (pixels * BITS_FOR_A_PIXEL).max(FEWEST_BITS),
            framerate,
            avc: (container == Container::Mp4).then_some(Avc { format: "annexb" }),
        };
        let config = object(&config).ok()?;
        let Ok(asked) = VideoEncoder::is_config_supported(&config) else {
            continue;
        };
        let Ok(support) = JsFuture::from(asked).await else {
            continue;
        };
        let supported = Reflect::get(&support, &"supported".into());
        if supported.is_ok_and(|supported| supported.is_truthy()) {
            return Some((config, container));
        }
    }
    None
}

/// Which files are made here.
pub async fn container() -> Container {
    let found = config([640, 480], 24).await;
    found.map_or(Container::Mp4, |(_, container)| container)
}

/// The film of a video, and which kind of file that is. Sides are cropped to even numbers of pixels, as the format needs.
///
/// # Errors
/// What the browser says, and what our own encoder does.
pub async fn encode(video: &Video) -> Result<(Vec<u8>, Container), String> {
    let size = [video.width & !1, video.height & !1];
    let fps = video.fps.max(1);
    let Some((config, container)) = config(size, fps).await else {
        let packets = own_packets(video, size, fps).await?;
        let file = mux::h264(size, fps, packets).map_err(|e| e.to_string())?;
        return Ok((file, Container::Mp4));
    };
    let packets = packets(&config, video, size, fps).await?;
    if packets.len() != video.frames.len() {
        return Err("the browser left frames out; save a GIF".into());
    }
    let file = match container {
        Container::Mp4 => mux::h264(size, fps, packets),
        Container::Webm(codec) => mux::webm(size, fps, codec, packets),
    };
    file.map(|file| (file, container))
        .map_err(|e| e.to_string())
}

/// The frames, encoded here.
async fn own_packets(video: &Video, size: [u32; 2], fps: u32) -> Result<Vec<Packet>, String> {
    let mut encoder = h264::Encoder::new(size, fps).map_err(|e| e.to_string())?;
    let mut packets = Vec::with_capacity(video.frames.len());
    for frame in &video.frames {
        let packet = encoder.encode(frame, video.width as usize * 3);
        packets.push(packet.map_err(|e| e.to_string())?);
        // The page is drawn in between.
        dom::sleep(0).await;
    }
    Ok(packets)
}

/// The frames, encoded by the browser.
async fn packets(
    config: &JsValue,
    video: &Video,
    size: [u32; 2],
    fps: u32,
) -> Result<Vec<Packet>, String> {
    let packets: Rc<RefCell<Vec<Packet>>> = Rc::default();
    let failed: Rc<RefCell<Option<String>>> = Rc::default();
    let (take, fail) = (Rc::clone(&packets), Rc::clone(&failed));
    let output = Closure::<dyn FnMut(EncodedVideoChunk)>::new(move |chunk: EncodedVideoChunk| {
        let bytes = Uint8Array::new_with_length(chunk.byte_length());
        if chunk.copy_to(&bytes).is_ok() {
            take.borrow_mut().push(Packet {
                bytes: bytes.to_vec(),
                key: chunk.kind() == "key",
            });
        }
    });
    let error = Closure::<dyn FnMut(JsValue)>::new(move |error: JsValue| {
        fail.borrow_mut().get_or_insert(dom::reason(&error));
    });
    let sent = async {
        let init = Object::new();
        let set = |name: &str, f: &Function| Reflect::set(&init, &name.into(), f);
        set("output", output.as_ref().unchecked_ref())?;
        set("error", error.as_ref().unchecked_ref())?;
        let encoder = VideoEncoder::new(&init)?;
        let sent = send(&encoder, config, video, size, fps).await;
        // One that failed is closed already.
        let _ = encoder.close();
        sent
    };
    let sent = sent.await;
    match failed.take() {
        Some(why) => Err(why),
        None => sent.map(|()| packets.take()).map_err(|e| dom::reason(&e)),
    }
}

/// Has every frame encoded, and waits until it is.
async fn send(
    encoder: &VideoEncoder,
    config: &JsValue,
    video: &Video,
    [width, height]: [u32; 2],
    fps: u32,
) -> Result<(), JsValue> {
    encoder.configure(config)?;
    let duration = 1e6 / f64::from(fps);
    for (i, frame) in video.frames.iter().enumerate() {
        let rows = frame.chunks_exact(video.width as usize * 3);
        let rgbx: Vec<u8> = rows
            .take(height as usize)
            .flat_map(|row| row[..width as usize * 3].chunks_exact(3))
            .flat_map(|p| [p[0], p[1], p[2], 255])
            .collect();
        let frame = VideoFrame::new(
            &Uint8Array::from(rgbx.as_slice()),
            &object(&Frame {
                format: "RGBX",
                coded_width: width,
                coded_height: height,
                timestamp: (i as f64 * duration).round(),
                duration: duration.round(),
            })?,
        )?;
        let key_frame = i % KEY_FRAME_EVERY == 0;
        let encoded = encoder.encode(&frame, &object(&Options { key_frame })?);
        frame.close();
        encoded?;
        while encoder.encode_queue_size() > QUEUE {
            dom::sleep(2).await;
        }
    }
    JsFuture::from(encoder.flush()?).await?;
    Ok(())
}
