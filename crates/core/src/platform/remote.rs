//! Folders at an address: their large files are read in ranges, and never as a whole.
//!
//! Reading at once instead of by a promise is what keeps one loader for programs and pages, as with [picked](super::pick) folders;
//! browsers allow it in workers only.

use super::js::js_error;
use js_sys::{ArrayBuffer, Uint8Array};
use std::io::{Error, ErrorKind, Result};
use wasm_bindgen::JsCast;
use web_sys::{XmlHttpRequest, XmlHttpRequestResponseType};

/// What locations in such folders begin with. Errors that name one read on from it.
const REMOTE: &str = "the address ";
/// Most bytes that are asked for at once: the browser holds them beside what is read into.
const PIECE: usize = 16 << 20;
/// What tells one state of a file from another. Some servers say less of a part than of the whole.
const MARKS: [&str; 2] = ["etag", "last-modified"];

/// Makes the files below an address readable in ranges; what is returned is a location.
pub fn at_address(url: &str) -> String {
    format!("{REMOTE}{}", url.trim_end_matches('/'))
}

/// The address of a location, if that lies in such a folder, and whether it is read in ranges: small files are fetched.
pub(super) fn find(location: &str) -> Option<(&str, bool)> {
    let url = location.strip_prefix(REMOTE)?;
    Some((url, url.ends_with(".safetensors")))
}

/// A file at an address, as it was when it was opened.
#[derive(Debug)]
pub struct Remote {
    url: String,
    len: u64,
    marks: [Option<String>; 2],
}

impl Remote {
    /// Asks how long it is.
    ///
    /// # Errors
    /// Of the kind `NotFound` where the server says so; for servers that give no parts of files.
    pub(super) fn open(url: &str) -> Result<Self> {
        let request = asked("HEAD", url, None)?;
        match request.status().map_err(js_error)? {
            200 => {}
            404 | 410 => return Err(ErrorKind::NotFound.into()),
            status => return Err(Error::other(format!("the server answered {status}"))),
        }
        let header = |name: &str| request.get_response_header(name).ok().flatten();
        // Development servers answer with the page where there is no such file.
        if header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            return Err(ErrorKind::NotFound.into());
        }
        let len = header("content-length").and_then(|len| len.parse().ok());
        let whole = header("content-encoding").is_none();
        match len.filter(|_| whole) {
            Some(len) => Ok(Self {
                url: url.to_owned(),
                len,
                marks: marks(&request),
            }),
            None => Err(Error::other(
                "the server does not say how long it is; serve it uncompressed, with its length",
            )),
        }
    }

    /// Whether a part is one of another state of the file.
    fn has_changed(&self, request: &XmlHttpRequest) -> bool {
        let now = marks(request);
        let other = |(was, is): (&Option<String>, Option<String>)| {
            was.as_ref().zip(is).is_some_and(|(was, is)| *was != is)
        };
        let range = request.get_response_header("content-range").ok().flatten();
        let total = range.and_then(|range| range.rsplit('/').next()?.parse::<u64>().ok());
        total.is_some_and(|total| total != self.len) || self.marks.iter().zip(now).any(other)
    }

    /// Its length in bytes when it was opened.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `into` with what begins at byte `at`.
    pub(super) fn read_exact_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        if at.saturating_add(into.len() as u64) > self.len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut from = at;
        for piece in into.chunks_mut(PIECE) {
            let range = format!("bytes={from}-{}", from + piece.len() as u64 - 1);
            let request = asked("GET", &self.url, Some(&range))?;
            match request.status().map_err(js_error)? {
                206 => {}
                200 => {
                    return Err(Error::other(
                        "the server gives no parts of files (ranges); serve it by another, or open the folder from the disk",
                    ));
                }
                status => {
                    return Err(Error::other(format!(
                        "the server answered {status} when a part of it was asked for"
                    )));
                }
            }
            if self.has_changed(&request) {
                return Err(Error::other(
                    "it has changed since it was opened; open it again",
                ));
            }
            let bytes: ArrayBuffer = request
                .response()
                .and_then(JsCast::dyn_into)
                .map_err(js_error)?;
            let bytes = Uint8Array::new(&bytes);
            if bytes.length() as usize != piece.len() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            bytes.copy_to(piece);
            from += piece.len() as u64;
        }
        Ok(())
    }
}

/// What a server says of the state of a file.
fn marks(request: &XmlHttpRequest) -> [Option<String>; 2] {
    MARKS.map(|name| request.get_response_header(name).ok().flatten())
}

/// The answer to a request, waited for.
fn asked(method: &str, url: &str, range: Option<&str>) -> Result<XmlHttpRequest> {
    let request = XmlHttpRequest::new().map_err(js_error)?;
    request
        .open_with_async(method, url, false)
        .map_err(js_error)?;
    request.set_response_type(XmlHttpRequestResponseType::Arraybuffer);
    if let Some(range) = range {
        request
            .set_request_header("Range", range)
            .map_err(js_error)?;
    }
    // A server that is gone is an error of the request.
    request
        .send()
        .map_err(|_| Error::other("the server does not answer; see whether it still runs"))?;
    Ok(request)
}
